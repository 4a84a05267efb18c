"""What receivers get, over real connections."""

from __future__ import annotations

import base64
import datetime
import email
import email.policy
import hashlib
import hmac
import ipaddress
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.channels import CHANNELS, http
from spanhouse_server.derive.alerts.channels.contract import NoOutward, Outward
from spanhouse_server.derive.alerts.message import MAX_LISTED, message
from spanhouse_server.errors import BadRequest, ConfigError, Unavailable, Undelivered
from spanhouse_server.model.alerts import Group
from spanhouse_server.outward import Guard
from tests.unit.alerts.make import NS, T0, alert, channel
from tests.unit.alerts.receivers import http_receiver, mailbox

EVIDENCE = {"traces": [{"trace_id": "ab" * 16, "url": "http://house/traces/abab"}]}
FIRING = alert(labels={"model": "gpt<4>", "prompt.version": "2"}, reason="a & b", evidence=EVIDENCE)
OVER = alert(id="a2", state="resolved", resolved_s=T0 + 60, severity="warning", value=None)


def said(*alerts: Any) -> dict[str, Any]:
    group = Group("g1", "default", "c1", {"alertname": "Busy"}, 0)
    return message(
        "n1", group, channel(), alerts or (FIRING, OVER), repeat=False, now_ns=T0 * NS, public_url="http://house"
    )


def deliver(kind: str, options: dict[str, Any], secrets: dict[str, str], outward: Outward, *alerts: Any) -> None:
    setup = CHANNELS[kind].check(options, secrets)
    CHANNELS[kind].send(setup.options, secrets, said(*alerts), outward)


def test_a_webhook_is_signed_and_says_everything(outward: Guard) -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
    begun_s = int(time.time())
    with http_receiver() as receiver:
        secrets = {"url": receiver.url + "/hook?a=1", "secret": secret, "authorization": "Bearer token"}
        deliver("webhook", {}, secrets, outward)
    (got,) = receiver.got
    assert (got.path, got.headers["authorization"], got.headers["webhook-id"]) == ("/hook?a=1", "Bearer token", "n1")
    signed = f"n1.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(b"0123456789abcdef", signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == "v1," + expected
    assert begun_s <= int(got.headers["webhook-timestamp"]) <= time.time()
    body = got.json
    assert (body["id"], body["status"], body["firing"], body["resolved"], body["project"]) == (
        "n1",
        "firing",
        1,
        1,
        "default",
    )
    first, second = body["alerts"]
    assert first["labels"] == {"model": "gpt<4>", "prompt.version": "2", "alertname": "Busy", "severity": "critical",
                               "project": "default", "type": "threshold", "metric": "requests"}  # fmt: skip
    assert (first["status"], first["evidence"], first["url"]) == (
        "firing",
        EVIDENCE,
        "http://house/alerts?id=a1&project=default",
    )
    assert (second["status"], second["resolved_at"]) == ("resolved", "2026-01-15T12:01:00.000000000Z")


def test_slack_gets_escaped_attachments(outward: Guard) -> None:
    with http_receiver() as receiver:
        deliver("slack", {"channel": "#ops"}, {"url": receiver.url + "/T/B"}, outward)
    body = receiver.bodies[0]
    assert (body["text"], body["channel"]) == ("[FIRING:1] Busy", "#ops")
    first, second = body["attachments"]
    assert first["title"] == "critical: Busy: requests is 11 (model gpt&lt;4&gt;, prompt.version 2)"
    assert first["text"] == "a &amp; b\nsince 2026-01-15T12:00:00Z\ntraces: <http://house/traces/abab|abababab>"
    assert (second["color"], second["title"]) == ("#2da44e", "resolved: Busy")


def test_long_messages_are_cut(outward: Guard) -> None:
    many = [alert(id=f"a{n}") for n in range(MAX_LISTED + 10)]
    with http_receiver() as receiver:
        deliver("slack", {}, {"url": receiver.url}, outward, *many)
    attachments = receiver.bodies[0]["attachments"]
    assert len(attachments) == 21
    assert attachments[-1]["text"] == "and 40 more"


