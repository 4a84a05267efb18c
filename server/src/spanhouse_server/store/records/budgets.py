"""Budgets, the thresholds they crossed, service levels and GPU prices in the records store.

What a field may hold is checked before (``derive.budgets.checked``, ``derive.slo.checked``,
``query.cost.self_hosted.checked``); here only the number of them is bounded.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from spanhouse_server.clock import now_ns
from spanhouse_server.errors import BadRequest, NotFound
from spanhouse_server.model.budgets import Budget, Crossing, GpuPrice, Slo
from spanhouse_server.store.records.budget_tables import BudgetRecord, CrossingRecord, GpuPriceRecord, SloRecord
from spanhouse_server.store.records.engine import plain
from spanhouse_server.store.records.tables import KeyRecord
from spanhouse_server.store.records.transactions import Transactions

#: Each of them is read again and again, so their number is bounded.
MAX_PER_PROJECT = 200
#: Crossings of one budget that are listed, newest first.
MAX_LISTED_CROSSINGS = 200
#: Crossings older than this are forgotten.
KEEP_CROSSINGS_NS = 400 * 86_400 * 1_000_000_000
#: Hex digits of a key's hash that stand for it on spans (metadata ``key_id``).
KEY_ID_DIGITS = 16

_Kept = Budget | Slo | GpuPrice
_T = TypeVar("_T", Budget, Slo, GpuPrice)
_Record = type[BudgetRecord] | type[SloRecord] | type[GpuPriceRecord]
_RECORDS: dict[type, tuple[_Record, str]] = {
    Budget: (BudgetRecord, "budget"),
    Slo: (SloRecord, "service level"),
    GpuPrice: (GpuPriceRecord, "GPU price"),
}
_NUMBERS = frozenset({"limit_usd", "objective", "gpu_count", "usd_per_gpu_hour"})


class BudgetMethods(Transactions):
    """The methods of the records store about what this module holds; each call is one transaction."""

    def budgets(self, project_id: str | None = None) -> list[Budget]:
        """Return the budgets of a project, or of all projects, oldest first."""
        return self._all(Budget, project_id)

    def budget(self, project_id: str, budget_id: str) -> Budget:
        """Return one budget. Raises ``NotFound``."""
        return self._one(Budget, project_id, budget_id)

    def create_budget(self, budget: Budget) -> Budget:
        """Add a budget (its id and times are set here); return it. Raises ``BadRequest``, ``NotFound``."""
        return self._add(budget)

    def update_budget(self, budget: Budget) -> Budget:
        """Replace the budget with the same id; return it. Raises ``NotFound``."""
        return self._replace(budget)

    def delete_budget(self, project_id: str, budget_id: str) -> Budget:
        """Remove a budget with its crossings and return it. Raises ``NotFound``."""
        return self._remove(Budget, project_id, budget_id)

    def record_crossings(self, crossings: Sequence[Crossing]) -> list[Crossing]:
        """Keep crossings and return those that were not known before: each threshold is crossed once a period."""
        if not crossings:
            return []
        new = []
        try:
            with self._writing() as session:
                alive = set(session.scalars(select(BudgetRecord.id)))
                dialect = session.get_bind().dialect.name
                insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
                for crossing in crossings:
                    if crossing.budget_id not in alive:
                        continue
                    row = insert(CrossingRecord).values(**_crossing_row(crossing)).on_conflict_do_nothing()
                    if session.execute(row.returning(CrossingRecord.threshold)).first() is not None:
                        new.append(crossing)
                oldest_ns = max(crossing.crossed_ns for crossing in crossings) - KEEP_CROSSINGS_NS
                session.execute(delete(CrossingRecord).where(CrossingRecord.crossed_ns < oldest_ns))
        except IntegrityError:
            # A budget was deleted meanwhile. Nothing is kept; the next round finds the others again.
            return []
        return new

    def crossings(self, project_id: str, budget_id: str) -> list[Crossing]:
        """Return the newest crossings of a budget, newest first; none for a budget of another project."""
        with self._reading() as session:
            found = session.scalars(
                select(CrossingRecord)
                .join(BudgetRecord, BudgetRecord.id == CrossingRecord.budget_id)
                .where(BudgetRecord.id == plain(budget_id), BudgetRecord.project_id == plain(project_id))
                .order_by(CrossingRecord.crossed_ns.desc(), CrossingRecord.threshold.desc(), CrossingRecord.value_hash)
                .limit(MAX_LISTED_CROSSINGS)
            )
            return [_crossing(record, project_id) for record in found]

    def key_ids(self, project_id: str) -> dict[str, str]:
        """Return what stands on spans for each key of a project, by the key's id: revoked ones included."""
        with self._reading() as session:
            found = session.scalars(select(KeyRecord).where(KeyRecord.project_id == plain(project_id)))
            return {record.id: record.hash[:KEY_ID_DIGITS] for record in found}

    def slos(self, project_id: str | None = None) -> list[Slo]:
        """Return the service levels of a project, or of all projects, oldest first."""
        return self._all(Slo, project_id)

    def slo(self, project_id: str, slo_id: str) -> Slo:
        """Return one service level. Raises ``NotFound``."""
        return self._one(Slo, project_id, slo_id)

    def create_slo(self, slo: Slo) -> Slo:
        """Add a service level (its id and times are set here); return it. Raises ``BadRequest``, ``NotFound``."""
        return self._add(slo)

    def update_slo(self, slo: Slo) -> Slo:
        """Replace the service level with the same id; return it. Raises ``NotFound``."""
        return self._replace(slo)

    def delete_slo(self, project_id: str, slo_id: str) -> Slo:
        """Remove a service level and return it. Raises ``NotFound``."""
        return self._remove(Slo, project_id, slo_id)

    def gpu_prices(self, project_id: str) -> list[GpuPrice]:
        """Return the GPU prices of a project, oldest first."""
        return self._all(GpuPrice, project_id)

    def create_gpu_price(self, price: GpuPrice) -> GpuPrice:
        """Add a GPU price (its id and time are set here); return it. Raises ``BadRequest``, ``NotFound``."""
        return self._add(price)

    def delete_gpu_price(self, project_id: str, price_id: str) -> GpuPrice:
        """Remove a GPU price and return it. Raises ``NotFound``."""
        return self._remove(GpuPrice, project_id, price_id)

    # What the three have in common ------------------------------------------------------------------

    def _all(self, kind: type[_T], project_id: str | None) -> list[_T]:
        table = _RECORDS[kind][0]
        query = select(table).order_by(table.created_ns, table.id)
        if project_id is not None:
            query = query.where(table.project_id == plain(project_id))
        with self._reading() as session:
            return [_read(kind, record) for record in session.scalars(query)]

    def _one(self, kind: type[_T], project_id: str, item_id: str) -> _T:
        with self._reading() as session:
            return _read(kind, _found(session, kind, project_id, item_id))

    def _add(self, item: _T) -> _T:
        table: Any = _RECORDS[type(item)][0]
        what = _RECORDS[type(item)][1]
        stamp_ns = now_ns()
        kept = replace(item, id=secrets.token_hex(8), created_ns=stamp_ns)
        if not isinstance(kept, GpuPrice):
            kept = replace(kept, updated_ns=stamp_ns)
        try:
            with self._writing() as session:
                known = session.scalar(select(func.count()).where(table.project_id == kept.project_id)) or 0
                if known >= MAX_PER_PROJECT:
                    raise BadRequest(
                        f"a project has at most {MAX_PER_PROJECT} entries of this kind ({what})", "delete one"
                    )
                record = table(**_row(kept))
                session.add(record)
                session.flush()
                return _read(type(kept), record)
        except IntegrityError:
            raise NotFound(f"no project {item.project_id!r}", "create the project first") from None

    def _replace(self, item: _T) -> _T:
        with self._writing() as session:
            record = _found(session, type(item), item.project_id, item.id)
            values = _row(item) | {"created_ns": record.created_ns, "updated_ns": now_ns()}
            for name, value in values.items():
                setattr(record, name, value)
            return _read(type(item), record)

    def _remove(self, kind: type[_T], project_id: str, item_id: str) -> _T:
        with self._writing() as session:
            record = _found(session, kind, project_id, item_id)
            removed = _read(kind, record)
            if kind is Budget:
                session.execute(delete(CrossingRecord).where(CrossingRecord.budget_id == removed.id))
            session.delete(record)
            return removed


