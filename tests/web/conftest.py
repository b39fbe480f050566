"""Fixtures: a web application with a real Redis, SQLite database and log store, and logged-in clients."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine
from starlette.testclient import TestClient

from pipelines.plan import Artifacts, BuildStep, BuiltImage, CommandsStep, Container, JobPlan, Plan, PushStep
from pipelines.trigger import Event, Trigger
from runner.artifacts.files import FoundFile
from runner.report_results import StepReports
from tests.support.people import OPERATOR
from tests.support.services import eventually
from web.operations.accounts import roles, users
from web.operations.repos import repos
from web.operations.repos.repos import NewWebhook
from web.security import auth
from web.security.login_limiter import LoginLimiter
from web.server.app import create_app
from web.server.connections import ConnectionLimits
from web.server.http_server import HttpServer, make_server
from web.services import Services
from workers import store
from workers.artifacts.storage import StoredArtifacts
from workers.db.models import Run, Step
from workers.db.roles import Role
from workers.db.session import make_engine, reading, transaction
from workers.jobs.recorder import Recorder
from workers.logs import open_logs
from workers.reports.storage import StoredReports
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.store import NewRepo, Queued
from workers.store.artifacts import artifacts_of_run
from workers.store.jobs import leases
from workers.store.jobs.leases import Claim
from workers.streaming.redis_stream import LiveTail, connect

SHA = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
REPO = "acme/harbour"
PASSWORD = "warm lights at dusk"
# A hash names its own cost: the server checks this one in a thousandth of the time that its own take.
_FAST_HASH = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
_IN_IMAGE = Container(image=BuiltImage(step=1))
PLAN = Plan(
    jobs=(
        JobPlan(
            name="",
            file=".headway.yml",
            number=1,
            steps=(
                BuildStep(number=1, name="build"),
                CommandsStep(number=2, name="test", container=_IN_IMAGE, commands=("pytest",), needs=(1,)),
                PushStep(number=3, name="push", image=1, repos=("registry.test/app",), tags=("1",), needs=(2,)),
            ),
        ),
    )
)


def push(message: str = "Warm the lights", branch: str = "main", author: str = "Mara") -> Trigger:
    return Trigger(event=Event.PUSH, sha=SHA, ref=f"refs/heads/{branch}", branch=branch, message=message, author=author)


@dataclass
class Site:
    """The services of an application, and helpers that put rows into its database."""

    services: Services
    woken: list[int] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        return self.services.engine

    def add_repo(self, name: str = REPO, forge: str = "generic") -> NewWebhook:
        return repos.add(self.services, OPERATOR, NewRepo(name, f"https://git.test/{name}.git", forge=forge))

    def login_link(self, name: str = "ada", *, is_admin: bool = True) -> str:
        """Adds a user; the secret of a link that logs them in."""
        return users.add(self.services, OPERATOR, name, is_admin=is_admin).rpartition("=")[2]

    def add_user(self, name: str = "ada", *, is_admin: bool = True, password: str | None = None) -> int:
        password_hash = _FAST_HASH.hash(password) if password else None
        with transaction(self.engine) as session:
            return store.add_user(session, name, password_hash, is_admin=is_admin).id

    def give_role(self, user_name: str, role: Role, repo: str = REPO) -> None:
        roles.put(self.services, OPERATOR, repo, user_name, role)

    def token(self, user_id: int) -> str:
        token = auth.new_token()
        with transaction(self.engine) as session:
            store.add_token(session, user_id, "tests", auth.hashed(token))
        return token

    def queue(self, trigger: Trigger | None = None, repo: str = REPO) -> Queued:
        with transaction(self.engine) as session:
            found = store.repo_by_name(session, repo)
            assert found is not None
            return store.queue_run(session, found.id, trigger or push())

    def claim(self, queued: Queued) -> Claim:
        with transaction(self.engine) as session:
            claim = leases.claim(session, queued.job_id, "tests", 3600, "here")
        assert claim is not None
        return claim

    def begin(self, trigger: Trigger | None = None, plan: Plan = PLAN) -> "ClaimedRun":
        """A run whose first job a worker has claimed and planned."""
        queued = self.queue(trigger)
        claim = self.claim(queued)
        with transaction(self.engine) as session:
            store.plan_run(session, queued.job_id, claim.attempt, plan)
        with reading(self.engine) as session:
            steps = {number: step.id for number, step in store.steps_by_number(session, queued.job_id).items()}
        return ClaimedRun(self, queued, claim, steps)

    def run(self, number: int = 1, repo: str = REPO) -> Run:
        with reading(self.engine) as session:
            found = store.repo_by_name(session, repo)
            assert found is not None
            run = store.run_by_number(session, found.id, number)
            assert run is not None
            return run

    def trigger(self, number: int = 1) -> Trigger:
        return store.trigger_of(self.run(number))

    def runs(self, repo: str = REPO) -> int:
        with reading(self.engine) as session:
            found = store.repo_by_name(session, repo)
            assert found is not None
            return found.last_number

    def counters(self) -> dict[str, int]:
        with reading(self.engine) as session:
            return store.counters(session)


@dataclass
class ClaimedRun:
    """A run that a worker has claimed and planned, with what the worker knows."""

    site: Site
    queued: Queued
    claim: Claim
    steps: dict[int, int]

    def recorder(self, clock_ms: Callable[[], int] = lambda: 1_793_358_142_000) -> Recorder:
        services = self.site.services
        return Recorder(services.engine, services.logs, services.live, self.claim, self.steps, clock_ms)

    def keep(self, path: str, data: bytes, step: int = 1) -> int:
        """A step keeps this file, and nothing else. Returns the artifact's id."""
        return self.keep_all({path: data}, step)[path]

    def keep_all(self, files: Mapping[str, bytes], step: int = 1) -> dict[str, int]:
        """A step keeps these files, and nothing else; those named ``app`` are programs. Returns the ids of all kept."""
        with reading(self.site.engine) as session:
            repo_id = session.get_one(Run, self.claim.run_id).repo_id
        storage = StoredArtifacts(self.site.engine, self.site.services.blobs, self.claim, repo_id)
        found = [
            FoundFile(path, len(data), executable=path.endswith("app"), opened=partial(BytesIO, data))
            for path, data in files.items()
        ]
        storage.keep(step, Artifacts(name="results", paths=("**",)), found)
        with reading(self.site.engine) as session:
            kept = artifacts_of_run(session, self.claim.run_id, 1000)
            return {each.artifact.path: each.artifact.id for each in kept}

    def report(self, reports: StepReports, step: int = 1) -> None:
        """A step has these reports."""
        with reading(self.site.engine) as session:
            repo_id = session.get_one(Run, self.claim.run_id).repo_id
        StoredReports(self.site.engine, self.site.services.blobs, self.claim, repo_id).keep(step, reports)

    def step(self, number: int) -> Step:
        with reading(self.site.engine) as session:
            step = store.step_by_id(session, self.steps[number])
        assert step is not None
        return step


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    engine = make_engine(settings.database)
    redis = connect(settings.redis_url)
    woken: list[int] = []
    logs, vault = open_logs(settings, engine), open_vault(settings)
    limiter = LoginLimiter()
    services = Services(settings, engine, lambda *job_ids: woken.extend(job_ids), logs, vault, redis, limiter)
    yield Site(services, woken)
    redis.close()
    engine.dispose()


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """A client without a login."""
    with TestClient(create_app(site.services), base_url="http://localhost", follow_redirects=False) as client:
        yield client


