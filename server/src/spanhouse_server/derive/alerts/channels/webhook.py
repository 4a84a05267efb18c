"""JSON to any address, signed after the Standard Webhooks specification."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

import orjson

from spanhouse_server.derive.alerts.channels.contract import Message, Outward, Secrets, Setup
from spanhouse_server.derive.alerts.channels.http import post
from spanhouse_server.derive.alerts.channels.options import Options, origin_of
from spanhouse_server.errors import BadRequest

_MARK = "whsec_"


class Webhook:
    """Secrets: ``url``; ``secret``, which signs; ``authorization``, sent as that header.

    Every attempt of one message carries the same ``webhook-id``, by which a receiver tells repetitions.
    """

    name = "webhook"
    secrets = ("url", "secret", "authorization")

    def check(self, options: Mapping[str, Any], secrets: Secrets) -> Setup:
        """Return the options; raise ``BadRequest``."""
        given = Options(options, secrets)
        target = origin_of(given.secret("url", needed=True), "secrets.url")
        secret = given.secret("secret")
        if secret and not signing_key(secret):
            raise BadRequest("secrets.secret begins with whsec_ but is not base64", "or use any other text")
        if not given.secret("authorization").isascii():
            raise BadRequest("secrets.authorization holds a character beyond ASCII", "a header cannot carry it")
        return Setup(given.finish(), target)

    def send(self, options: Mapping[str, Any], secrets: Secrets, message: Message, outward: Outward) -> None:
        """Post the message as it is."""
        body = orjson.dumps(dict(message))
        stamp = str(int(time.time()))
        headers = {"webhook-id": message["id"], "webhook-timestamp": stamp}
        if secret := secrets.get("secret"):
            headers["webhook-signature"] = signature(signing_key(secret), message["id"], stamp, body)
        if authorization := secrets.get("authorization"):
            headers["authorization"] = authorization
        post(secrets["url"], body, headers, outward)


def signing_key(secret: str) -> bytes:
    """Return the key in a secret: base64 after ``whsec_``, else the text itself. Empty: it is not base64."""
    if not secret.startswith(_MARK):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_MARK), validate=True)
    except (binascii.Error, ValueError):
        return b""


def signature(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """Return the value of ``webhook-signature``: HMAC-SHA256 of ``id.timestamp.body``."""
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
