"""Fenced leases and cursors of background workers, and backfills, in the records store.

A holder shows that it lives by raising ``beat``. Another takes over only what it has seen unchanged for
the whole time to live on its own clock, so clocks of different machines need not agree. Each take-over
and each call of a worker raises ``fence``; what is written under an older fence is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from spanhouse_server.clock import now_ns
from spanhouse_server.errors import BadRequest, LeaseLost, NotFound
from spanhouse_server.model.leases import OPEN_BACKFILLS, Backfill, LeaseState
from spanhouse_server.store.records.engine import plain
from spanhouse_server.store.records.lease_tables import BackfillRecord, LeaseRecord
from spanhouse_server.store.records.transactions import Transactions

#: Backfills that may wait at once, and those that are remembered.
MAX_OPEN = 100
MAX_KEPT = 1000


class LeaseMethods(Transactions):
    """The methods of the records store about what this module holds; each call is one transaction."""

    def leases(self) -> list[LeaseState]:
        """Return every lease by name."""
        with self._reading() as session:
            return lease_states(session)

    def take_lease(
        self, name: str, holder: str, seen: LeaseState | None, position_ns: int, covered_ns: int
    ) -> LeaseState:
        """Take a lease that is free, the holder's own, or still as ``seen``; return how it stands then."""
        try:
            with self._writing() as session:
                return take_lease(session, name, holder, seen, position_ns, covered_ns)
        except IntegrityError:
            # Another made it between the look and the insert: this time there is one to look at.
            with self._writing() as session:
                return take_lease(session, name, holder, seen, position_ns, covered_ns)

    def next_fence(self, name: str, holder: str) -> int:
        """Raise the fence for the next call of the worker and return it. Raises ``LeaseLost``."""
        with self._writing() as session:
            return next_fence(session, name, holder)

    def renew_lease(self, name: str, holder: str) -> bool:
        """Show that the holder lives; return whether it still is the holder."""
        with self._writing() as session:
            return renew_lease(session, name, holder)

    def move_cursor(self, name: str, fence: int, position_ns: int, covered_ns: int) -> None:
        """Note how far the worker is. Raises ``LeaseLost`` when ``fence`` is not the newest."""
        with self._writing() as session:
            move_cursor(session, name, fence, position_ns, covered_ns)

    def release_lease(self, name: str, holder: str) -> None:
        """Let the next one take the lease at once."""
        with self._writing() as session:
            release_lease(session, name, holder)

    def add_backfill(self, worker: str, project_id: str, from_ns: int, to_ns: int) -> Backfill:
        """Ask a worker for a range of start times; return it with its id. Raises ``BadRequest``."""
        with self._writing() as session:
            return add_backfill(session, worker, project_id, from_ns, to_ns)

    def backfills(self, worker: str = "", states: Sequence[str] = ()) -> list[Backfill]:
        """Return the backfills of a worker, or of all, in some states, or in all, oldest first."""
        with self._reading() as session:
            return list_backfills(session, worker, states)

    def backfill(self, backfill_id: str) -> Backfill:
        """Return one backfill. Raises ``NotFound``."""
        with self._reading() as session:
            return get_backfill(session, backfill_id)

    def move_backfill(self, made: Backfill, fence: int) -> None:
        """Keep how far a backfill is. Raises ``LeaseLost`` when ``fence`` is not its worker's newest."""
        with self._writing() as session:
            move_backfill(session, made, fence)


def check_fence(session: Session, name: str, fence: int) -> None:
    """Raise ``LeaseLost`` unless ``fence`` is the lease's newest; it stays so until the transaction ends."""
    found = session.scalar(select(LeaseRecord.fence).where(LeaseRecord.name == name).with_for_update())
    if found != fence:
        raise _lost(name)


def lease_states(session: Session) -> list[LeaseState]:
    """Return every lease by name."""
    return [_state(record) for record in session.scalars(select(LeaseRecord).order_by(LeaseRecord.name))]


def take_lease(
    session: Session, name: str, holder: str, seen: LeaseState | None, position_ns: int, covered_ns: int
) -> LeaseState:
    """Take a lease that nobody has, that ``holder`` has, or that is still as ``seen``; return how it stands then.

    The answer's ``holder`` tells whether it was taken. A new lease begins at ``position_ns`` and ``covered_ns``.
    """
    record = session.get(LeaseRecord, name, with_for_update=True)
    if record is None:
        record = LeaseRecord(
            name=name, holder=holder, fence=1, beat=1, position_ns=position_ns, covered_ns=covered_ns, updated_ns=0
        )
        session.add(record)
    elif record.holder in ("", holder) or (seen is not None and (record.fence, record.beat) == (seen.fence, seen.beat)):
        record.holder, record.fence, record.beat = holder, record.fence + 1, record.beat + 1
    else:
        return _state(record)
    record.updated_ns = now_ns()
    return _state(record)


