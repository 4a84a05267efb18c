"""Remakes that a running server does in the background, one at a time."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from spanhouse_server.clock import now_ns
from spanhouse_server.errors import Conflict, NotFound, SpanhouseError
from spanhouse_server.model.prices import PriceBook
from spanhouse_server.remake.run import Remake, Totals, Turn
from spanhouse_server.store.contract import ColumnarStore, RecordsStore

log = logging.getLogger("spanhouse.remake")

#: Jobs remembered to be asked about.
MAX_JOBS = 50


@dataclass(slots=True)
class Job:
    """A remake and how far it is. ``state`` is ``running done stopped failed``; times in ns."""

    id: str
    kind: str
    project_ids: list[str]
    since_ns: int
    started_ns: int
    state: str = "running"
    ended_ns: int | None = None
    error: str = ""
    totals: Totals = field(default_factory=Totals)


class Remakes:
    """Starts remakes and tells how they go. Thread-safe."""

    def __init__(self, store: ColumnarStore, records: RecordsStore, book: Callable[[], PriceBook], turn: Turn) -> None:
        self._store = store
        self._records = records
        self._book = book
        self._turn = turn
        self._jobs: deque[Job] = deque(maxlen=MAX_JOBS)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, kind: str, project_id: str | None, since_ns: int) -> Job:
        """Begin a remake of one project, or of all. Raises ``Conflict`` while another runs."""
        with self._lock:
            if self._jobs and self._jobs[-1].state == "running":
                raise Conflict(
                    "another reprice or remap is running", "wait for it: GET /api/v1/remakes tells how far it is"
                )
            projects = [project_id] if project_id else [project.id for project in self._records.projects()]
            job = Job(secrets.token_hex(8), kind, projects, since_ns, now_ns())
            self._jobs.append(job)
            self._thread = threading.Thread(target=self.run, args=(job,), name="spanhouse-remake", daemon=True)
            self._thread.start()
        return job

    def run(self, job: Job) -> Job:
        """Do a job in the calling thread; never raises, the job tells."""
        state = "failed"
        try:
            state = "done" if all(self._one(job, each) for each in job.project_ids) else "stopped"
        except SpanhouseError as error:
            log.warning("%s stopped: %s", job.kind, error.message)
            job.error = error.message
        except Exception as error:
            log.exception("%s failed", job.kind)
            job.error = f"{type(error).__name__}: {error}"
        job.ended_ns = now_ns()
        job.state = state
        return job

    def _one(self, job: Job, project_id: str) -> bool:
        remake = Remake(job.kind, project_id, job.since_ns, self._store, self._records, self._book(), self._turn)
        return remake.run(job.totals, self._stopping)

    def jobs(self) -> list[Job]:
        """Return the jobs of this server, newest first."""
        with self._lock:
            return list(reversed(self._jobs))

    def job(self, job_id: str) -> Job:
        """Return a job. Raises ``NotFound``."""
        for job in self.jobs():
            if job.id == job_id:
                return job
        raise NotFound(f"no remake {job_id!r} since this server started")

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the step in hand; the next remake of that kind goes on there."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
