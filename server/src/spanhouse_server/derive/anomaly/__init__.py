"""Anomalies: a robust seasonal baseline of one series, and what departs from it.

Pure functions of points; nothing here reads a store. ``Detector`` is the way in.
"""

from spanhouse_server.derive.anomaly.detector import Detector, Verdict
from spanhouse_server.derive.anomaly.options import Options
from spanhouse_server.derive.anomaly.scales import scale_of

__all__ = ["Detector", "Options", "Verdict", "scale_of"]
