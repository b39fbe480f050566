"""``/healthz`` and ``/readyz``, for load balancers and supervisors."""

from collections.abc import Callable

from fastapi import APIRouter
from redis import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from web.services import Services, ServicesDep
from workers.db.session import reading

router = APIRouter(include_in_schema=False)


# Async, so that it needs no thread: it must answer while all threads of the pages are taken.
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process answers; it asks neither the database nor Redis."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: ServicesDep) -> JSONResponse:
    """200 when runs can be queued and shown; otherwise 503 and what does not answer."""
    parts = {
        "database": _check(lambda: _query_database(services), SQLAlchemyError),
        "redis": _check(services.redis.ping, RedisError),
    }
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"ready": ready, **parts}, 200 if ready else 503)


def _query_database(services: Services) -> None:
    with reading(services.engine) as session:
        session.execute(text("SELECT count(*) FROM repos WHERE id = 0"))


def _check(query: Callable[[], object], error: type[Exception]) -> str:
    try:
        query()
    except error as failure:
        # The first line alone: the rest may hold a statement.
        return f"does not answer: {str(failure).partition(chr(10))[0]}"
    return "ok"
