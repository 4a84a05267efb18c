"""Run one scenario under one instrumentation: ``python run.py openai_v2 openai_app chat``."""

from __future__ import annotations

import importlib
import sys

from telemetry import instrument, set_up


def main(instrumentation: str, app: str, scenario: str) -> None:
    """Set up telemetry, switch on the instrumentation, run the scenario, send what was recorded.

    An app whose instrumentation is ``own`` has a ``set_up`` that does the first two.
    """
    if instrumentation == "own":
        module = importlib.import_module(app)
        finish = module.set_up()
    else:
        finish = set_up()
        instrument(instrumentation)
        module = importlib.import_module(app)
    getattr(module, scenario)()
    finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
