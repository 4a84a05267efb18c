"""Dialects in, canonical spans out: every emitter's attributes are folded into one vocabulary.

``normalise`` picks one dialect per span (``dialects/``), lets it read what it knows, then fills in
what all dialects share: context, outcome, previews, search text. It never raises and keeps the raw
record beside the canonical fields, with secrets removed from both (``redact``).
"""

from spanhouse_server.normalise.chain import MAPPER_VERSION, is_genai_log, normalise
from spanhouse_server.normalise.feedback import log_feedback, span_feedback
from spanhouse_server.normalise.langfuse_events import is_span_piece
from spanhouse_server.normalise.langfuse_media import UPLOAD_EVENT, uploaded_blob
from spanhouse_server.normalise.redact import redact_attributes, redact_log
from spanhouse_server.normalise.references import may_refer, referred

__all__ = [
    "MAPPER_VERSION",
    "UPLOAD_EVENT",
    "is_genai_log",
    "is_span_piece",
    "log_feedback",
    "may_refer",
    "normalise",
    "redact_attributes",
    "redact_log",
    "referred",
    "span_feedback",
    "uploaded_blob",
]
