"""The JSON API of what starts runs: by hand, and crons."""

from fastapi import APIRouter, Depends

from web.api.runs import REFUSALS
from web.api.schemas import CronShape, CronValue, RunAsked, StartedShape, cron_shape
from web.operations import actions
from web.operations.lookup import repo_named
from web.security.auth import Me, admin, visitor
from web.services import Wired
from workers import store
from workers.db.session import reading
from workers.triggers.crons import NewCron
from workers.triggers.manual import ManualRun

router = APIRouter(prefix="/api", dependencies=[Depends(visitor)], responses=REFUSALS)


@router.post("/repos/{name:path}/runs", status_code=202)
def start_run(services: Wired, me: Me, name: str, asked: RunAsked) -> StartedShape:
    """Starts a run by hand, as a manual one or as a deployment."""
    queued = actions.start(services, name, ManualRun(**dict(asked)), me.name)
    return StartedShape(run=queued.number, url=services.settings.run_url(name, queued.number))


@router.get("/repos/{name:path}/crons")
def list_crons(services: Wired, name: str) -> list[CronShape]:
    """A repository's crons by name."""
    with reading(services.engine) as session:
        return [cron_shape(*found) for found in store.crons_of(session, repo_named(session, name).id)]


@router.put("/repos/{name:path}/crons/{cron_name}", dependencies=[Depends(admin)])
def put_cron(services: Wired, name: str, cron_name: str, new: CronValue) -> CronShape:
    """Adds or replaces a cron. It is due next at its first time from now."""
    cron = actions.put_cron(services, name, NewCron(cron_name, **dict(new)))
    with reading(services.engine) as session:
        return cron_shape(cron, store.run_by_id(session, cron.last_run_id) if cron.last_run_id else None)


@router.delete("/repos/{name:path}/crons/{cron_name}", status_code=204, dependencies=[Depends(admin)])
def delete_cron(services: Wired, name: str, cron_name: str) -> None:
    """Removes a cron. Its runs stay."""
    actions.drop_cron(services, name, cron_name)


@router.post("/repos/{name:path}/crons/{cron_name}/run", status_code=202)
def run_cron(services: Wired, me: Me, name: str, cron_name: str) -> StartedShape:
    """Starts a cron's run now; when it is due next does not change."""
    queued = actions.run_cron(services, name, cron_name, me.name)
    return StartedShape(run=queued.number, url=services.settings.run_url(name, queued.number))
