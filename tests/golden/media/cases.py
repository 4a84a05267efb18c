"""Read a recorded case with media: its records, its canonical spans, and the truth the provider wrote down."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from spanhouse_server.decode import decode, parse
from spanhouse_server.decode.pending import PENDING
from spanhouse_server.model.raw import RawLog, RawSpan
from spanhouse_server.model.span import Span
from spanhouse_server.normalise import is_genai_log, normalise
from tests.fakes.media import NAMES, file
from tests.fakes.openai_chat import SOUND_PIECE_BYTES
from tests.golden.case import RECEIVED_NS, Truth
from tests.golden.media.pack import unpack

HERE = Path(__file__).parent
#: The bytes of files by name, and of the pieces of sound that a stream brings (``piece-0.pcm`` …).
BYTES = {name: file(name) for name in NAMES} | {
    f"piece-{start // SOUND_PIECE_BYTES}.pcm": file("spoken.pcm")[start : start + SOUND_PIECE_BYTES]
    for start in range(0, len(file("spoken.pcm")), SOUND_PIECE_BYTES)
}
_NAMED = re.compile(r"\{([a-z]+\.[a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Case:
    """What was recorded of a case: requests to us as (signal, body), calls of the provider, and uploads (SHA-256, hex)."""

    bodies: list[tuple[str, bytes]]
    served: list[Truth]
    uploads: list[str]

    @property
    def sent(self) -> list[str]:
        """Return the names of the files in the requests, in order."""
        return [name for truth in self.served for name in _NAMED.findall(json.dumps(truth.request))]


def names() -> list[str]:
    """Return the names of all recorded cases."""
    return sorted(path.stem for path in (HERE / "expected").iterdir())


@cache
def case(name: str) -> Case:
    """Return what was recorded."""
    written = json.loads((HERE / "expected" / f"{name}.json").read_text())
    fields = Truth.__dataclass_fields__
    served = [Truth(**{key: value for key, value in each.items() if key in fields}) for each in written["served"]]
    paths = sorted((HERE / "payloads" / name).iterdir())
    bodies = [(path.name.partition("-")[2].partition(".")[0], unpack(path)) for path in paths]
    return Case(bodies, served, written["uploads"])


def records(name: str) -> tuple[list[RawSpan], list[RawLog]]:
    """Return the raw spans and logs of a case, in the order they were sent."""
    spans: list[RawSpan] = []
    logs: list[RawLog] = []
    for signal, body in case(name).bodies:
        decoded = decode(signal, parse(signal, "application/x-protobuf", body), RECEIVED_NS)
        assert not decoded.rejected, decoded.message
        spans += decoded.spans
        logs += decoded.logs
    return spans, logs


@cache
def spans_of(name: str) -> list[Span]:
    """Return the canonical spans of a case by start time, each with its own log events, finished ones only."""
    raw_spans, logs = records(name)
    return [
        normalise(raw, [log for log in logs if log.span_id == raw.span_id and is_genai_log(log)])
        for raw in sorted(raw_spans, key=lambda raw: raw.start_ns)
        if PENDING not in raw.flags
    ]


def parts_of(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of messages that are media, without those whose data an emitter left out itself."""
    parts = [part for message in messages for part in message["parts"] if part["type"] in ("uri", "blob", "file")]
    return [
        part for part in parts if part["type"] != "blob" or "content" in part if part.get("file_id", "") is not None
    ]