def test_alertmanager_takes_alerts(outward: Guard) -> None:
    with http_receiver() as receiver:
        secrets = {"url": receiver.url + "/am/", "username": "u", "password": "p"}
        deliver("alertmanager", {}, secrets, outward)
        deliver("alertmanager", {}, {"url": receiver.url + "/api/v2/alerts", "token": "t"}, outward)
    first, second = receiver.got
    assert (first.path, second.path) == ("/am/api/v2/alerts", "/api/v2/alerts")
    assert first.headers["authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    assert second.headers["authorization"] == "Bearer t"
    firing, over = first.json
    assert firing["labels"]["prompt_version"] == "2"
    assert firing["startsAt"] == "2026-01-15T12:00:00.000000000Z"
    assert firing["endsAt"] == "2026-01-15T20:00:00Z"
    assert over["endsAt"] == "2026-01-15T12:01:00.000000000Z"
    assert firing["annotations"]["description"] == "a & b"


def test_alertmanagers_own_webhook_format(outward: Guard) -> None:
    with http_receiver() as receiver:
        deliver("alertmanager", {"format": "webhook"}, {"url": receiver.url}, outward)
    body = receiver.bodies[0]
    assert (body["version"], body["status"], body["receiver"], body["truncatedAlerts"]) == ("4", "firing", "ops", 0)
    assert body["groupLabels"] == {"alertname": "Busy"}
    assert body["commonLabels"] == {
        "alertname": "Busy",
        "project": "default",
        "type": "threshold",
        "metric": "requests",
    }
    assert [each["endsAt"] for each in body["alerts"]] == ["0001-01-01T00:00:00Z", "2026-01-15T12:01:00.000000000Z"]


def test_pagerduty_gets_an_event_each(outward: Guard) -> None:
    with http_receiver(answer=lambda _: (202, {}, b"{}")) as receiver:
        deliver("pagerduty", {"url": receiver.url + "/v2/enqueue"}, {"routing_key": "r" * 32}, outward)
    trigger, resolve = receiver.bodies
    assert (trigger["event_action"], trigger["dedup_key"], trigger["routing_key"]) == (
        "trigger",
        "spanhouse-a1",
        "r" * 32,
    )
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["summary"].startswith("Busy: requests is 11")
    assert trigger["links"] == [{"href": "http://house/traces/abab", "text": "trace abababab"}]
    assert (resolve["event_action"], resolve["dedup_key"]) == ("resolve", "spanhouse-a2")
    assert "payload" not in resolve


@pytest.mark.parametrize(
    ("status", "headers", "retry", "after_s"),
    [
        (500, {}, True, 0), (503, {"retry-after": "7"}, True, 7), (429, {"retry-after": "999999"}, True, 3600),
        (408, {}, True, 0), (400, {}, False, 0), (404, {"retry-after": "tomorrow"}, False, 0), (410, {}, False, 0),
        (301, {"location": "http://127.0.0.1/"}, False, 0), (307, {"location": "http://127.0.0.1/"}, False, 0),
    ],
)  # fmt: skip
def test_refusals(outward: Guard, status: int, headers: dict[str, str], retry: bool, after_s: float) -> None:
    with http_receiver(answer=lambda _: (status, headers, b"no: sk-abcdefghijklmnopqrstuvwxyz")) as receiver:
        with pytest.raises(Undelivered) as failed:
            deliver("webhook", {}, {"url": receiver.url + "/secret-path"}, outward)
        assert len(receiver.got) == 1
    assert (failed.value.retry, failed.value.retry_after_s) == (retry, after_s)
    shown = failed.value.message + failed.value.hint
    assert "secret-path" not in shown
    assert "sk-abc" not in shown


def test_slow_receivers_are_cut_off(outward: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DEADLINE_S", 0.2)

    monkeypatch.setattr(http, "ANSWER_TIMEOUT_S", 120)
    cut_off = threading.Event()

    def slow(_: Any) -> tuple[int, dict[str, str], bytes]:
        assert cut_off.wait(60)
        return 200, {}, b""

    with http_receiver(answer=slow) as receiver:
        with pytest.raises(Undelivered, match="took too long") as failed:
            deliver("webhook", {}, {"url": receiver.url}, outward)
        cut_off.set()
    assert failed.value.retry


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://no-such-host.invalid/"])
def test_absent_receivers_are_tried_again(outward: Guard, url: str) -> None:
    with pytest.raises(Undelivered) as failed:
        deliver("webhook", {}, {"url": url}, outward)
    assert failed.value.retry


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"],
)
def test_private_addresses_are_refused_unless_named(tmp_path: Path, host: str) -> None:
    strict = Guard(Settings.load({"data_dir": tmp_path}, env={}))
    with http_receiver() as receiver:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises(Undelivered) as failed:
            deliver("webhook", {}, {"url": f"http://{host}:{port}/"}, strict)
        assert receiver.got == []
    assert not failed.value.retry or "resolved" in failed.value.message
    mail = {"host": host.strip("[]"), "from": "a@x.org", "to": ["b@x.org"], "security": "none"}
    with pytest.raises(Undelivered):
        deliver("email", mail, {}, strict)


def test_named_private_hosts_by_name_or_below(outward: Guard) -> None:
    assert outward._may_be_private("LOCALHOST.")
    assert outward._may_be_private("a.b.lan")
    assert not outward._may_be_private("lan")
    assert not outward._may_be_private("evil-lan")


def test_secrets_open_only_where_they_belong(outward: Guard, tmp_path: Path) -> None:
    sealed = outward.seal({"url": "https://x/y"}, ("a", "b"))
    assert b"https" not in sealed
    assert outward.unseal(sealed, ("a", "b")) == {"url": "https://x/y"}
    for broken, bound in ((sealed, ("a", "c")), (sealed[:-1], ("a", "b")), (b"", ("a", "b"))):
        with pytest.raises(Undelivered):
            outward.unseal(broken, bound)
    with pytest.raises(ConfigError):
        Guard(Settings.load({"data_dir": tmp_path, "proxy_master_key": "short"}, env={}))


def test_without_a_guard_nothing_goes_out() -> None:
    nothing = NoOutward()
    for call in (lambda: nothing.addresses("x", 1), lambda: nothing.unseal(b"", ())):
        with pytest.raises(Undelivered, match="spanhouse-collector"):
            call()
    with pytest.raises(Unavailable):
        nothing.seal({}, ())


@pytest.mark.parametrize(
    ("kind", "options", "secrets"),
    [
        ("webhook", {}, {}), ("webhook", {}, {"url": "ftp://x/"}), ("webhook", {}, {"url": "http://u:p@x/"}),
        ("webhook", {}, {"url": "http://"}), ("webhook", {}, {"url": "http://x:99999/"}), ("webhook", {"a": 1}, {"url": "http://x"}),
        ("webhook", {}, {"url": "http://x", "secrte": "a"}), ("webhook", {}, {"url": "http://x", "secret": "whsec_%"}),
        ("webhook", {}, {"url": "http://x", "authorization": "a\r\nb: c"}), ("webhook", {}, {"url": "http://x y"}),
        ("slack", {"channel": 5}, {"url": "https://x"}), ("alertmanager", {"format": "x"}, {"url": "https://x"}),
        ("pagerduty", {}, {}), ("pagerduty", {"url": "x"}, {"routing_key": "r"}), ("email", {}, {}),
        ("email", {"host": "x", "from": "a@b", "to": []}, {}), ("email", {"host": "x", "from": "a@b", "to": ["c"]}, {}),
        ("email", {"host": "x", "from": "a\nb@c", "to": ["c@d"]}, {}), ("email", {"host": "x y", "from": "a@b", "to": ["c@d"]}, {}),
        ("email", {"host": "x", "from": "a@b", "to": ["c@d"], "port": 0}, {}),
        ("email", {"host": "x", "from": "a@b", "to": ["c@d"], "security": "none"}, {"password": "p"}),
    ],
)  # fmt: skip
def test_channels_that_cannot_work_are_refused(kind: str, options: Any, secrets: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        CHANNELS[kind].check(options, secrets)
    assert refused.value.message


def test_what_is_shown_of_a_channel_holds_no_secret() -> None:
    setup = CHANNELS["webhook"].check({}, {"url": "https://hooks.example.com:8443/T0/secret?k=v"})
    assert (setup.target, setup.options) == ("https://hooks.example.com:8443", {})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(encoding))
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


MAIL = {"host": "127.0.0.1", "from": "spans@house.org", "to": ["ann@x.org", "bob@x.org"]}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_encrypted(outward: Guard, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mailbox(context=server_context(certificate), tls=security == "tls", offers=["AUTH PLAIN"]) as box:
        options = MAIL | {"port": box.port, "security": security}
        deliver("email", options, {"username": "u", "password": "p"}, outward)
    assert box.secured
    assert "rcpt TO:<bob@x.org>" in box.lines
    mail = email.message_from_string(box.mails[0], policy=email.policy.default)
    assert (mail["subject"], mail["message-id"], mail["to"]) == (
        "[FIRING:1] Busy",
        "<n1@house.org>",
        "ann@x.org, bob@x.org",
    )
    text = mail.get_content().replace("\r\n", "\n")
    assert "firing (critical): Busy: requests is 11 (model gpt<4>, prompt.version 2)\n  a & b" in text
    assert "trace http://house/traces/abab" in text


def test_mail_is_never_sent_to_a_stranger(outward: Guard, certificate: Path) -> None:
    with mailbox(context=server_context(certificate)) as box, pytest.raises(Undelivered, match="certificate"):
        deliver("email", MAIL | {"port": box.port}, {}, outward)
    assert box.mails == []


@pytest.mark.parametrize(
    ("replies", "retry"),
    [
        ({"RCPT": "550 nobody here"}, False), ({"RCPT": "450 later"}, True), ({"MAIL": "552 too much"}, False),
        ({"hello": "421 busy"}, True), ({"hello": "554 go away"}, False), ({"DATA": "451 later"}, True),
        ({"EHLO": "500 what", "HELO": "500 what"}, False),
    ],
)  # fmt: skip
def test_mail_servers_refuse(outward: Guard, replies: dict[str, str], retry: bool) -> None:
    with mailbox(replies=replies) as box, pytest.raises(Undelivered) as failed:
        deliver("email", MAIL | {"port": box.port, "security": "none"}, {}, outward)
    assert failed.value.retry is retry
    assert box.mails == []


def test_mail_needs_the_encryption_that_was_asked_for(outward: Guard) -> None:
    with mailbox() as box, pytest.raises(Undelivered) as failed:
        deliver("email", MAIL | {"port": box.port}, {}, outward)
    assert not failed.value.retry
    assert box.mails == []
    with pytest.raises(Undelivered) as failed:
        deliver("email", MAIL | {"port": 1}, {}, outward)
    assert failed.value.retry


def test_headers_of_mail_cannot_be_injected(outward: Guard) -> None:
    with mailbox() as box:
        named = replace(FIRING, rule_name="Busy\r\nBcc: eve@x.org")
        deliver("email", MAIL | {"port": box.port, "security": "none"}, {}, outward, named)
    mail = email.message_from_string(box.mails[0], policy=email.policy.default)
    assert mail["bcc"] is None
    assert not any("eve" in line for line in box.lines)