@pytest.fixture
def program(site: Site, client: TestClient) -> TestClient:
    """A program with an administrator's token."""
    client.headers["authorization"] = f"Bearer {site.token(site.add_user())}"
    return client


@pytest.fixture
def guest(site: Site, client: TestClient) -> TestClient:
    """A program with the token of a user who is no administrator and has no role yet."""
    client.headers["authorization"] = f"Bearer {site.token(site.add_user('bob', is_admin=False))}"
    return client


@pytest.fixture
def browser(site: Site, client: TestClient) -> TestClient:
    """A browser in which an administrator is logged in."""
    link = site.login_link()
    client.headers["sec-fetch-site"] = "same-origin"
    assert client.post("/login", data={"link": link}).status_code == 303
    return client


@contextmanager
def serving(services: Services, limits: ConnectionLimits | None = None) -> Iterator[str]:
    """Serves the application on a real socket, for streams; yields its address."""
    with running(make_server(services, limits)) as url:
        yield url


@contextmanager
def running(server: HttpServer) -> Iterator[str]:
    """Runs the server in a thread, and yields its address."""
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def live_url(site: Site) -> Iterator[str]:
    """The address of the application on a real socket."""
    with serving(site.services) as url:
        yield url


@pytest.fixture
def live(site: Site) -> LiveTail:
    return site.services.live
