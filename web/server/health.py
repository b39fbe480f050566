"""``/healthz`` and ``/readyz``, for load balancers and supervisors."""

from collections.abc import Callable

from fastapi import APIRouter
from redis import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from web.services import Services, ServicesDep
from workers import store
from workers.db.full_disk import was_full
from workers.db.session import reading
from workers.store.processes.leaders import SCHEDULER, has_leader

router = APIRouter(include_in_schema=False)


# Async, so that it needs no thread: it must answer while all threads of the pages are taken.
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process answers; it asks neither the database nor Redis."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: ServicesDep) -> JSONResponse:
    """200 when runs can be queued and shown; otherwise 503 and what does not answer, or has no room.

    ``scheduler`` names those of its duties that fail, and ``workers`` says how many take no job: the page "Workers"
    says why. Requests are answered all the same, so neither changes the status.
    """
    informed: dict[str, str] = {"scheduler": "not known", "workers": "not known"}
    parts = {
        "database": _check(lambda: informed.update(_query_database(services)), SQLAlchemyError),
        "redis": _check(services.redis.ping, RedisError),
        "disk": services.settings.disk_reserve.problem() or _database_disk(services) or "ok",
    }
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"ready": ready, **parts, **informed}, 200 if ready else 503)


def _database_disk(services: Services) -> str:
    return "the database's disk was full a moment ago: make room on it" if was_full(services.engine) else ""


def _query_database(services: Services) -> dict[str, str]:
    """How scheduler and workers are. Raises SQLAlchemyError."""
    with reading(services.engine) as session:
        session.execute(text("SELECT count(*) FROM repos WHERE id = 0"))
        failing = [duty.name for duty in store.failed_duties(session)]
        led = has_leader(session, SCHEDULER)
        found = store.workers(session)
    idle = sum(bool(worker.problem) for worker in found)
    workers = f"{idle} of {len(found)} take no job" if idle else "ok"
    scheduler = "ok" if led else "none is running"
    return {
        "scheduler": f"fails: {', '.join(failing)}" if failing else scheduler,
        "workers": workers if found else "none is running",
    }


def _check(query: Callable[[], object], error: type[Exception]) -> str:
    try:
        query()
    except error as failure:
        # The first line alone: the rest may hold a statement.
        return f"does not answer: {str(failure).partition(chr(10))[0]}"
    return "ok"
