"""Figures per minute and hour, kept as states that can be merged."""

from spanhouse_server.derive.rollup.worker import Rollup

__all__ = ["Rollup"]
