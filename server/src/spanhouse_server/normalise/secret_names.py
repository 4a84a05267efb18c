"""Names that say that what they name is a credential."""

from __future__ import annotations

import re

_MAX_VERDICTS = 20_000

_SECRET_NAMES = frozenset(
    [
        "authorization",
        "proxy_authorization",
        "www_authenticate",
        "cookie",
        "cookies",
        "set_cookie",
        "password",
        "passwd",
        "passphrase",
        "secret",
        "secret_key",
        "secret_access_key",
        "client_secret",
        "private_key",
        "access_token",
        "refresh_token",
        "auth_token",
        "id_token",
        "session_token",
        "security_token",
        "bearer_token",
        "api_token",
        "access_key",
        "access_key_id",
        "credential",
        "credentials",
        "token",
        "x_amz_security_token",
    ]
)
_SECRET_ENDINGS = (
    "_authorization",
    "_password",
    "_secret",
    "_secret_key",
    "_private_key",
    "_access_token",
    "_refresh_token",
    "_auth_token",
    "_session_token",
    "_api_token",
    "_cookie",
)
_API_KEY = re.compile(r"api_?key")
#: Endings that say a name is about a key, and does not hold it: ``user_api_key_team_id``.
_ABOUT_A_KEY = re.compile(
    r"api_?key_?(?:\w*_)?(?:hash|id|ids|alias|name|email|role|route|spend|budget|metadata|expires|at)\Z"
)
#: Keys judged before and found harmless. Bounded: flattened keys have no end.
HARMLESS: set[str] = set()
_secret: set[str] = set()


def is_secret_key(key: str) -> bool:
    """Tell whether an attribute's name says that its value is a credential."""
    if key in HARMLESS:
        return False
    if key in _secret:
        return True
    verdict = _judge(key)
    known = _secret if verdict else HARMLESS
    if len(known) >= _MAX_VERDICTS:
        known.clear()
    known.add(key)
    return verdict


def _judge(key: str) -> bool:
    name = key.rpartition(".")[2].lower().replace("-", "_").replace(" ", "_")
    if name in _SECRET_NAMES or name.endswith(_SECRET_ENDINGS):
        return True
    return _API_KEY.search(name) is not None and _ABOUT_A_KEY.search(name) is None
