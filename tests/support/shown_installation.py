"""An installation with a dozen repositories, and a path of each page: for pictures, and for checks of all pages."""

import hashlib
import hmac
import json
from collections.abc import Iterator

from sqlalchemy import select
from starlette.testclient import TestClient

from pipelines.plan import Plan
from pipelines.state import State
from pipelines.trigger import Event, Trigger
from tests.support.people import OPERATOR
from tests.support.shown_runs import ShownRun, large_plan, small_plan, write_run
from web.operations.accounts import users
from web.operations.repos import crons, repos, secrets
from web.server.app import create_app
from web.services import Services
from workers import store
from workers.db.models import Artifact, Delivery, Job, Repo, Run, Step
from workers.db.session import reading, transaction
from workers.labels import offered_here
from workers.scheduler.sizes import measure
from workers.store import NewRepo
from workers.store.processes.disk_reports import put_report

FIRST = "harbour/api"
REPOS = {
    FIRST: "ppfppfpp", "harbour/web": "ppppf", "harbour/mail": "ppp", "harbour/search": "fpp", "harbour/docs": "p",
    "lights/firmware": "ppcfb", "lights/console": "pppp", "lights/tools": "fff", "team/shortlink": "pp",
    "team/billing": "ppfp", "team/images": "p", "team/new-service": "",
}  # fmt: skip
"""Each with its runs, the oldest first: passed, failed, canceled, broken."""
_ENDS = {"p": State.PASSED, "f": State.FAILED, "c": State.CANCELED, "b": State.BROKEN}
_TITLES = ("Round totals to cents", "Read prices once", "Log in with a link", "Update httpx", "Name the errors")
_AUTHORS = ("Mara Lindqvist", "Ada Lovelace", "Grace Hopper")
_TEST = "suite=unit&class_name=tests.test_a&test=test_totals_are_rounded"
_MACHINE = {
    "host": "ci-1", "folder": "/var/lib/headway", "total_bytes": 200 * 10**9, "free_bytes": 61 * 10**9,
    "high_percent": 85, "low_percent": 75, "bytes": {"mirrors": 3 * 10**8, "caches": 4 * 10**9, "images": 21 * 10**9},
    "mirrors": {"1": 2 * 10**8, "2": 10**8}, "freed_bytes": 0, "problem": "",
}  # fmt: skip


def fill(services: Services) -> dict[str, list[str]]:
    """Writes all of it. Returns addresses of each page, by the route that answers them."""
    ids = {}
    for name in REPOS:
        url = f"https://git.example.com/{name}.git"
        secret = repos.add(services, OPERATOR, NewRepo(name, url, web_url=url.removesuffix(".git"))).secret
        with reading(services.engine) as session:
            found = store.repo_by_name(session, name)
            assert found is not None
            ids[name] = found.id
        if name == FIRST:
            _settings(services, secret)
    for name, run in sorted(_past_runs(), key=lambda each: -each[1].minutes_ago):
        write_run(services, ids[name], run)
    _now(services, ids)
    return _pages(services, ids)


def _past_runs() -> Iterator[tuple[str, ShownRun]]:
    for number, (name, kinds) in enumerate(REPOS.items()):
        for at, kind in enumerate(kinds):
            plan = large_plan() if name == FIRST and at >= len(kinds) - 3 else small_plan()
            ago = (len(kinds) - at) * 170 - 13 * number
            yield name, ShownRun(_push(at + number), plan, _ENDS[kind], minutes_ago=ago, took_s=60 + 13 * at)


def _push(at: int, branch: str = "main") -> Trigger:
    sha = hashlib.sha256(str(at).encode()).hexdigest()[:40]
    return Trigger(
        event=Event.PUSH, sha=sha, ref=f"refs/heads/{branch}", branch=branch,
        message=_TITLES[at % len(_TITLES)], author=_AUTHORS[at % len(_AUTHORS)],
    )  # fmt: skip


def _settings(services: Services, secret: str) -> None:
    secrets.put(services, OPERATOR, FIRST, "npm_token", "a value of a secret")
    crons.put(services, OPERATOR, FIRST, crons.cron_request("nightly", "30 2 * * 1-5", "Europe/Berlin", "", ()))
    users.add(services, OPERATOR, "grace", is_admin=False)
    body = json.dumps({"ref": "refs/heads/main", "before": "1" * 40, "after": "2" * 40, "pusher": "mara"}).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    signed = {"x-headway-signature": f"sha256={digest}", "x-headway-delivery": "d1"}
    with TestClient(create_app(services), base_url="http://localhost") as client:
        assert client.post(f"/hooks/{FIRST}", content=body, headers=signed).status_code == 202
        client.post(f"/hooks/{FIRST}", content=body, headers={**signed, "x-headway-signature": "sha256=00"})