def _found(session: Session, kind: type, project_id: str, item_id: str) -> Any:
    table, what = _RECORDS[kind]
    record: Any = session.get(table, plain(item_id))
    if record is None or record.project_id != plain(project_id):
        raise NotFound(f"no {what} {item_id[:60]!r} in this project")
    return record


def _row(item: _Kept) -> dict[str, Any]:
    """Return the columns: exact numbers and thresholds as text."""
    row = asdict(item)
    for name, value in row.items():
        if name in _NUMBERS:
            row[name] = f"{value:f}"
        elif isinstance(value, str):
            row[name] = plain(value)
    if isinstance(item, Budget):
        row["thresholds"] = ",".join(str(each) for each in item.thresholds)
    return row


def _read(kind: type[_T], record: Any) -> _T:
    values = {each.name: getattr(record, each.name) for each in fields(kind)}
    for name in _NUMBERS & values.keys():
        values[name] = Decimal(values[name])
    if "thresholds" in values:
        values["thresholds"] = tuple(int(part) for part in values["thresholds"].split(",") if part)
    return kind(**values)


def _crossing_row(crossing: Crossing) -> dict[str, Any]:
    value = plain(crossing.value)
    return {
        "budget_id": crossing.budget_id,
        "period_key": crossing.period_key,
        "value_hash": hashlib.sha256(value.encode()).hexdigest()[:32],
        "threshold": crossing.threshold,
        "value": value[:500],
        "crossed_ns": crossing.crossed_ns,
        "used_usd": f"{crossing.used_usd:f}",
    }


def _crossing(record: CrossingRecord, project_id: str) -> Crossing:
    return Crossing(
        record.budget_id,
        project_id,
        record.value,
        record.period_key,
        record.threshold,
        record.crossed_ns,
        Decimal(record.used_usd),
    )
