"""Take secrets out of records before anything is read from them or kept.

Two nets. By key: an attribute, header or JSON field whose name says it holds a credential loses its
value whatever that is. By value: text in the shape of a well-known key or token is replaced wherever
it stands. The common span holds none: the price of finding that out is one look at each key and a
handful of substring searches over all its text at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from spanhouse_server.model.blob import Blob
from spanhouse_server.model.raw import Attributes, RawLog, RawSpan
from spanhouse_server.normalise.media import MIN_RUN, lift_logs, lift_span, may_hold_media
from spanhouse_server.normalise.secret_names import HARMLESS, is_secret_key
from spanhouse_server.normalise.shape import Shape, shape_of

REDACTED = "[redacted]"
MAX_DEPTH = 64
#: No pattern below matches in fewer characters: ``&sig=a``.
MIN_CREDENTIAL = 6

_PLAIN = frozenset({float, int, bool, type(None)})
_TEXT = frozenset({str})

#: Text that must stand in a record before any pattern below can match. Each begins with a character that is not so
#: common, which is what makes it several times faster than a search for each word: the engine jumps to it, then looks
#: ahead, which is cheaper, then back. Keep them short; every span pays for them.
_SMALL_K, _UNDERLINE, _SMALL_X, _SMALL_W, _LARGE_K = (
    re.compile(pattern).search
    for pattern in (
        r"""k(?:ey(?:(?<=(?:pi|te)[_-]key)|(?<=pikey))|en(?:(?<=s_token)|(?<=[_-]token)["'\\])|(?<=ook)ie"""
        r"""|-(?<=sk-)|_(?<=sk_)(?:(?<=gsk_)|(?:live|test)_))""",
        r"_(?<=[fpt]_)(?:(?<=hf_)|(?<=ghp_)|(?<=_pat_))",
        r"x(?:ai-|ox.-)",
        r"w(?<=assw)",
        r"K(?:IA(?<=AKIA)|ey(?:(?<=pi-Key)|(?<=piKey))|EN(?<=[DHINRS][_-]TOKEN)|IE(?<=COOKIE)"
        r"|EY(?:(?<=PRIVATE[ _-]KEY)|(?<=PI_KEY|PI-KEY|APIKEY)))",
    )
)


def _triggered(text: str) -> bool:
    """Tell whether a pattern may match somewhere in this text: where it is rare, a character is looked for first."""
    return bool(
        _SMALL_K(text)
        or _UNDERLINE(text)
        or _SMALL_X(text)
        or _SMALL_W(text)
        or ("K" in text and _LARGE_K(text))
        or ("=" in text and ("key=" in text or "oken=" in text or "sig=" in text or "ignature=" in text))
        or ("J" in text and "eyJ" in text)
        or ("z" in text and ("AIza" in text or "uthorization" in text))
        or ("r" in text and ("earer " in text or "ecret" in text or "ssphr" in text))
        or ("B" in text and ("Basic " in text or "BEARER " in text))
        or ("W" in text and "ASSW" in text)
        or ("R" in text and ("ECRET" in text or "UTHORIZ" in text or "SSPHR" in text))
    )


_VALUE = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic and those who copied their form
    r"|sk_(?:live|test)_[A-Za-z0-9]{16,}|gsk_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{40,}"
    r"|AKIA[0-9A-Z]{16}(?![0-9A-Za-z])|AIza[0-9A-Za-z_-]{35}"
    r"|ghp_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}"
    r")"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
)
_VALUE_WORDS = ("sk-", "sk_", "hf_", "xai-", "AKIA", "AIza", "ghp_", "_pat_", "xox", "eyJ", "PRIVATE KEY")
_SCHEME = re.compile(r"\b([Bb]earer|BEARER|[Bb]asic) +(?=[A-Za-z._~+/-]*[0-9=+/])[A-Za-z0-9._~+/=-]{16,}")
_SCHEME_WORDS = ("earer ", "BEARER ", "asic ")
#: The name of a field and the quote before its value, in JSON, in JSON within JSON, or as Python shows a dict: of those
#: that end as one of the names below does.
_FIELD = re.compile(
    r"""(\\*+["'])([\w.-]{1,96}+)"""
    r"(?i:(?<=[_-]token)|(?<=key)|(?<=cookie)|(?<=secret)|(?<=password)|(?<=passwd)|(?<=passphrase)|(?<=authorization))"
    r"""\1\s*:\s*b?(\\*["'])"""
)
_SECRET_FIELD = re.compile(
    r"(?i:api[_-]?key|authorization|password|passwd|passphrase|secret(?:[_-](?:access[_-])?key)?"
    r"|cookie|private[_-]key|(?:access|refresh|auth|session|id|bearer|api)[_-]token)\Z"
)
_QUERY = re.compile(
    r"(?i)([?&;](?:[\w-]{0,32}api[_-]?key|key|(?:[a-z]+_)?token|sig|signature|password|client_secret)=)[^&#\s\"'<>\\]+"
)
_PAIR = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\s*[:=]\s*)(?=[^\s\"'\\])[^\n\r\"'\\]{4,}"
)
_PAIR_WORDS = ("authorization", "cookie", "x-api-key")


def redact_text(text: str) -> str:
    """Return text without credentials in it: the same object where there are none.

    Most texts that are looked at more closely only speak of tokens or cookies: a slow pattern is tried where words
    stand without which it cannot match.
    """
    if len(text) < MIN_CREDENTIAL or not _triggered(text):
        return text
    if _holds(text, _VALUE_WORDS):
        text = _VALUE.sub(REDACTED, text)
    if _holds(text, _SCHEME_WORDS):
        text = _SCHEME.sub(rf"\1 {REDACTED}", text)
    text = _redact_fields(text)
    if not text.isascii() or _holds(text.lower(), _PAIR_WORDS):  # beyond ASCII, other letters match without case
        text = _PAIR.sub(rf"\1\2{REDACTED}", text)
    return _QUERY.sub(rf"\1{REDACTED}", text) if "=" in text else text


def _holds(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - a generator costs more than it asks
        if word in text:
            return True
    return False


def _redact_fields(text: str) -> str:
    """Return text without the values of fields that are named after credentials, be they cut off."""
    pieces: list[str] = []
    done = 0
    field = _FIELD.search(text)
    while field is not None:
        quote = field[3]
        begin = field.end()
        if _SECRET_FIELD.search(field[2]):
            end = _end_of(text, quote, begin)
            if end > begin:
                pieces += (text[done:begin], REDACTED)
                done = end
            position = end + len(quote)
        else:
            position = begin - len(quote)  # what follows another name may be a name itself
        field = _FIELD.search(text, position)
    return "".join((*pieces, text[done:])) if pieces else text


def _end_of(text: str, quote: str, begin: int) -> int:
    """Return where the value that begins here ends: at its quote, or with the text.

    The quote stands behind as many backslashes as the value lies in texts; more of them escape a quote in the value,
    unless they are escaped backslashes at its end.
    """
    own = len(quote) - 1
    found = text.find(quote[-1], begin)
    while found >= 0:
        first = found
        while first > begin and text[first - 1] == "\\":
            first -= 1
        if (found - first - own) % (2 * own + 2) == 0:
            return found - own
        found = text.find(quote[-1], found + 1)
    return len(text)


def _reveal(pieces: list[str]) -> bool:
    """Tell whether a text among ``pieces`` holds a credential."""
    return any(redact_text(piece) != piece for piece in pieces if len(piece) >= MIN_CREDENTIAL)


def redact_value(value: Any, depth: int = 0) -> Any:
    """Return an attribute value without credentials, however deep they lie in it."""
    if type(value) is str:
        return redact_text(value)
    if isinstance(value, (list, dict)) and depth >= MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [redact_value(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {
            key: REDACTED if _hides(str(key), item) else redact_value(item, depth + 1) for key, item in value.items()
        }
    return value


def _hides(key: str, value: Any) -> bool:
    """Tell whether a value under a secret's name is one: flags, token counts and schemas are not."""
    if not is_secret_key(key) or value is None or value == "" or isinstance(value, (bool, dict)):
        return False
    return not (isinstance(value, (int, float)) and "token" in key.lower())


def redact_attributes(attributes: Attributes) -> Attributes:
    """Return attributes without credentials: the same object where there were none."""
    pieces: list[str] = []
    if not _gather(attributes, pieces) and not (_triggered("\n".join(pieces)) and _reveal(pieces)):
        return attributes
    redacted: Attributes = redact_value(attributes)
    return redacted


def _gather(attributes: Attributes, pieces: list[str]) -> bool:
    """Collect all text of attributes into ``pieces``; tell whether a key names a secret."""
    found = not HARMLESS.issuperset(attributes) and any(map(is_secret_key, list(attributes)))
    return _gather_values(attributes, pieces) or found


def _gather_values(attributes: Attributes, pieces: list[str]) -> bool:
    """Collect all text of attributes into ``pieces``; tell whether a key within a value names a secret."""
    found = False
    append = pieces.append
    for value in attributes.values():
        kind = type(value)
        if kind is str:
            append(value)
        elif kind is list:
            kinds = set(map(type, value))
            if kinds == _TEXT:
                pieces += value
            elif not _PLAIN.issuperset(kinds):  # else a vector: nothing to look through
                found = _gather_deep(value, pieces, 0) or found
        elif kind is dict:
            found = _gather_deep(value, pieces, 0) or found
    return found


def _gather_deep(value: list[Any] | dict[str, Any], pieces: list[str], depth: int) -> bool:
    if depth >= MAX_DEPTH:
        return True
    found = False
    items: Iterable[Any] = value
    if type(value) is dict:
        found = not HARMLESS.issuperset(value) and any(is_secret_key(str(key)) for key in value)
        items = value.values()
    elif _PLAIN.issuperset(map(type, value)):  # a vector: nothing to look through
        return False
    for item in items:
        kind = type(item)
        if kind is str:
            pieces.append(item)
        elif kind is dict or kind is list:
            found = _gather_deep(item, pieces, depth + 1) or found
    return found


def redact_span(raw: RawSpan, blobs: list[Blob] | None = None, shape: Shape | None = None) -> RawSpan:
    """Return a span without credentials anywhere in it, with the same keys: the same object where there were none.

    Media are taken out first and added to ``blobs``, if given: their base64 is no text to look through.
    ``shape`` is that of the span's attributes, where it is known already.
    """
    resource = _shared(raw.resource)
    scope_attributes = _shared(raw.scope.attributes) if raw.scope.attributes else raw.scope.attributes
    pieces = [raw.status_message, raw.name]
    found = _gather_values(raw.attributes, pieces) or (shape or shape_of(raw.attributes)).names_secret
    for event in raw.events:
        found = _gather(event.attributes, pieces) or found
    for link in raw.links:
        found = _gather(link.attributes, pieces) or found
    text = "\n".join(pieces)
    if blobs is not None and len(text) >= MIN_RUN and may_hold_media(text):
        return redact_span(lift_span(raw, blobs), shape=shape)
    if not found and not (_triggered(text) and _reveal(pieces)):
        if resource is raw.resource and scope_attributes is raw.scope.attributes:
            return raw
        return replace(raw, resource=resource, scope=replace(raw.scope, attributes=scope_attributes))
    return replace(
        raw,
        name=redact_text(raw.name),
        status_message=redact_text(raw.status_message),
        attributes=redact_value(raw.attributes),
        events=[replace(event, attributes=redact_value(event.attributes)) for event in raw.events],
        links=[replace(link, attributes=redact_value(link.attributes)) for link in raw.links],
        resource=resource,
        scope=replace(raw.scope, attributes=scope_attributes),
    )


def redact_log(log: RawLog, blobs: list[Blob] | None = None) -> RawLog:
    """Return a log record without credentials in body or attributes: the same object where there were none."""
    return redact_logs([log], blobs)[0]


def redact_logs(logs: Sequence[RawLog], blobs: list[Blob] | None = None) -> list[RawLog]:
    """Return log records without credentials; looked through together, as the logs of one span are few.

    Media go to ``blobs`` as in ``redact_span``.
    """
    pieces: list[str] = []
    found = False
    for log in logs:
        found = _gather(log.attributes, pieces) or found
        body = log.body
        if type(body) is str:
            pieces.append(body)
        elif isinstance(body, (list, dict)):
            found = _gather_deep(body, pieces, 0) or found
    text = "\n".join(pieces)
    if blobs is not None and len(text) >= MIN_RUN and may_hold_media(text):
        return redact_logs(lift_logs(logs, blobs))
    found = found or (_triggered(text) and _reveal(pieces))
    redacted = []
    for log in logs:
        resource = _shared(log.resource)
        if found:
            log = replace(log, attributes=redact_value(log.attributes), body=redact_value(log.body), resource=resource)
        elif resource is not log.resource:
            log = replace(log, resource=resource)
        redacted.append(log)
    return redacted


#: Resources and scopes seen lately, by identity, with what came of them: spans of a batch share them, and each is
#: looked through once. They are held here, so that no other object can have their identity.
_lately: dict[int, tuple[Attributes, Attributes]] = {}
MAX_LATELY = 64


def _shared(attributes: Attributes) -> Attributes:
    seen = _lately.get(id(attributes))
    if seen is not None:
        return seen[1]
    if len(_lately) >= MAX_LATELY:
        _lately.clear()
    redacted = redact_attributes(attributes)
    _lately[id(attributes)] = (attributes, redacted)
    return redacted
