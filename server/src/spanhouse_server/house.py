"""Opens what a server consists of, in order, and closes it in reverse."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from spanhouse_server import __version__
from spanhouse_server.config import MIB, Settings
from spanhouse_server.derive.alerts.channels.contract import NoOutward, Outward
from spanhouse_server.derive.alerts.deliver import AlertDelivery
from spanhouse_server.derive.alerts.desk import public_url_of
from spanhouse_server.derive.alerts.evaluate import AlertEvaluation
from spanhouse_server.derive.alerts.kinds import bind_kinds
from spanhouse_server.derive.anomaly.memory import LearntStates
from spanhouse_server.derive.budgets.guard import BudgetGuard
from spanhouse_server.derive.budgets.tick import BudgetTick
from spanhouse_server.derive.contract import Tick, Worker
from spanhouse_server.derive.rollup import Rollup
from spanhouse_server.derive.runner import Runner
from spanhouse_server.derive.series import StoreSeries
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import ConfigError, FolderInUse
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.remake import Remakes
from spanhouse_server.show.live import LiveHub
from spanhouse_server.spool.sqlite import SqliteSpool
from spanhouse_server.store.access import Access
from spanhouse_server.store.columnar import open_columnar
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.gate import StoreGate
from spanhouse_server.store.own_prices import PriceBooks
from spanhouse_server.store.records import open_records
from spanhouse_server.store.retention import Retention

log = logging.getLogger("spanhouse")

#: The drain loop beats at least this often while all is well; longer means it hangs.
DRAIN_STALE_S = 120.0
#: In the data folder: where its server listens, for commands that find the folder in use.
ADDRESS_FILE = ".address"
#: In the data folder: its name among the servers that share a records store.
INSTANCE_FILE = ".instance"


@dataclass(slots=True)
class Stores:
    """Both stores, open."""

    columnar: ColumnarStore
    records: RecordsStore


class House:
    """Everything but the listening: stores, spool, pipeline, and what watches over them."""

    def __init__(self, settings: Settings, outward: Outward | None = None) -> None:
        """``outward`` guards what notifications may reach; without one none go out."""
        self.settings = settings
        self.outward = outward or NoOutward()
        self.metrics = Metrics(__version__)
        self.health = Health()
        self.live = LiveHub()
        self._exits = ExitStack()

    def open(self) -> None:
        """Open the stores. Raises ``ConfigError`` when that cannot work."""
        try:
            self._open()
        except BaseException:
            self._exits.close()
            raise

    def _open(self) -> None:
        self._exits.enter_context(lock_data_dir(self.settings))
        self.records = open_records(self.settings.records_url)
        self._exits.callback(self.records.close)
        self.records.migrate()
        self.spool = self._exits.enter_context(open_spool(self.settings))
        self.store = StoreGate(lambda: open_columnar_store(self.settings))
        self._exits.callback(self.store.close)
        self.store.open()
        self.access = Access(self.settings, self.records)
        retention = Retention(self.records, self.settings.retention_days)
        self.prices = PriceBooks(self.records)
        bind_kinds(self.records)
        self.budgets = BudgetGuard(self.store, self.records)
        self._exits.callback(self.budgets.stop)
        self.budgets.start()
        workshop = Workshop(self.settings.transform_processes, Path(self.settings.data_dir) / "handover")
        self._exits.callback(workshop.close)
        self.pipeline = Pipeline(
            self.spool,
            self.store,
            workshop,
            retention.by_project,
            self.metrics,
            self.health,
            self._published,
            self.prices.current,
        )
        self._exits.callback(self.pipeline.stop)
        self.remakes = Remakes(self.store, self.records, self.prices.current, self.pipeline.between_batches)
        self._exits.callback(self.remakes.stop)
        self.runner = Runner(
            self.store,
            self.records,
            self.metrics,
            workers=background_workers(self.settings, self.store),
            ticks=self._ticks(),
            instance=instance_of(self.settings),
        )
        self._exits.callback(self.runner.stop)
        self.metrics.watch_ingest(self.spool.stats)
        self.metrics.watch_alerts(self.records.alerts.counts)
        self.health.expect("drain", stale_after_s=DRAIN_STALE_S, required=False, vital=True)
        self.health.report("drain", True)

    def work(self) -> None:
        """Start draining and deriving: once it listens, for they would take the cores from what is still to start."""
        self.pipeline.start()
        if self.settings.workers:
            self.runner.start()

    def close(self) -> None:
        """Stop draining and release everything; what is spooled stays for the next start."""
        self._exits.close()

    def _ticks(self) -> list[Tick]:
        """Return the work by the clock, one line each."""
        settings, public_url = self.settings, public_url_of(self.settings)
        evaluation = AlertEvaluation(
            self.store,
            self.records.alerts,
            settle_s=settings.alert_settle_s,
            public_url=public_url,
            behind_s=lambda: self.spool.stats().oldest_age_s,
            source=StoreSeries(self.store, LearntStates(self.records)),
        )
        delivery = AlertDelivery(self.records.alerts, self.outward, public_url=public_url)
        self._exits.callback(delivery.close)
        return [
            evaluation,
            delivery,
            BudgetTick(self.store, self.records),
        ]

    def _published(self, traces: Sequence[tuple[str, str]]) -> None:
        by_project: dict[str, list[dict[str, str]]] = {}
        for project_id, trace_id in traces:
            by_project.setdefault(project_id, []).append({"trace_id": trace_id})
        for project_id, stored in by_project.items():
            self.live.publish(project_id, stored)


def background_workers(settings: Settings, store: ColumnarStore) -> list[Worker]:
    """Return the workers over windows of settled spans, one line each."""
    return [
        Rollup(store, settings.rollup_retention_days, settings.rollup_tier_key),
    ]


def instance_of(settings: Settings) -> str:
    """Return the name of the data folder, which it keeps: its next process takes over its leases at once."""
    path = Path(settings.data_dir) / INSTANCE_FILE
    name = path.read_text("ascii").strip() if path.is_file() else ""
    if not name:
        name = secrets.token_hex(8)
        put_in_place(path, name)
    return name


def put_in_place(path: Path, text: str) -> None:
    """Write a file that others never find empty or in part, also when this process is killed meanwhile."""
    written = path.with_name(f"{path.name}.new")
    written.write_text(text, "utf-8")
    written.replace(path)


def open_columnar_store(settings: Settings) -> ColumnarStore:
    """Open the columnar store that the settings name."""
    return open_columnar(
        settings.columnar_dsn,
        cluster=settings.store_cluster,
        memory_mb=settings.store_memory_mb,
        query_timeout_s=settings.query_timeout_s,
    )


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open both stores for a command, the records store migrated."""
    with lock_data_dir(settings), ExitStack() as exits:
        records = open_records(settings.records_url)
        exits.callback(records.close)
        records.migrate()
        columnar = open_columnar_store(settings)
        exits.callback(columnar.close)
        yield Stores(columnar, records)


@contextmanager
def open_spool(settings: Settings) -> Iterator[SqliteSpool]:
    """Open the spool in the data folder."""
    spool = SqliteSpool(
        Path(settings.data_dir) / "spool.db",
        max_bytes=settings.spool_max_mb * MIB,
        max_age_s=settings.spool_max_age_s,
        min_free_bytes=settings.min_free_disk_mb * MIB,
        fsync=settings.fsync,
    )
    try:
        yield spool
    finally:
        spool.close()


@contextmanager
def lock_data_dir(settings: Settings) -> Iterator[Path]:
    """Create the data folder and hold it: one process at a time may use it.

    The lock goes with the process, so a crash leaves nothing to clean up.
    """
    folder = Path(settings.data_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the data folder {folder} cannot be used: {error.strerror}", "choose another with --data-dir"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise FolderInUse(
            f"another Spanhouse uses the data folder {folder}",
            "stop it first, or give this one its own folder with --data-dir and its own ports",
        ) from None
    try:
        yield folder
    finally:
        os.close(handle)
