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

router = APIRouter(include_in_schema=False)


# Async, so that it needs no thread: it must answer while all threads of the pages are taken.
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process answers; it asks neither the database nor Redis."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: ServicesDep) -> JSONResponse:
    """200 when runs can be queued and shown; otherwise 503 and what does not answer, or has no room.

    ``scheduler`` names those of its duties that fail: the page "Workers" says why. Requests are answered all the same.
    """
    failing: list[str] = []
    parts = {
        "database": _check(lambda: failing.extend(_query_database(services)), SQLAlchemyError),
        "redis": _check(services.redis.ping, RedisError),
        "disk": services.settings.disk_reserve.problem() or _database_disk(services) or "ok",
    }
    ready = all(state == "ok" for state in parts.values())
    scheduler = f"fails: {', '.join(failing)}" if failing else "ok"
    return JSONResponse({"ready": ready, **parts, "scheduler": scheduler}, 200 if ready else 503)


def _database_disk(services: Services) -> str:
    return "the database's disk was full a moment ago: make room on it" if was_full(services.engine) else ""


def _query_database(services: Services) -> list[str]:
    """Raises SQLAlchemyError, or returns which duties of the scheduler fail."""
    with reading(services.engine) as session:
        session.execute(text("SELECT count(*) FROM repos WHERE id = 0"))
        return [duty.name for duty in store.failed_duties(session)]


def _check(query: Callable[[], object], error: type[Exception]) -> str:
    try:
        query()
    except error as failure:
        # The first line alone: the rest may hold a statement.
        return f"does not answer: {str(failure).partition(chr(10))[0]}"
    return "ok"
