"""Anomalies: a robust seasonal baseline of one series, and what departs from it.

Pure functions of points; nothing here reads a store. ``Detector`` is the way in.
"""

from spanhouse_server.derive.anomaly.detector import Detector
from spanhouse_server.derive.anomaly.options import Options
from spanhouse_server.derive.anomaly.scales import scale_of
from spanhouse_server.derive.anomaly.stream import Stream
from spanhouse_server.derive.anomaly.verdict import Verdict

__all__ = ["Detector", "Options", "Stream", "Verdict", "scale_of"]
