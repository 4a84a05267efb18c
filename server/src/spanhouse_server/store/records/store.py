"""Projects, keys and settings in a relational database."""

from __future__ import annotations

import re
import secrets
import unicodedata
from hashlib import sha256

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError

from spanhouse_server.clock import now_ns
from spanhouse_server.errors import BadRequest, Conflict, NotFound
from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.store.contract import KEY_MARK, ApiKey, Project, RecordsStore
from spanhouse_server.store.records import schema
from spanhouse_server.store.records.alerts import SqlAlerts
from spanhouse_server.store.records.budgets import BudgetMethods
from spanhouse_server.store.records.engine import make_engine, plain, translated
from spanhouse_server.store.records.leases import LeaseMethods
from spanhouse_server.store.records.prices import add_price, list_prices, remove_price
from spanhouse_server.store.records.tables import KeyRecord, ProjectRecord, SettingRecord

#: 24 random bytes make 32 url-safe characters.
KEY_BYTES = 24
PREFIX_CHARACTERS = 12
MAX_RETENTION_DAYS = 65_535


def open_records(url: str) -> RecordsStore:
    """Open the records store at a SQLAlchemy URL (``sqlite:///…`` or ``postgresql://…``).

    Connects lazily: an unreachable server shows at the first call, as ``StoreUnavailable``.
    """
    return SqlRecords(make_engine(url))


class SqlRecords(BudgetMethods, LeaseMethods):
    """The records store on SQLAlchemy. Thread-safe; every call is one transaction."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.alerts = SqlAlerts(self._reading, self._writing)

    def migrate(self) -> None:
        """Bring the schema to the newest revision and make sure of the ``default`` project."""
        with translated():
            schema.upgrade(self._engine)
        if self.project("default") is None:
            try:
                with self._writing() as session:
                    session.add(ProjectRecord(id="default", name="default", created_ns=now_ns(), retention_days=0))
            except IntegrityError:
                # Another server made it between the look and the insert.
                return

    def projects(self) -> list[Project]:
        """Return all projects, oldest first."""
        with self._reading() as session:
            found = session.scalars(select(ProjectRecord).order_by(ProjectRecord.created_ns, ProjectRecord.id))
            return [_project(record) for record in found]

    def project(self, project_id: str) -> Project | None:
        """Return one project, or nothing."""
        with self._reading() as session:
            record = session.get(ProjectRecord, plain(project_id))
            return _project(record) if record else None

    def create_project(self, name: str, retention_days: int = 0) -> Project:
        """Create a project. Raises ``Conflict`` if one of that id exists, ``BadRequest`` for a bad name."""
        if not 0 <= retention_days <= MAX_RETENTION_DAYS:
            raise BadRequest(f"retention_days must lie between 0 and {MAX_RETENTION_DAYS}", "0 keeps data for ever")
        name = _name(name, "project")
        record = ProjectRecord(id=project_id_from(name), name=name, created_ns=now_ns(), retention_days=retention_days)
        try:
            with self._writing() as session:
                session.add(record)
        except IntegrityError:
            raise Conflict(f"the project {record.id!r} exists already", "choose another name") from None
        return _project(record)

    def keys(self, project_id: str) -> list[ApiKey]:
        """Return the keys of a project, oldest first, revoked ones included."""
        with self._reading() as session:
            found = session.scalars(
                select(KeyRecord)
                .where(KeyRecord.project_id == plain(project_id))
                .order_by(KeyRecord.created_ns, KeyRecord.id)
            )
            return [_key(record) for record in found]

    def create_key(self, project_id: str, name: str) -> tuple[ApiKey, str]:
        """Create a key and return it with its secret. Raises ``NotFound`` for an unknown project."""
        secret = KEY_MARK + secrets.token_urlsafe(KEY_BYTES)
        record = KeyRecord(
            id=secrets.token_hex(8),
            project_id=plain(project_id),
            name=_name(name, "key"),
            prefix=secret[:PREFIX_CHARACTERS],
            hash=_hash(secret),
            created_ns=now_ns(),
        )
        try:
            with self._writing() as session:
                session.add(record)
        except IntegrityError:
            raise NotFound(f"no project {project_id!r}", "create the project first") from None
        return _key(record), secret

    def revoke_key(self, project_id: str, key_id: str) -> None:
        """Revoke a key for good; revoking it again changes nothing. Raises ``NotFound``."""
        key_id, project_id = plain(key_id), plain(project_id)
        with self._writing() as session:
            record = session.get(KeyRecord, key_id)
            if record is None or record.project_id != project_id:
                raise NotFound(f"no key {key_id!r} in this project")
            session.execute(
                update(KeyRecord)
                .where(KeyRecord.id == key_id, KeyRecord.project_id == project_id, KeyRecord.revoked_ns.is_(None))
                .values(revoked_ns=now_ns())
            )

    def authenticate(self, secret: str) -> ApiKey | None:
        """Return the live key with this secret, or nothing.

        The lookup is by hash, so its time tells nothing about the secret itself.
        """
        with self._reading() as session:
            found = session.scalars(
                select(KeyRecord).where(KeyRecord.hash == _hash(secret), KeyRecord.revoked_ns.is_(None))
            ).first()
            return _key(found) if found else None

    def setting(self, key: str) -> str | None:
        """Return a stored setting."""
        with self._reading() as session:
            record = session.get(SettingRecord, plain(key))
            return record.value if record else None

    def put_setting(self, key: str, value: str) -> None:
        """Store a setting, replacing what was there."""
        try:
            with self._writing() as session:
                session.merge(SettingRecord(key=key, value=value))
        except IntegrityError:
            # Two writers met on a new key: the row exists now, so this time it is an update.
            with self._writing() as session:
                session.merge(SettingRecord(key=key, value=value))

    def first_setting(self, key: str, value: str) -> str:
        """Store a setting unless there is one; return the one that holds, the same for all who ask at once."""
        known = self.setting(key)
        if known is not None:
            return known
        try:
            with self._writing() as session:
                session.add(SettingRecord(key=key, value=value))
        except IntegrityError:
            # Another server was quicker: its value holds.
            return self.setting(key) or value
        return value

    def prices(self, project_id: str | None = None) -> list[OwnPrice]:
        """Return the own prices of a project, or of all projects."""
        with self._reading() as session:
            return list_prices(session, None if project_id is None else plain(project_id))

    def create_price(self, price: OwnPrice) -> OwnPrice:
        """Add an own price; return it with its id. Raises ``BadRequest``, ``NotFound`` for an unknown project."""
        try:
            with self._writing() as session:
                return add_price(session, price)
        except IntegrityError:
            raise NotFound(f"no project {price.project_id!r}", "create the project first") from None

    def delete_price(self, project_id: str, price_id: str) -> OwnPrice:
        """Remove an own price and return it. Raises ``NotFound``."""
        with self._writing() as session:
            return remove_price(session, plain(project_id), plain(price_id))

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()


def project_id_from(name: str) -> str:
    """Return a url-safe id made from a name: ``Support Bot (EU)`` gives ``support-bot-eu``."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:64].strip("-")
    return slug or "p-" + sha256(name.encode()).hexdigest()[:12]


def _name(name: str, what: str) -> str:
    name = plain(name).strip()
    if not name or len(name) > 200:
        raise BadRequest(f"a {what} needs a name of 1 to 200 characters")
    return name


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def _project(record: ProjectRecord) -> Project:
    return Project(record.id, record.name, record.created_ns, record.retention_days)


def _key(record: KeyRecord) -> ApiKey:
    return ApiKey(record.id, record.project_id, record.name, record.prefix, record.created_ns, record.revoked_ns)
