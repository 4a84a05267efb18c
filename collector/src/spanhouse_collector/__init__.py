"""The collector that runs beside applications and GPUs and sends to Spanhouse over OTLP.

This release holds only the version: the logging proxy and the GPU and serving agent arrive in later
ones. The package exists so that installations and their constraints need not change then.
"""

__version__ = "0.1.0"
