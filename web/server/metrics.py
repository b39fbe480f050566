"""``/metrics``: the state of the installation in the text format of Prometheus, for its administrators alone.

The values come from rows, read at most once in ``CACHE_S``: a scraper cannot load the database. What only this process
knows (deliveries, streams, durations) counts from its start, as Prometheus expects of a counter.
"""

import hmac
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import cast

import structlog
from fastapi import APIRouter, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.responses import PlainTextResponse

from web.hooks.endpoint import VERDICTS
from web.operations.lookup import check_administrator
from web.security.auth import current_user
from web.server.prometheus import CONTENT_TYPE, Family, Histogram, Sample, exposition
from web.services import Services, ServicesDep
from web.streaming.hub import Hub
from workers import store
from workers.db.session import db_now_ms, reading
from workers.store.processes import leaders
from workers.store.processes.disk_reports import SERVER, reports
from workers.store.runs import metrics as rows
from workers.store.runs.heads import MISSED_PUSHES

router = APIRouter(include_in_schema=False)
CACHE_S = 5.0
LABELS_CHARS_MAX = 300
_BEARER = "bearer"
_log = structlog.get_logger()


@router.get("/metrics")
def metrics(request: Request, services: ServicesDep) -> PlainTextResponse:
    """The metrics, with ``HEADWAY_METRICS_TOKEN`` or as an administrator."""
    if not _has_token(request, services):
        check_administrator(current_user(request, services))
    app = request.app.state
    known = cast("InstallationMetrics", app.metrics).families()
    own = _of_this_process(services, cast("Hub", app.streams), cast("Counter[str]", app.verdicts))
    return PlainTextResponse(exposition((*known, *own)).encode(errors="replace"), media_type=CONTENT_TYPE)


def _has_token(request: Request, services: Services) -> bool:
    token = services.settings.metrics_token.get_secret_value()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    return bool(token) and scheme.lower() == _BEARER and right


def _of_this_process(services: Services, hub: Hub, verdicts: Counter[str]) -> Iterator[Family]:
    version = Sample(1, {"version": metadata.version("headway")})
    yield _gauge("headway_build_info", "The version of this process; always 1.", version)
    yield _gauge("headway_open_streams", "Live pages and logs that are open at this process.", Sample(hub.open_streams))
    counted = [Sample(verdicts[name], {"verdict": name}) for name in VERDICTS]
    text = "Webhooks that this process has answered, by verdict."
    yield Family("headway_deliveries_total", "counter", text, counted)
    disk = shutil.disk_usage(services.settings.data_dir)
    yield _gauge("headway_disk_free_bytes", "Bytes that are free on the disk of the data directory.", Sample(disk.free))
    yield _gauge("headway_disk_used_bytes", "Bytes that are used on the disk of the data directory.", Sample(disk.used))