def next_fence(session: Session, name: str, holder: str) -> int:
    """Raise the fence for the next call of the worker and return it. Raises ``LeaseLost``."""
    record = session.get(LeaseRecord, name, with_for_update=True)
    if record is None or record.holder != holder:
        raise _lost(name)
    record.fence, record.beat, record.updated_ns = record.fence + 1, record.beat + 1, now_ns()
    return record.fence


def renew_lease(session: Session, name: str, holder: str) -> bool:
    """Show that the holder lives; return whether it still is the holder."""
    done = session.execute(
        update(LeaseRecord)
        .where(LeaseRecord.name == name, LeaseRecord.holder == holder)
        .values(beat=LeaseRecord.beat + 1, updated_ns=now_ns())
    )
    assert isinstance(done, CursorResult)
    return bool(done.rowcount)


def move_cursor(session: Session, name: str, fence: int, position_ns: int, covered_ns: int) -> None:
    """Note how far the worker is. Raises ``LeaseLost`` when another call began since ``fence`` was given."""
    done = session.execute(
        update(LeaseRecord)
        .where(LeaseRecord.name == name, LeaseRecord.fence == fence)
        .values(position_ns=position_ns, covered_ns=covered_ns, beat=LeaseRecord.beat + 1, updated_ns=now_ns())
    )
    assert isinstance(done, CursorResult)
    if not done.rowcount:
        raise _lost(name)


def release_lease(session: Session, name: str, holder: str) -> None:
    """Let the next one take the lease at once."""
    session.execute(
        update(LeaseRecord)
        .where(LeaseRecord.name == name, LeaseRecord.holder == holder)
        .values(holder="", updated_ns=now_ns())
    )


def add_backfill(session: Session, worker: str, project_id: str, from_ns: int, to_ns: int) -> Backfill:
    """Ask a worker for a range of start times; return it with its id. Raises ``BadRequest``."""
    if from_ns >= to_ns:
        raise BadRequest("the backfill ends before it begins", "--until must come after --since")
    kept = list(session.scalars(select(BackfillRecord).order_by(BackfillRecord.created_ns, BackfillRecord.id)))
    if sum(each.state in OPEN_BACKFILLS for each in kept) >= MAX_OPEN:
        raise BadRequest(f"{MAX_OPEN} backfills are waiting", "wait until some are done")
    for each in [each for each in kept if each.state not in OPEN_BACKFILLS][: max(len(kept) + 1 - MAX_KEPT, 0)]:
        session.delete(each)
    record = BackfillRecord(
        id=secrets.token_hex(8),
        worker=plain(worker),
        project_id=plain(project_id),
        from_ns=from_ns,
        to_ns=to_ns,
        position_ns=to_ns,
        state="waiting",
        windows=0,
        rows=0,
        error="",
        created_ns=now_ns(),
        ended_ns=None,
    )
    session.add(record)
    return _backfill(record)


def list_backfills(session: Session, worker: str, states: Sequence[str]) -> list[Backfill]:
    """Return the backfills of a worker (of all: empty) in some states (in all: empty), oldest first."""
    query = select(BackfillRecord).order_by(BackfillRecord.created_ns, BackfillRecord.id)
    if worker:
        query = query.where(BackfillRecord.worker == plain(worker))
    if states:
        query = query.where(BackfillRecord.state.in_(states))
    return [_backfill(record) for record in session.scalars(query)]


def get_backfill(session: Session, backfill_id: str) -> Backfill:
    """Return one backfill. Raises ``NotFound``."""
    record = session.get(BackfillRecord, plain(backfill_id))
    if record is None:
        raise NotFound(f"no backfill {backfill_id!r}")
    return _backfill(record)


def move_backfill(session: Session, made: Backfill, fence: int) -> None:
    """Keep how far a backfill is. Raises ``LeaseLost`` when another process works on it by now."""
    check_fence(session, made.worker, fence)
    record = session.get(BackfillRecord, made.id)
    if record is None:
        raise NotFound(f"no backfill {made.id!r}")
    record.position_ns, record.state, record.error = made.position_ns, made.state, plain(made.error)[:500]
    record.windows, record.rows = made.windows, made.rows
    record.ended_ns = None if made.state in OPEN_BACKFILLS else now_ns()


def _lost(name: str) -> LeaseLost:
    return LeaseLost(f"another process does the work of {name} now", "nothing to do: it goes on there")


def _state(record: LeaseRecord) -> LeaseState:
    return LeaseState(
        record.name,
        record.holder,
        record.fence,
        record.beat,
        record.position_ns,
        record.covered_ns,
        record.updated_ns,
    )


def _backfill(record: BackfillRecord) -> Backfill:
    return Backfill(
        id=record.id,
        worker=record.worker,
        project_id=record.project_id,
        from_ns=record.from_ns,
        to_ns=record.to_ns,
        position_ns=record.position_ns,
        state=record.state,
        windows=record.windows,
        rows=record.rows,
        error=record.error,
        created_ns=record.created_ns,
        ended_ns=record.ended_ns,
    )