def _now(services: Services, ids: dict[str, int]) -> None:
    """What runs and waits now: a worker with two slots, jobs that run, and jobs that wait for all kinds of things."""
    with transaction(services.engine) as session:
        store.record_heartbeat(session, "ci-1", offered_here("disk=ssd"), 2, 3600)
        put_report(session, "ci-1:/var/lib/headway", _MACHINE)
    measure(services.engine)
    write_run(services, ids["harbour/web"], ShownRun(_push(3, "rounding"), small_plan(), None))
    gpu = small_plan().jobs[0].model_copy(update={"labels": {"gpu": "a100"}})
    rest = small_plan("after").jobs[0].model_copy(update={"number": 2, "needs": ("render",)})
    plan = Plan(jobs=(gpu.model_copy(update={"name": "render"}), rest))
    write_run(services, ids["team/images"], ShownRun(_push(2), plan, None))
    with transaction(services.engine) as session:
        for name in ("harbour/mail", "team/billing", "lights/tools"):
            store.queue_run(session, ids[name], _push(4))


def _pages(services: Services, ids: dict[str, int]) -> dict[str, list[str]]:
    here, repo = f"/repos/{FIRST}", "/repos/{name:path}"
    with reading(services.engine) as session:
        newest = {name: found.last_number for name in ids if (found := store.repo_by_name(session, name))}
        of_reports = select(Artifact.id, Run.number, Repo.name).join(Run, Run.id == Artifact.run_id)
        of_reports = of_reports.join(Repo, Repo.id == Run.repo_id).where(Artifact.path.like("%.html"))
        artifact, number, keeps = session.execute(of_reports.order_by(Artifact.id).limit(1)).one()
        of_web = select(Step.id).join(Job, Job.id == Step.job_id).join(Run, Run.id == Job.run_id)
        of_web = of_web.where(Run.repo_id == ids["harbour/web"]).order_by(Run.number.desc(), Step.number)
        running = session.scalars(of_web.limit(1)).first()
        delivery = session.scalars(select(Delivery.id).order_by(Delivery.id)).first()
    runs = f"/repos/harbour/web/runs/{newest['harbour/web']}"
    last = f"{here}/runs/{newest[FIRST]}"
    failed = f"{here}/runs/{newest[FIRST] - 2}"
    kept = f"/repos/{keeps}/runs/{number}/artifacts"
    return {
        "/": ["/"],
        "/login": ["/login"],
        "/account": ["/account"],
        "/workers": ["/workers"],
        "/queue": ["/queue"],
        "/settings": ["/settings"],
        "/disk": ["/disk"],
        "/users": ["/users"],
        "/audit": ["/audit"],
        repo: [here, f"{here}?state=failed", "/repos/team/new-service", "/repos/nowhere"],
        f"{repo}/branches": [f"{here}/branches"],
        f"{repo}/insights": [f"{here}/insights"],
        f"{repo}/settings": [f"{here}/settings"],
        f"{repo}/deliveries": [f"{here}/deliveries"],
        f"{repo}/deliveries/{{delivery_id}}": [f"{here}/deliveries/{delivery}"],
        f"{repo}/runs/{{number}}": [
            last,
            failed,
            f"/repos/harbour/web/runs/{newest['harbour/web']}",
            f"/repos/lights/firmware/runs/{newest['lights/firmware']}",
            f"/repos/team/images/runs/{newest['team/images']}",
            f"/repos/team/billing/runs/{newest['team/billing']}",
        ],
        f"{repo}/runs/{{number}}/shell/{{step_id}}": [f"{runs}/shell/{running}"],
        f"{repo}/runs/{{number}}/artifacts": [kept],
        f"{repo}/runs/{{number}}/artifacts/{{artifact_id}}": [f"{kept}/{artifact}"],
        f"{repo}/runs/{{number}}/tests": [f"{failed}/tests"],
        f"{repo}/runs/{{number}}/coverage": [f"{failed}/coverage"],
        f"{repo}/tests/history": [f"{here}/tests/history?{_TEST}"],
    }
