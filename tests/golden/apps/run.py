"""Run one scenario under one instrumentation: ``python run.py openai_v2 openai_app chat``."""

from __future__ import annotations

import importlib
import sys

from telemetry import instrument, set_up


def main(instrumentation: str, app: str, scenario: str) -> None:
    """Set up telemetry, switch on the instrumentation, run the scenario, send what was recorded."""
    finish = set_up()
    instrument(instrumentation)
    getattr(importlib.import_module(app), scenario)()
    finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