class InstallationMetrics:
    """What the rows say, the same in each web process. One thread reads at a time; others get what it has read."""

    def __init__(self, engine: Engine, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._read_at_s: float | None = None
        self._families: Sequence[Family] = ()
        self._position: rows.Position | None = None
        self._queue_s = Histogram("headway_job_queue_seconds", "How long jobs of ended runs waited for a worker.")
        self._job_s = Histogram("headway_job_duration_seconds", "How long jobs of ended runs ran, by state.")
        self._run_s = Histogram("headway_run_duration_seconds", "From the queueing of a run to its end, by state.")

    def families(self) -> Sequence[Family]:
        """The families, read now or less than ``CACHE_S`` ago. Without the database only that it does not answer."""
        with self._lock:
            now = self._monotonic_s()
            if self._read_at_s is None or now - self._read_at_s >= CACHE_S:
                self._families = self._read()
                self._read_at_s = self._monotonic_s()
            return self._families

    def _read(self) -> Sequence[Family]:
        try:
            with reading(self._engine) as session:
                self._count_ended(session)
                found = (*_of_jobs(session), *_of_processes(session), _of_disks(session))
        except SQLAlchemyError as error:
            _log.warning("the metrics could not be read", error=str(error).partition("\n")[0])
            return (_database_up(0),)
        return (_database_up(1), *found, *(each.family() for each in (self._queue_s, self._job_s, self._run_s)))

    def _count_ended(self, session: Session) -> None:
        if self._position is None:
            self._position = rows.here_and_now(session)
        ended = rows.ended_runs(session, self._position)
        self._position = ended.position
        for _, state, created_ms, finished_ms in ended.runs:
            _observe(self._run_s, created_ms, finished_ms, state=state.value)
        for state, created_ms, started_ms, finished_ms, needs in ended.jobs:
            _observe(self._job_s, started_ms, finished_ms, state=state.value)
            # A job that needs others exists long before it may start.
            if not needs:
                _observe(self._queue_s, created_ms, started_ms)


def _of_jobs(session: Session) -> Iterator[Family]:
    jobs: Counter[str] = Counter()
    oldest_s: dict[str, float] = {}
    for each in rows.jobs_for_workers(session):
        # Pipelines choose the labels: two sets may have one text, and a scraper refuses a name that comes twice.
        text = ",".join(f"{name}={value}" for name, value in sorted(each.labels.items()))[:LABELS_CHARS_MAX]
        jobs[text] += each.jobs
        oldest_s[text] = max(each.oldest_s, oldest_s.get(text, 0))
    depth = [Sample(count, {"labels": text}) for text, count in jobs.items()]
    oldest = [Sample(age_s, {"labels": text}) for text, age_s in oldest_s.items()]
    yield _gauge("headway_jobs_queued", "Jobs that wait for nothing but a worker, by the labels they ask for.", *depth)
    yield _gauge("headway_jobs_queued_oldest_seconds", "For how long the first of them has waited.", *oldest)
    reasons = [Sample(count, {"reason": reason}) for reason, count in rows.waits(session).items()]
    yield _gauge("headway_jobs_waiting", "Jobs that have not started, by what they wait for.", *reasons)
    yield _gauge("headway_jobs_running", "Jobs that a worker runs.", Sample(rows.running_jobs(session)))
    lost = store.counters(session).get(store.LEASES_LOST, 0)
    yield Family("headway_leases_lost_total", "counter", "Jobs whose worker fell silent.", [Sample(lost)])
    missed = store.counters(session).get(MISSED_PUSHES, 0)
    yield Family("headway_missed_pushes_total", "counter", "Pushes whose webhook did not come.", [Sample(missed)])


def _of_processes(session: Session) -> Iterator[Family]:
    alive = store.workers(session)
    states = Counter(_state_of(worker) for worker in alive)
    counts = [Sample(states[state], {"state": state}) for state in ("ready", "stopped", "drained")]
    yield _gauge("headway_workers", "Workers that are alive: those that take jobs, and those that take none.", *counts)
    yield _gauge("headway_worker_slots", "Jobs that the workers could run.", Sample(sum(each.slots for each in alive)))
    yield _gauge("headway_worker_slots_free", "Jobs that they could start.", Sample(sum(each.free for each in alive)))
    lead = leaders.leader(session, leaders.SCHEDULER)
    leads = lead is not None and lead.until_ms >= db_now_ms(session)
    yield _gauge("headway_scheduler_up", "1 while a scheduler works.", Sample(int(leads)))
    failing = len(store.failed_duties(session))
    yield _gauge("headway_scheduler_failing_duties", "Duties of the scheduler that fail.", Sample(failing))


def _of_disks(session: Session) -> Family:
    samples = [
        Sample(int(count), {"kind": kind, "machine": "" if report.name == SERVER else report.name})
        for report in reports(session)
        for kind, count in report.facts["bytes"].items()
    ]
    text = "What uses how much, as it was measured last; machine is empty for what all share."
    return _gauge("headway_disk_bytes", text, *samples)


def _state_of(worker: store.KnownWorker) -> str:
    if worker.drained:
        return "drained"
    return "stopped" if worker.problem else "ready"


def _database_up(value: int) -> Family:
    return _gauge("headway_database_up", "1 where the database answers.", Sample(value))


def _gauge(name: str, text: str, *samples: Sample) -> Family:
    return Family(name, "gauge", text, samples)


def _observe(histogram: Histogram, start_ms: int | None, end_ms: int | None, **labels: str) -> None:
    if start_ms is not None and end_ms is not None:
        histogram.observe(max(0, end_ms - start_ms) / 1000, **labels)
