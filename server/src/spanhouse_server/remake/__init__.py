"""Stored spans made anew: priced again after a price changed, or mapped again after a mapping did."""

from spanhouse_server.remake.jobs import Job, Remakes
from spanhouse_server.remake.run import KINDS, Remake, Totals

__all__ = ["KINDS", "Job", "Remake", "Remakes", "Totals"]
