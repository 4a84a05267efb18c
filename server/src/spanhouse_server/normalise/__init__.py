"""Dialects in, canonical spans out: every emitter's attributes are folded into one vocabulary.

``normalise`` picks one dialect per span (``dialects/``), lets it read what it knows, then fills in
what all dialects share: context, outcome, previews, search text. It never raises and keeps the raw
record beside the canonical fields, with secrets removed from both (``redact``).
"""

from spanhouse_server.normalise.chain import MAPPER_VERSION, is_genai_log, normalise
from spanhouse_server.normalise.redact import redact_attributes, redact_log

__all__ = ["MAPPER_VERSION", "is_genai_log", "normalise", "redact_attributes", "redact_log"]
