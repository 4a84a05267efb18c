"""OTLP bodies to plain records: ``parse_received`` the body, ``check`` it before acknowledging, ``decode`` it after.

``check`` and ``decode`` refuse exactly the same records, so what a sender was told is what is stored.
"""

from spanhouse_server.decode.check import Checked, check
from spanhouse_server.decode.json_body import load_json
from spanhouse_server.decode.parse import parse, parse_received
from spanhouse_server.decode.records import decode
from spanhouse_server.decode.refuse import MAX_RECORD_BYTES

__all__ = ["MAX_RECORD_BYTES", "Checked", "check", "decode", "load_json", "parse", "parse_received"]
