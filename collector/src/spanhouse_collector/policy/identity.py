"""Who calls, by the credential of a call: a short hash that stands for it and gives nothing of it away.

Of our own keys it is the beginning of the hash that the server keeps of them, so that both know the same key by the
same name; spans carry it as metadata ``key_id``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from spanhouse_collector.policy.fallback import CREDENTIALS, credentials_in

KEY_ID_DIGITS = 16


def credential_id(own: Mapping[str, str], headers: Iterable[tuple[bytes, bytes]], query: bytes) -> str:
    """Return what stands for the credential of a call: ours if it carries one, else the provider's; 32 hex digits.

    ``own`` holds our headers by the name behind the prefix, ``headers`` all of them in lower case. Empty for a call
    without any.
    """
    ours = own.get("auth") or own.get("key")
    if ours:
        scheme, _, secret = ours.partition(" ")
        secret = secret.strip() if scheme.lower() == "bearer" and secret.strip() else ours
        return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    found = [value for name, value in headers if name.decode("latin-1") in CREDENTIALS and name != b"cookie" and value]
    found += [part.encode("latin-1") for part in credentials_in(query.decode("latin-1"))]
    return hashlib.sha256(b"\0".join(found)).hexdigest()[:32] if found else ""
