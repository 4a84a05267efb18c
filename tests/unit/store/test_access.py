"""Who may open what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanhouse_server.config import Settings
from spanhouse_server.errors import Forbidden, NotFound, SpanhouseError, StoreUnavailable, Unauthenticated
from spanhouse_server.store.access import AWAY_S, FRESH_S, STALE_S, Access
from spanhouse_server.store.contract import ApiKey, RecordsStore
from tests.templates import new_records

ADMIN = "an-admin-key-of-some-length"


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Flaky:
    """A real records store with a switch that takes it down, counting key lookups."""

    def __init__(self, records: RecordsStore) -> None:
        self._records = records
        self.down = False
        self.lookups = 0

    def __getattr__(self, name: str):
        if self.down:
            raise StoreUnavailable("down")
        return getattr(self._records, name)

    def authenticate(self, secret: str) -> ApiKey | None:
        self.lookups += 1
        if self.down:
            raise StoreUnavailable("down")
        return self._records.authenticate(secret)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Flaky]:
    store = new_records(tmp_path / "records.db")
    store.create_project("other")
    yield Flaky(store)
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def access(records: Flaky, clock: Clock, **settings: object) -> Access:
    return Access(Settings.load(settings, env={}), records, clock)


OPEN = {}
GUARDED = {"require_keys": True}
PUBLIC = {"host": "0.0.0.0", "admin_key": ADMIN}


@pytest.mark.parametrize(
    ("settings", "secret", "project", "outcome"),
    [
        (OPEN, None, None, "default"),
        (OPEN, "", "", "default"),
        (OPEN, None, "other", "other"),
        (OPEN, None, "absent", NotFound),
        (OPEN, "KEY", None, "default"),
        (OPEN, "KEY", "default", "default"),
        (OPEN, "KEY", "other", Forbidden),
        (OPEN, "wrong", None, Unauthenticated),
        (OPEN, "wrong", "other", Unauthenticated),
        (GUARDED, None, None, Unauthenticated),
        (GUARDED, None, "other", Unauthenticated),
        (GUARDED, "KEY", None, "default"),
        (GUARDED, "", None, Unauthenticated),
        (PUBLIC, None, None, Unauthenticated),
        (PUBLIC, ADMIN, None, "default"),
        (PUBLIC, ADMIN, "other", "other"),
        (PUBLIC, ADMIN, "absent", NotFound),
        (PUBLIC, ADMIN + "x", "other", Unauthenticated),
        (PUBLIC, ADMIN[:-1], None, Unauthenticated),
        (PUBLIC, "\ud800 é\0", None, Unauthenticated),
        (PUBLIC, "KEY", "other", Forbidden),
    ],
)
def test_project_for(records, clock, settings, secret, project, outcome) -> None:
    if secret == "KEY":
        _, secret = records.create_key("default", "k")
    doors = access(records, clock, **settings)
    if isinstance(outcome, type) and issubclass(outcome, SpanhouseError):
        for _ in range(2):
            with pytest.raises(outcome):
                doors.project_for(secret, project)
    else:
        assert [doors.project_for(secret, project) for _ in range(2)] == [outcome] * 2


def test_is_admin(records: Flaky, clock: Clock) -> None:
    _, key = records.create_key("default", "k")
    assert access(records, clock).is_admin(None)
    assert not access(records, clock).is_admin(key)
    assert not access(records, clock, require_keys=True).is_admin(None)
    public = access(records, clock, **PUBLIC)
    assert public.is_admin(ADMIN)
    assert not public.is_admin(None)
    assert not public.is_admin(key)


def test_a_revoked_key_stops_working_within_seconds(records: Flaky, clock: Clock) -> None:
    key, secret = records.create_key("default", "k")
    doors = access(records, clock)
    assert doors.project_for(secret, None) == "default"
    records.revoke_key("default", key.id)
    clock.now_s += FRESH_S
    assert FRESH_S <= 5
    with pytest.raises(Unauthenticated):
        doors.project_for(secret, None)


def test_forgetting_shows_a_change_at_once(records: Flaky, clock: Clock) -> None:
    key, secret = records.create_key("default", "k")
    doors = access(records, clock)
    doors.project_for(secret, None)
    records.revoke_key("default", key.id)
    doors.forget()
    with pytest.raises(Unauthenticated):
        doors.project_for(secret, None)


def test_a_new_project_and_key_are_seen_soon(records: Flaky, clock: Clock) -> None:
    doors = access(records, clock)
    with pytest.raises(NotFound):
        doors.project_for(None, "soon")
    records.create_project("soon")
    clock.now_s += FRESH_S
    assert doors.project_for(None, "soon") == "soon"


def test_known_keys_work_through_an_outage(records: Flaky, clock: Clock) -> None:
    _, secret = records.create_key("other", "k")
    doors = access(records, clock)
    doors.project_for(secret, None)
    doors.project_for(None, "other")
    records.down = True
    clock.now_s += 3600
    assert doors.project_for(secret, None) == "other"
    assert doors.project_for(None, "other") == "other"
    assert doors.project_for(None, None) == "default"
    with pytest.raises(StoreUnavailable):
        doors.project_for("sk-sh-unknown", None)
    with pytest.raises(StoreUnavailable):
        doors.project_for(None, "third")
    clock.now_s += STALE_S
    with pytest.raises(StoreUnavailable):
        doors.project_for(secret, None)


def test_a_records_store_that_is_away_is_asked_now_and_then(records: Flaky, clock: Clock) -> None:
    """Each question may take until its time is up: thousands of requests must not wait for one each."""
    _, secret = records.create_key("other", "k")
    doors = access(records, clock)
    doors.project_for(secret, None)
    records.down = True
    records.lookups = 0
    clock.now_s += FRESH_S
    for _ in range(100):
        assert doors.project_for(secret, None) == "other"
        with pytest.raises(StoreUnavailable):
            doors.project_for("sk-sh-unknown", None)
    assert records.lookups == 1
    clock.now_s += AWAY_S
    assert doors.project_for(secret, None) == "other"
    assert records.lookups == 2
    records.down = False
    clock.now_s += AWAY_S
    with pytest.raises(Unauthenticated):
        doors.project_for("sk-sh-unknown", None)


def test_lookups_are_few(records: Flaky, clock: Clock) -> None:
    _, secret = records.create_key("default", "k")
    doors = access(records, clock)
    for _ in range(1000):
        doors.project_for(secret, None)
    assert records.lookups == 1


def test_guessing_does_not_push_known_keys_out_of_memory(records: Flaky, clock: Clock, monkeypatch) -> None:
    monkeypatch.setattr("spanhouse_server.store.access.MAX_CACHED", 10)
    _, secret = records.create_key("default", "k")
    doors = access(records, clock)
    doors.project_for(secret, None)
    for n in range(50):
        with pytest.raises(Unauthenticated):
            doors.project_for(f"guess {n}", None)
    records.down = True
    assert doors.project_for(secret, None) == "default"
