"""Crons, as JSON."""

from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas import Schema, StartedRun
from web.json_api import make_router
from web.operations.repos import crons
from web.security.auth import CurrentUser
from web.services import ServicesDep
from workers import store
from workers.db.models import Cron, Run
from workers.db.session import reading
from workers.triggers.crons import NewCron

router = make_router()


class CronSchema(Schema):
    """A cron. If ``branch`` is empty it runs the default branch; ``next_ms`` is null while it is switched off."""

    name: str
    expression: str
    zone: str
    branch: str
    inputs: dict[str, str]
    enabled: bool
    next_ms: int | None
    last_run: int | None = Field(description="The number of the last run that it started.")


class CronValue(BaseModel):
    """The cron to add, or to replace the one of that name with."""

    model_config = ConfigDict(extra="forbid")

    expression: str = Field(description='Five fields such as "30 2 * * 1-5", or a short form such as @daily.')
    zone: str = Field("UTC", description="A name of the time zone database.")
    branch: str = ""
    inputs: dict[str, str] = {}
    enabled: bool = True


def cron_schema(cron: Cron, last: Run | None) -> CronSchema:
    """A cron and the number of its last run."""
    return CronSchema(
        name=cron.name,
        expression=cron.expression,
        zone=cron.zone,
        branch=cron.branch,
        inputs=cron.inputs,
        enabled=cron.next_ms is not None,
        next_ms=cron.next_ms,
        last_run=last.number if last else None,
    )


@router.get("/repos/{name:path}/crons")
def list_crons(services: ServicesDep, user: CurrentUser, name: str) -> list[CronSchema]:
    """A repository's crons by name."""
    _, found = crons.list_crons(services, user, name)
    return [cron_schema(cron, last) for cron, last in found]


@router.put("/repos/{name:path}/crons/{cron_name}")
def put_cron(services: ServicesDep, user: CurrentUser, name: str, cron_name: str, new: CronValue) -> CronSchema:
    """Adds or replaces a cron. It is due next at its first time from now."""
    cron = crons.put(services, user, name, NewCron(cron_name, **dict(new)))
    with reading(services.engine) as session:
        return cron_schema(cron, store.run_by_id(session, cron.last_run_id) if cron.last_run_id else None)


@router.delete("/repos/{name:path}/crons/{cron_name}", status_code=204)
def delete_cron(services: ServicesDep, user: CurrentUser, name: str, cron_name: str) -> None:
    """Removes a cron. Its runs stay."""
    crons.remove(services, user, name, cron_name)


@router.post("/repos/{name:path}/crons/{cron_name}/run", status_code=202)
def run_cron(services: ServicesDep, user: CurrentUser, name: str, cron_name: str) -> StartedRun:
    """Starts a cron's run now. The time at which it is due next does not change."""
    queued = crons.run_now(services, user, name, cron_name)
    return StartedRun(run=queued.number, url=services.settings.run_url(name, queued.number))
