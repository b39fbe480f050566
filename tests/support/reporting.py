"""A repository whose runs are reported to a forge, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, update

from pipelines.state import PASSED, Outcome
from pipelines.trigger import Trigger
from tests.support.builders import job_plan, plan, push
from tests.support.forge import TOKEN, FakeForge, forge_server
from tests.support.services import TEST_KEY
from workers import store
from workers.db.models import Job, Status
from workers.db.session import now_ms, reading, transaction
from workers.forges.http import make_client
from workers.secrets.vault import forge_place, parse_keys
from workers.settings import Settings
from workers.statuses.reporter import Reporter
from workers.store import Queued
from workers.store.jobs import leases


class ReportingFixture:
    """A repository with a token, its forge, and a reporter."""

    def __init__(self, database: Engine, forge: FakeForge, reporter: Reporter) -> None:
        self.database, self.forge, self.reporter = database, forge, reporter
        self.repo_id = self.add_repo("acme/roof", forge.url)

    def add_repo(self, name: str, url: str) -> int:
        with transaction(self.database) as session:
            new = store.NewRepo(name, f"{url}/acme/roof.git", forge="gitea")
            repo_id = store.add_repo(session, new).id
            store.set_forge_token(session, repo_id, self.reporter.vault.seal(forge_place(repo_id), TOKEN), "")
            return repo_id

    def queue(self, trigger: Trigger | None = None, repo_id: int = 0) -> Queued:
        with transaction(self.database) as session:
            return store.queue_run(session, repo_id or self.repo_id, trigger or push())

    def claim(self, job_id: int) -> int:
        with transaction(self.database) as session:
            claim = leases.claim(session, job_id, "w1", 60)
        assert claim is not None
        return claim.attempt

    def plan(self, queued: Queued, *names: str) -> list[Job]:
        attempt = self.claim(queued.job_id)
        with transaction(self.database) as session:
            jobs = [job_plan(name, number) for number, name in enumerate(names, 1)]
            store.plan_run(session, queued.job_id, attempt, plan(*jobs))
        with reading(self.database) as session:
            return list(store.jobs_of(session, queued.run_id))

    def finish(self, job_id: int, outcome: Outcome = PASSED, attempt: int = 1) -> None:
        with transaction(self.database) as session:
            store.finish_job(session, job_id, attempt, outcome)

    def run_through(self, outcome: Outcome = PASSED) -> Queued:
        queued = self.queue()
        self.claim(queued.job_id)
        self.finish(queued.job_id, outcome)
        return queued

    def status(self, run_id: int) -> Status | None:
        with reading(self.database) as session:
            return session.get(Status, run_id)

    def report(self) -> list[tuple[str, str]]:
        """Reports now. The statuses that the forge got by that."""
        before = len(self.forge.told)
        self.reporter.report_due()
        return self.forge.words()[before:]

    def end_pauses(self) -> None:
        with transaction(self.database) as session:
            session.execute(update(Status).where(Status.next_try_ms.is_not(None)).values(next_try_ms=now_ms()))

    def problem(self, run_id: int) -> str:
        with reading(self.database) as session:
            return store.status_problem(session, run_id)


@contextmanager
def reporting_fixture(database: Engine, settings: Settings | None = None) -> Iterator[ReportingFixture]:
    """The fixture, with a Gitea that accepts every status."""
    vault = parse_keys([TEST_KEY], "the test")
    settings = settings or Settings(base_url="https://ci.test")
    with forge_server("gitea") as forge, make_client() as client:
        yield ReportingFixture(database, forge, Reporter(database, vault, client, settings))
