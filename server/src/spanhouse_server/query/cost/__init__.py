"""What model calls cost: spent on what, why it changed, what it would cost elsewhere, and what was wasted.

Sums run over the spans that count (``normalise.settle_usage``), in the decimals of the store: no figure here passes
through a float on its way.
"""
