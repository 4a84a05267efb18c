"""Mail by SMTP, with STARTTLS or TLS from the start."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from spanhouse_server.derive.alerts.channels.contract import Message, Outward, Secrets, Setup
from spanhouse_server.derive.alerts.channels.http import (
    ANSWER_TIMEOUT_S,
    DEADLINE_S,
    MAX_QUOTED,
    deadline,
    reached,
    reason_of,
)
from spanhouse_server.derive.alerts.channels.options import Options, is_host
from spanhouse_server.derive.alerts.channels.slack import headline
from spanhouse_server.derive.alerts.message import title_of
from spanhouse_server.errors import BadRequest, Undelivered
from spanhouse_server.ops.logs import redact

PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAX_RECIPIENTS = 50
_ADDRESS = re.compile(r"[A-Za-z0-9._%+=&'*/?^`{|}~!#$-]{1,64}@[A-Za-z0-9.-]{1,255}")


class Email:
    """Options: ``host``, ``port``, ``security`` (``starttls``, ``tls``, ``none``), ``from``, ``to`` (a list).

    Secrets: ``username`` and ``password``. Every attempt of one message has the same ``Message-ID``.
    """

    name = "email"
    secrets = ("username", "password")

    def check(self, options: Mapping[str, Any], secrets: Secrets) -> Setup:
        """Return the options; raise ``BadRequest``."""
        given = Options(options, secrets)
        host = given.text("host", needed=True)
        if not is_host(host):
            raise BadRequest("options.host is no name of a host")
        security = given.choice("security", tuple(PORTS), "starttls")
        port = given.port("port", PORTS[security])
        for address in (given.text("from", needed=True), *given.texts("to", MAX_RECIPIENTS)):
            if not _ADDRESS.fullmatch(address):
                raise BadRequest(f"{address[:80]!r} is no mail address", "write name@example.com")
        if any([given.secret("username"), given.secret("password")]) and security == "none":
            raise BadRequest("a password would travel unencrypted", "use security starttls or tls")
        return Setup(given.finish(), f"smtp://{host}:{port}")

    def send(self, options: Mapping[str, Any], secrets: Secrets, message: Message, outward: Outward) -> None:
        """Hand the mail to the SMTP server. Recipients that it refuses beside others it takes are left out."""
        host, port = options["host"], options["port"]
        mail = mail_of(message, options["from"], options["to"])
        with ExitStack() as exits:
            opened = exits.enter_context(reached(host, port, outward))
            passed = exits.enter_context(deadline(opened, DEADLINE_S))
            try:
                _hand_over(mail, opened, options, secrets)
            except smtplib.SMTPResponseException as error:
                raise _refused(host, error.smtp_code, error.smtp_error) from None
            except smtplib.SMTPRecipientsRefused as error:
                code, text = next(iter(error.recipients.values()))
                raise _refused(host, code, text) from None
            except smtplib.SMTPNotSupportedError as error:
                raise Undelivered(f"{host}: {error}", "choose another security", retry=False) from None
            except (OSError, smtplib.SMTPException, ValueError) as error:
                reason = "took too long" if passed() else reason_of(error)
                raise Undelivered(f"{host}:{port} {reason}", "is the mail server up?", retry=True) from None


def mail_of(message: Message, sender: str, recipients: list[str]) -> EmailMessage:
    """Return the mail for a message."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(headline(message).split())[:250]
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{message['id']}@{sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    blocks = []
    for item in message["alerts"]:
        lines = [f"{item['status']} ({item['severity']}): {title_of(item)}"]
        lines += [f"  {item['reason']}"] if item["reason"] else []
        lines.append(f"  since {item['fired_at']}" + (f" until {item['resolved_at']}" if item["resolved_at"] else ""))
        lines.append(f"  {item['url']}")
        lines += [f"  trace {each['url']}" for each in item["evidence"].get("traces", ())]
        blocks.append("\n".join(lines))
    if message["left_out"]:
        blocks.append(f"and {message['left_out']} more: {message['url']}")
    mail.set_content("\n\n".join(blocks) + "\n")
    return mail


class _Over(smtplib.SMTP):
    """SMTP over a connection that is open already."""

    def __init__(self, opened: socket.socket, host: str, port: int) -> None:
        self._opened = opened
        # Named here: else its own name would be looked up.
        super().__init__(host, port, local_hostname=socket.gethostname() or "localhost", timeout=ANSWER_TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._opened


def _hand_over(mail: EmailMessage, opened: socket.socket, options: Mapping[str, Any], secrets: Secrets) -> None:
    context = ssl.create_default_context()
    connection = opened.dup()
    connection.settimeout(ANSWER_TIMEOUT_S)
    if options["security"] == "tls":
        connection = context.wrap_socket(connection, server_hostname=options["host"])
    with _Over(connection, options["host"], options["port"]) as smtp:
        if options["security"] == "starttls":
            smtp.starttls(context=context)
        if secrets.get("username"):
            smtp.login(secrets["username"], secrets.get("password", ""))
        smtp.send_message(mail)


def _refused(host: str, code: int, text: bytes | str) -> Undelivered:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return Undelivered(
        f"{host} answered {code}: {redact(said)[:MAX_QUOTED]}",
        "the mail server refuses it" if code >= 500 else "the mail server is busy",
        retry=400 <= code < 500 or code < 0,
    )
