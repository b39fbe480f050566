"""What a server does all the time, on a database with a history: claims, ends of jobs, the scheduler's round, pages."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from pipelines.state import PASSED, State
from tests.support.builders import push
from tests.support.history import OFFERED, History, fill
from web.security import auth
from web.security.access import Actor
from web.server.app import create_app
from web.server.wiring import open_services
from web.services import Services
from web.streaming.snapshots import front_snapshot
from workers import store
from workers.db.models import Job, Run
from workers.db.session import reading, transaction
from workers.scheduler.scheduler import SchedulerContext, duties_of
from workers.settings import Settings
from workers.store.jobs import leases

Operations = Mapping[str, Callable[[], object]]


@contextmanager
def installation(settings: Settings, engine: Engine, history: History) -> Iterator[Operations]:
    """What is done, by name, on a database with all tables and no rows, which gets this history.

    Nothing is changed by it, so that it may be done again and again.
    """
    fill(engine, history)
    with open_services(settings, engine) as services, TestClient(create_app(services)) as client:
        token, actor = _somebody(engine)
        client.headers["authorization"] = f"Bearer {token}"
        streams = {"stream's first state": lambda: front_snapshot(services, actor)}
        yield _of_workers(engine) | _of_scheduler(services) | streams | _of_pages(engine, client)


def _somebody(engine: Engine) -> tuple[str, Actor]:
    """An administrator's token, and who sends requests with it."""
    token = auth.new_token()
    with transaction(engine) as session:
        user = store.add_user(session, "bench", is_admin=True)
        row = store.add_token(session, user.id, "bench", auth.hashed(token))
    return token, Actor(user.id, user.name, is_admin=True, source="::1", token_id=row.id)


class _UndoneError(Exception):
    """Ends a transaction whose changes are not wanted."""


def _undone(engine: Engine, change: Callable[[Session], object]) -> None:
    def change_and_undo(session: Session) -> None:
        change(session)
        raise _UndoneError

    try:
        with transaction(engine) as session:
            change_and_undo(session)
    except _UndoneError:
        pass


def _read(engine: Engine, query: Callable[[Session], object]) -> None:
    with reading(engine) as session:
        query(session)


def _of_workers(engine: Engine) -> dict[str, Callable[[], object]]:
    with reading(engine) as session:
        of_job = select(Job.id, Job.attempt, Job.run_id).order_by(Job.id)
        running = session.execute(of_job.where(Job.state == State.RUNNING)).first()
        last = session.scalars(select(Job.id).where(Job.state == State.QUEUED).order_by(Job.id.desc())).first() or 0

    def claim() -> None:
        with reading(engine) as session:
            job_id = leases.next_ready(session, OFFERED)
        _undone(engine, lambda session: leases.claim(session, job_id or 0, "w/2", 60, "w", OFFERED))

    done: dict[str, Callable[[], object]] = {
        "claim": claim,
        "wake-up for the last job": lambda: _undone(engine, lambda s: leases.claim(s, last, "w/2", 60, "w", OFFERED)),
        "worker of one repository": lambda: _read(
            engine, lambda s: leases.next_ready(s, OFFERED | {"repo": "team-1/repo-1"})
        ),
        "webhook": lambda: _undone(engine, lambda session: store.queue_run(session, 1, push())),
    }
    if running is None:
        return done
    job_id, attempt, run_id = running
    return done | {
        "end of a job": lambda: _undone(engine, lambda s: store.finish_job(s, job_id, attempt, PASSED)),
        "cancellation": lambda: _undone(engine, lambda s: store.request_cancel(s, run_id, "ada")),
    }


def _of_scheduler(services: Services) -> dict[str, Callable[[], object]]:
    context = SchedulerContext(
        engine=services.engine, notify=lambda _: False, waiting=lambda: 0, live=services.live, logs=services.logs,
        blobs=services.blobs, attempts_max=3, retention_days=30, audit_days=30, lease_s=1_000_000,
    )  # fmt: skip
    duties = [duty for duty in duties_of(context) if duty.every_s <= 1]

    def one_round() -> None:
        assert not list(filter(None, [duty.work() for duty in duties]))

    return {
        "scheduler's round": one_round,
        "statuses": lambda: _read(services.engine, store.pending_statuses),
    }


def _of_pages(engine: Engine, client: TestClient) -> dict[str, Callable[[], object]]:
    with reading(engine) as session:
        repo = store.repos(session)[0]
        ended = select(Run.number).where(Run.repo_id == repo.id, Run.finished_ms.is_not(None))
        number = session.scalars(ended.order_by(Run.number.desc()).limit(1)).one()
    here = f"/repos/{repo.name}"
    pages = {
        "front page": "/",
        "repository": here,
        "oldest runs": f"{here}?before=31",
        "branch": f"{here}?branch=nobodys",
        "state": f"{here}?state=running",
        "event": f"{here}?event=cron",
        "several filters": f"{here}?branch=main&text=nothing",
        "text": f"{here}?text=nothing",
        "branches": f"{here}/branches",
        "insights": f"{here}/insights",
        "run that ended": f"{here}/runs/{number}",
        "run that waits": f"{here}/runs/{repo.last_number}",
        "workers": "/workers",
        "queue": "/queue",
        "API: queue": "/api/queue/jobs?after=40&limit=100",
        "API: repositories": "/api/repos?limit=100",
        "API: newest runs": "/api/runs",
        "API: runs": f"/api{here}/runs?limit=30",
        "API: run": f"/api{here}/runs/{repo.last_number}",
    }
    return {name: partial(_get, client, path) for name, path in pages.items()}


def _get(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path} was answered with {answer.status_code}"
