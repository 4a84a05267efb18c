"""What senders of telemetry, receivers of messages and other servers could do to alerts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from spanhouse_server.derive.alerts.channels import CHANNELS
from spanhouse_server.derive.alerts.channels.slack import slack_body
from spanhouse_server.derive.alerts.deliver import MAX_SAID, bound_to, send, without_secrets
from spanhouse_server.derive.alerts.evaluate import AlertEvaluation
from spanhouse_server.derive.alerts.message import message
from spanhouse_server.derive.contract import Lease
from spanhouse_server.errors import BadRequest, Undelivered
from spanhouse_server.model.alerts import Alert, AlertQuery, Channel, Group, Rule, RuleProgress, Transition
from spanhouse_server.outward import Guard
from spanhouse_server.store.alert_records import AlertRecords
from tests.unit.alerts.make import NS, T0, alert, channel, held, rule
from tests.unit.alerts.receivers import Got, http_receiver


def said(*alerts: Alert) -> dict[str, Any]:
    group = Group("g1", "default", "c1", {"alertname": "Busy"}, 0)
    return message("n1", group, channel(), alerts, repeat=False, now_ns=T0 * NS, public_url="http://house")


def sealed(kind: str, secrets: dict[str, str], outward: Guard, **options: str) -> Channel:
    made = channel(type=kind, target="x", options=CHANNELS[kind].check(options, secrets).options)
    return replace(made, sealed=outward.seal(secrets, bound_to(made)))


def test_a_receiver_that_repeats_the_secrets_tells_nobody(outward: Guard) -> None:
    def echo(got: Got) -> tuple[int, dict[str, str], bytes]:
        padding = b"x" * (MAX_SAID - 40)
        return 404, {}, b"no hook at " + got.path.encode() + b" for " + got.headers["authorization"].encode() + padding

    with http_receiver(answer=echo) as receiver:
        url = f"{receiver.url}/services/T0AB12CD3/zY9sEcReT?token=q1w2e3r4"
        secrets = {"url": url, "authorization": "Hook v3ry-5ecret"}
        with pytest.raises(Undelivered) as failed:
            send(sealed("webhook", secrets, outward), said(alert()), outward)
    for secret in ("T0AB12CD3", "zY9sEcReT", "q1w2e3r4", "v3ry-5ecret"):
        assert secret not in failed.value.said
    assert failed.value.message.startswith("127.0.0.1 answered 404: no hook at ***")
    assert len(failed.value.message) <= MAX_SAID

    def refuse(got: Got) -> tuple[int, dict[str, str], bytes]:
        return 400, {}, f"invalid key {got.json['routing_key']}".encode()

    with http_receiver(answer=refuse) as receiver:
        routed = sealed("pagerduty", {"routing_key": "R0123456789"}, outward, url=receiver.url)
        with pytest.raises(Undelivered, match=r"invalid key \*\*\*$"):
            send(routed, said(alert()), outward)


def test_a_secret_cut_in_two_leaves_no_half() -> None:
    """Whole secrets are blotted out before anything is cut."""
    assert without_secrets("a" * 290 + "secret-of-mine", {"token": "secret-of-mine"}) == "a" * 290 + "***"
    assert without_secrets("short ones stay: abc", {"token": "abc"}) == "short ones stay: abc"


@pytest.mark.parametrize("call", ["@channel", "@here", "@everyone", "@All"])
def test_labels_call_nobody(call: str) -> None:
    """A user's id, a model's name, a tag: whoever calls the application writes them."""
    body = slack_body(said(alert(labels={"user": f"{call} <!channel> me@example.com"}, reason=call)))
    text = repr(body)
    assert call not in text
    assert "<!channel>" not in text
    assert "me@example.com" in text


def test_a_label_of_any_length_makes_no_message_that_is_refused() -> None:
    """Who signs in as a novel cannot keep the alerts about it, and about others, from being told."""
    novel = "x" * 100_000
    many = [alert(id=f"a{n}", labels={"user": f"{n}{novel}", "model": novel}) for n in range(60)]
    told = said(*many)
    assert len(orjson.dumps(told)) < 120_000
    assert told["alerts"][0]["labels"]["user"].endswith("…")
    body = slack_body(told)
    assert len(orjson.dumps(body)) < 40_000
    assert all(len(each["title"]) < 300 for each in body["attachments"])


@pytest.mark.parametrize(
    ("kind", "secrets", "field"),
    [
        ("webhook", {"url": "https://example.com/a b"}, "secrets.url"),
        ("webhook", {"url": "https://example.com/ü"}, "secrets.url"),
        ("webhook", {"url": "https://example.com/", "authorization": "Bearer ключ"}, "secrets.authorization"),
        ("alertmanager", {"url": "https://example.com/", "token": "ключ"}, "secrets.token"),
    ],
)
def test_what_http_cannot_carry_is_refused_when_it_is_set(kind: str, secrets: dict[str, str], field: str) -> None:
    with pytest.raises(BadRequest, match=field):
        CHANNELS[kind].check({}, secrets)


class MadeMeanwhile:
    """Records in which a rule is made, judged and firing, by another server, after this one has read the rules."""

    def __init__(self, records: AlertRecords) -> None:
        self._records = records
        self.rule: Rule | None = None

    def rules(self, project_id: str | None = None) -> list[Rule]:
        found = self._records.rules(project_id)
        if self.rule is None:
            self.rule = self._records.create_rule(rule(id="", name="made meanwhile"))
            fired = alert(rule_id=self.rule.id, rule_version=self.rule.changed_ns)
            steps = [Transition(fired.id, "firing", T0)]
            assert self._records.commit(self.rule, None, RuleProgress(T0 + 60), [fired], steps, T0 * NS)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


def test_an_alert_of_a_rule_made_meanwhile_is_no_stray(records: AlertRecords) -> None:
    between = MadeMeanwhile(records)
    tick = AlertEvaluation(None, between, source=held([50.0] * 10))  # type: ignore[arg-type]
    tick.run((T0 + 90) * NS, Lease("alerts.evaluate", 1))
    assert [each.state for each in records.alerts("default", AlertQuery())] == ["firing"]
    assert between.rule is not None
    records.delete_rule("default", between.rule.id)
    tick.run((T0 + 105) * NS, Lease("alerts.evaluate", 1))
    assert [each.reason for each in records.alerts("default", AlertQuery())] == ["the rule was deleted"]
