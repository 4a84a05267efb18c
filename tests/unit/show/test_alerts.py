"""Alerts, rules, channels and silences over the API."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.clock import now_ns
from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.deliver import AlertDelivery
from spanhouse_server.derive.alerts.evaluate import AlertEvaluation
from spanhouse_server.derive.contract import Lease
from spanhouse_server.outward import Guard
from tests.stored import T0
from tests.unit.alerts.receivers import http_receiver
from tests.unit.show.conftest import ADMIN, House

API = "/api/v1"
RULE = {"name": "Busy", "type": "threshold", "metric": "requests", "window_s": 60, "params": {"above": 0.5}}
AT_S = T0 // 10**9


@pytest.fixture
def open_house(house: House) -> House:
    """A house whose notifications reach receivers on this machine."""
    settings = Settings.load({"data_dir": house.settings.data_dir, "alert_private_hosts": "127.0.0.1"}, env={})
    house.context.outward = Guard(settings)
    return house


def made(house: House, path: str, body: Any, project: str = "default") -> dict[str, Any]:
    reply = house.client.post(f"{API}/{path}?project={project}", json=body)
    assert reply.status_code == 201, reply.text
    return reply.json()


def got(house: House, path: str) -> Any:
    reply = house.client.get(f"{API}/{path}")
    assert reply.status_code == 200, reply.text
    return reply.json()


def refused(reply: Any, status: int = 400) -> str:
    assert reply.status_code == status, reply.text
    return str(reply.json()["error"]["message"])


def test_a_rule_is_made_listed_changed_and_deleted(house: House) -> None:
    rule = made(house, "alerts/rules", RULE | {"group_by": ["model"], "q": "model:gpt*", "labels": {"team": "a"}})
    assert (rule["state"], rule["evaluated_at"], rule["alerts"]) == ("new", None, {"pending": 0, "firing": 0})
    assert got(house, "alerts/rules")["items"] == [rule]
    assert got(house, f"alerts/rules/{rule['id']}") == rule
    one = f"{API}/alerts/rules/{rule['id']}"
    changed = house.client.put(one, json=RULE | {"enabled": False, "params": {"below": 3}}).json()
    assert (changed["state"], changed["params"], changed["group_by"]) == ("off", {"below": 3}, [])
    assert house.client.get(f"{one}?project=other").status_code == 404
    assert house.client.put(f"{one}?project=other", json=RULE).status_code == 404
    assert refused(house.client.post(f"{API}/alerts/rules", json=RULE), 409) == "the rule 'Busy' exists already"
    assert house.client.delete(one).json()["name"] == "Busy"
    assert got(house, "alerts/rules")["items"] == []


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"name": ""}, "name"), ({"type": "x"}, "type"), ({"metric": "x"}, "metric"), ({"params": {}}, "above or below"),
        ({"params": {"above": 10**30, "x": 1}}, "params.x"), ({"group_by": ["x"]}, "group_by"), ({"q": "model:"}, "model"),
        ({"window_s": 0}, "window_s"), ({"channels": ["x"]}, "channels"), ({"typo": 1}, "typo"), ({"labels": {"type": "x"}}, "labels"),
        ({"metric": "traces", "group_by": ["finish_reason"]}, "finish_reason"), ({"params": {"above": 2**70}}, "JSON"),
        ({"type": "anomaly", "metric": "", "params": {}}, "metric"), ({"note": "\x00" * 3000}, "note"),
    ],
)  # fmt: skip
def test_bad_rules_are_refused_naming_the_field(house: House, bad: dict[str, Any], named: str) -> None:
    assert named in refused(house.client.post(f"{API}/alerts/rules", json=RULE | bad))
    reply = house.client.post(f"{API}/alerts/rules/backtest", json={"rule": RULE | bad})
    assert named in refused(reply)


def test_the_offending_token_is_marked(house: House) -> None:
    reply = house.client.post(f"{API}/alerts/rules", json=RULE | {"q": "model:gpt modle:x"})
    assert reply.json()["error"]["position"] == 10


def test_back_test(house: House) -> None:
    body = {"rule": RULE | {"for_s": 60}, "from": str(AT_S - 600), "to": str(AT_S + 600)}
    reply = house.client.post(f"{API}/alerts/rules/backtest", json=body).json()
    assert reply["evaluations"] == 21
    assert (reply["alerts"], reply["pending"], reply["observed"]) == ([], 1, {"ok": 20, "breach": 1})
    body["rule"] |= {
        "for_s": 0,
        "group_by": ["model"],
        "metric": "duration_ms.p95",
        "window_s": 120,
        "params": {"above": 100},
    }
    reply = house.client.post(f"{API}/alerts/rules/backtest", json=body).json()
    models = [alert["labels"]["model"] for alert in reply["alerts"]]
    assert sorted(models) == ["", "gpt-4o"]
    assert {alert["fired_at"] for alert in reply["alerts"]} == {"2026-01-15T12:01:00.000000000Z"}
    assert {alert["resolved_at"] for alert in reply["alerts"]} == {"2026-01-15T12:03:00.000000000Z"}
    assert reply["notifications"] == {"(default)": 2}
    assert len(reply["notified_at"]) == 2
    assert got(house, "alerts/rules")["items"] == []
    for wrong in ({"from": "-3650d"}, {"from": "soon"}, {"from": str(AT_S), "to": str(AT_S - 1)}):
        assert refused(house.client.post(f"{API}/alerts/rules/backtest", json=body | wrong))


def test_from_rule_to_receiver(open_house: House) -> None:
    """A channel and a rule made over the API; the ticks evaluate stored spans and tell a real receiver."""
    house, lease = open_house, Lease("x", 1)
    alerts = house.records.alerts
    evaluation = AlertEvaluation(house.context.store, alerts, settle_s=0, public_url="http://house")
    delivery = AlertDelivery(alerts, house.context.outward, public_url="http://house")
    with http_receiver() as receiver:
        channel = {"name": "ops", "type": "webhook", "secrets": {"url": receiver.url + "/hook"}, "group_wait_s": 0}
        made(house, "alerts/channels", channel)
        rule = made(house, "alerts/rules", RULE | {"group_by": ["model"], "q": "status:error", "channels": ["ops"]})
        evaluation.run(T0 + 60 * 10**9, lease)
        delivery.run(T0 + 61 * 10**9, lease)
        delivery.finish(10)
    told = receiver.bodies[0]
    (item,) = told["alerts"]
    assert (item["labels"]["model"], item["value"], item["status"]) == ("gpt-4o", 1.0, "firing")
    assert [trace["url"][:25] for trace in item["evidence"]["traces"]] == ["http://house/traces/92eb5"]
    listed = got(house, "alerts?state=firing,pending")
    assert [(each["id"], each["muted"], each["metric"]) for each in listed["items"]] == [(item["id"], None, "requests")]
    detail = got(house, f"alerts/{item['id']}")
    assert [step["step"] for step in detail["history"]] == ["pending", "firing"]
    assert detail["evidence"] == item["evidence"]
    standing = got(house, f"alerts/rules/{rule['id']}")
    assert (standing["state"], standing["alerts"]["firing"], standing["observed"]) == ("firing", 1, {"breach": 1})
    (shown,) = got(house, "alerts/channels")["items"]
    assert (shown["deliveries"]["delivered"], shown["deliveries"]["waiting"]) == (1, 0)
    (note,) = got(house, f"alerts/channels/{shown['id']}/notifications")["items"]
    assert (note["state"], note["alerts"], note["attempts"]) == ("delivered", 1, 1)
    silence = {"matchers": [{"label": "model", "value": "gpt-4o"}], "ends_at": "+2h", "note": "known"}
    made(house, "alerts/silences", silence)
    assert got(house, "alerts")["items"][0]["muted"]["by"] == "silence"
    assert house.client.get(f"{API}/alerts/{item['id']}?project=other").status_code == 404
    delivery.close()


def test_alerts_are_paged(house: House) -> None:
    made(house, "alerts/rules", RULE | {"group_by": ["model"], "metric": "spans"})
    evaluation = AlertEvaluation(house.context.store, house.records.alerts, settle_s=0)
    evaluation.run(T0 + 60 * 10**9, Lease("x", 1))
    first = got(house, "alerts?limit=1")
    second = got(house, f"alerts?limit=1&cursor={first['next_cursor']}")
    assert len({each["id"] for page in (first, second) for each in page["items"]}) == 2
    assert second["next_cursor"] is None
    for bad in ("state=fine", "cursor=zzz", "severity=bad", "limit=0"):
        refused(house.client.get(f"{API}/alerts?{bad}"))


def test_secrets_of_a_channel_are_never_shown(open_house: House) -> None:
    house = open_house
    secret = "https://127.0.0.1:9/services/T0/B0/verysecret"
    channel = made(house, "alerts/channels", {"name": "ops", "type": "slack", "secrets": {"url": secret}})
    assert (channel["secrets"], channel["target"]) == ({"url": "set"}, "https://127.0.0.1:9")
    one = f"alerts/channels/{channel['id']}"
    shown = [house.client.get(f"{API}/{path}").text for path in ("alerts/channels", one)]
    assert not any("verysecret" in text for text in shown)
    assert b"verysecret" not in (house.settings.data_dir / "records.db").read_bytes()
    reply = house.client.post(f"{API}/{one}/test").json()
    assert (reply["delivered"], "verysecret" in reply["error"]) == (False, False)
    assert "cannot be reached" in reply["error"]
    # The secret stays when it is left out; it is not sent to another place.
    kept = house.client.put(f"{API}/{one}", json={"name": "ops", "type": "slack", "options": {"channel": "#x"}})
    assert (kept.json()["secrets"], kept.json()["options"]["channel"]) == ({"url": "set"}, "#x")
    assert house.client.get(f"{API}/{one}?project=other").status_code == 404
    assert house.client.post(f"{API}/{one}/test?project=other").status_code == 404


def test_a_kept_secret_is_not_sent_elsewhere(open_house: House) -> None:
    mine = {"name": "am", "type": "alertmanager", "secrets": {"url": "https://a.example.com", "token": "t"}}
    one = f"{API}/alerts/channels/{made(open_house, 'alerts/channels', mine)['id']}"
    moved = mine | {"secrets": {"url": "https://evil.example.com"}}
    assert "secrets.token was set for https://a.example.com" in refused(open_house.client.put(one, json=moved))
    again = open_house.client.put(one, json=mine | {"secrets": {"url": "https://b.example.com", "token": "new"}})
    assert again.json()["target"] == "https://b.example.com"
    none = open_house.client.put(one, json=mine | {"secrets": {"token": ""}})
    assert none.json()["secrets"] == {"url": "set"}


def test_a_test_message_arrives(open_house: House) -> None:
    with http_receiver() as receiver:
        channel = {"name": "ops", "type": "webhook", "secrets": {"url": receiver.url}}
        one = made(open_house, "alerts/channels", channel)
        reply = open_house.client.post(f"{API}/alerts/channels/{one['id']}/test").json()
    assert (reply["delivered"], reply["error"]) == (True, "")
    assert receiver.bodies[0]["alerts"][0]["rule"]["name"] == "Test of a channel"


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "fax"}, {"secrets": {}}, {"secrets": {"url": "x"}}, {"group_by": ["a b"]}, {"repeat_interval_s": 1},
        {"options": {"x": 1}}, {"name": " "}, {"secrets": {"url": "https://x", "more": "y"}},
    ],
)  # fmt: skip
def test_bad_channels_are_refused(open_house: House, bad: dict[str, Any]) -> None:
    body = {"name": "ops", "type": "webhook", "secrets": {"url": "https://x.example.com"}} | bad
    assert refused(open_house.client.post(f"{API}/alerts/channels", json=body))


def test_channels_in_use_stay_and_without_the_collector_none_is_made(house: House, open_house: House) -> None:
    body = {"name": "ops", "type": "webhook", "secrets": {"url": "https://x.example.com"}}
    one = made(open_house, "alerts/channels", body)
    made(open_house, "alerts/rules", RULE | {"channels": ["ops"]})
    assert "used by 1 rules" in refused(open_house.client.delete(f"{API}/alerts/channels/{one['id']}"), 409)
    from spanhouse_server.derive.alerts.channels.contract import NoOutward

    house.context.outward = NoOutward()
    reply = house.client.post(f"{API}/alerts/channels", json=body | {"name": "b"})
    assert "spanhouse-collector" in refused(reply, 503)


def test_silences(house: House) -> None:
    body = {"matchers": [{"label": "model", "operator": "=~", "value": "gpt*"}], "ends_at": "+2h", "created_by": "ann"}
    active = made(house, "alerts/silences", body)
    later = made(house, "alerts/silences", body | {"starts_at": "+1h"})
    assert (active["state"], later["state"]) == ("active", "waiting")
    ended = house.client.delete(f"{API}/alerts/silences/{active['id']}").json()
    assert ended["state"] == "ended"
    assert {each["state"] for each in got(house, "alerts/silences")["items"]} == {"ended", "waiting"}
    assert got(house, "alerts/silences?project=other")["items"] == []
    assert house.client.delete(f"{API}/alerts/silences/{later['id']}?project=other").status_code == 404
    for bad in ({"ends_at": "-1h"}, {"matchers": []}, {"ends_at": "+900d"}, {"ends_at": "x"}):
        assert refused(house.client.post(f"{API}/alerts/silences", json=body | bad))


def test_inhibitions(house: House) -> None:
    (default,) = got(house, "alerts/inhibitions")["items"]
    assert default["equal"] == ["*"]
    own = {
        "source": [{"label": "alertname", "value": "Down"}],
        "target": [{"label": "a", "value": "b"}],
        "equal": ["x"],
    }
    reply = house.client.put(f"{API}/alerts/inhibitions", json={"items": [own]})
    assert reply.json()["items"][0]["source"] == [{"label": "alertname", "operator": "=", "value": "Down"}]
    seen = reply.json()["version"]
    assert got(house, "alerts/inhibitions")["version"] == seen
    emptied = house.client.put(f"{API}/alerts/inhibitions", json={"items": [], "version": seen})
    assert emptied.json()["items"] == []
    late = house.client.put(f"{API}/alerts/inhibitions", json={"items": [own], "version": seen})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "conflict")
    assert got(house, "alerts/inhibitions")["items"] == []
    assert got(house, "alerts/inhibitions?project=other")["items"] == [default]


def test_types(house: House) -> None:
    types = got(house, "alerts/types")
    assert {"threshold", "no_data", "drift", "quality", "scaling"} <= {each["name"] for each in types["rules"]}
    assert {each["name"] for each in types["channels"]} == {"webhook", "slack", "email", "alertmanager", "pagerduty"}
    assert all(each["help"] for each in types["rules"] + types["channels"])


def test_only_an_admin_changes_and_others_read(locked: House) -> None:
    _, secret = locked.records.create_key("default", "app")
    key = {"x-api-key": secret}
    reads = ("alerts", "alerts/rules", "alerts/channels", "alerts/silences", "alerts/inhibitions")
    for path in reads:
        assert locked.client.get(f"{API}/{path}").status_code == 401
        assert locked.client.get(f"{API}/{path}", headers=key).status_code == 200
        assert locked.client.get(f"{API}/{path}?project=other", headers=key).status_code == 403
    silence = {"matchers": [{"label": "a", "value": "b"}], "ends_at": "+2h"}
    writes = [
        ("POST", "alerts/rules", RULE), ("PUT", "alerts/rules/x", RULE), ("DELETE", "alerts/rules/x", None),
        ("POST", "alerts/channels", {"name": "a", "type": "slack"}), ("PUT", "alerts/channels/x", {"name": "a", "type": "slack"}),
        ("DELETE", "alerts/channels/x", None), ("POST", "alerts/channels/x/test", None),
        ("POST", "alerts/silences", silence), ("DELETE", "alerts/silences/x", None), ("PUT", "alerts/inhibitions", {"items": []}),
    ]  # fmt: skip
    for method, path, body in writes:
        assert locked.client.request(method, f"{API}/{path}", json=body, headers=key).status_code == 403
    made_by_admin = locked.client.post(f"{API}/alerts/rules", json=RULE, headers={"x-api-key": ADMIN})
    assert made_by_admin.status_code == 201


def test_a_rule_for_what_comes_later_is_kept_and_not_observable(house: House) -> None:
    rule = made(house, "alerts/rules", {"name": "Queue", "type": "scaling", "metric": "queue", "params": {"above": 4}})
    AlertEvaluation(house.context.store, house.records.alerts, settle_s=0).run(now_ns(), Lease("x", 1))
    standing = got(house, f"alerts/rules/{rule['id']}")
    assert standing["state"] == "unknown"
    assert standing["reason"].startswith("not observable")


def test_back_tests_do_not_read_for_every_evaluation(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    real = house.context.store.select
    monkeypatch.setattr(house.context.store, "select", lambda sql, *more: reads.append(sql) or real(sql, *more))

    def back_test(days: int) -> int:
        body = {"rule": RULE | {"group_by": ["model"]}, "from": str(AT_S - days * 86_400), "to": str(AT_S + 3600)}
        reply = house.client.post(f"{API}/alerts/rules/backtest", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()["evaluations"]

    assert back_test(1) == 1_501
    of_a_day = len(reads)
    assert back_test(7) == 10_141
    assert len(reads) - of_a_day < 50, "for 8,640 evaluations more"
