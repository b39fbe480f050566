"""Files of failed jobs on a machine: kept within a quota, given to one job, and removed when their time is over."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from pipelines.state import PASSED, Outcome, Reason, State
from runner.docker.client import Engine as DockerEngine
from runner.errors import StepError
from tests.support.builders import job_plan, plan, push
from tests.support.fake_engine import DOCKER, fake_engine
from workers import store
from workers.db.models import Job
from workers.db.session import db_now_ms, now_ms, reading, transaction
from workers.jobs.kept_files.kept_files import KeptFiles
from workers.settings import Settings
from workers.store.jobs import leases
from workers.store.reruns.kept_files import HOUR_MS
from workers.store.runs.expiry import remove_finished

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)
FILE_BYTES = 100_000


@dataclass
class Machine:
    """A machine with failed jobs."""

    database: Engine
    folder: Path
    files: KeptFiles
    repo_id: int
    engine: DockerEngine

    def failed_job(self) -> leases.Claim:
        with transaction(self.database) as session:
            job_id = store.queue_run(session, self.repo_id, push()).job_id
            claim = leases.claim(session, job_id, "w1", 15, "here")
            assert claim is not None
            store.plan_run(session, job_id, claim.attempt, plan(job_plan("test")))
            store.finish_job(session, job_id, claim.attempt, FAILED)
        return claim

    def workspace(self, name: str) -> Path:
        made = self.folder / name
        (made / "src").mkdir(parents=True)
        (made / "src" / "made").write_bytes(b"x" * FILE_BYTES)
        return made

    def keep(self, claim: leases.Claim, name: str) -> Path:
        keep = self.files.keeper_for(claim, FAILED, untrusted=False)
        assert keep is not None
        made = self.workspace(name)
        keep(made)
        return made

    def kept(self) -> int:
        return len([path for path in (self.folder / "data" / "kept").glob("*") if path.is_dir()])

    def job(self, claim: leases.Claim) -> Job:
        with reading(self.database) as session:
            return session.get_one(Job, claim.job_id)

    def going_on(self, source: leases.Claim) -> leases.Claim:
        claim = self.failed_job()
        with transaction(self.database) as session:
            session.execute(update(Job).where(Job.id == claim.job_id).values(files_of=source.job_id))
        return claim


def machine_of(database: Engine, tmp_path: Path, engine: DockerEngine, **settings: int) -> Machine:
    with transaction(database) as session:
        found = store.repo_by_name(session, "acme/roof")
        repo_id = found.id if found else store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id
    (tmp_path / "data").mkdir(exist_ok=True)
    values = {"keep_failed_h": 1, **settings}
    files = KeptFiles(Settings(data_dir=tmp_path / "data", **values), database, lambda: engine, "inst")  # type: ignore[arg-type]
    return Machine(database, tmp_path, files, repo_id, engine)


@pytest.fixture
def machine(sqlite_database: Engine, tmp_path: Path) -> Iterator[Machine]:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = DockerEngine(fake.host)
        yield machine_of(sqlite_database, tmp_path, engine)
        engine.close()


def test_files_are_kept_and_given_to_one_job(machine: Machine) -> None:
    failed = machine.failed_job()
    assert not machine.keep(failed, "workspace").exists()
    job = machine.job(failed)
    assert job.kept_bytes is not None
    assert job.kept_bytes >= FILE_BYTES
    first, second = machine.going_on(failed), machine.going_on(failed)
    take, too_late = machine.files.taker_for(first), machine.files.taker_for(second)
    assert take is not None
    assert too_late is not None
    target = machine.folder / "workspace"
    target.mkdir()
    take(target)
    assert (target / "src" / "made").stat().st_size == FILE_BYTES
    assert machine.job(failed).kept_until_ms is None
    with pytest.raises(StepError, match="not on this machine any more"):
        too_late(target)
    assert machine.files.taker_for(failed) is None, "a job of its own begins with the checkout"


@pytest.mark.parametrize(
    "outcome", [PASSED, replace(FAILED, state=State.BROKEN), replace(FAILED, state=State.CANCELED)]
)
def test_only_what_the_pipeline_failed_is_kept(machine: Machine, outcome: Outcome) -> None:
    assert machine.files.keeper_for(machine.failed_job(), outcome, untrusted=False) is None


def test_nothing_of_an_untrusted_run_is_kept_and_nothing_without_the_setting(machine: Machine) -> None:
    assert machine.files.keeper_for(machine.failed_job(), FAILED, untrusted=True) is None
    off = machine_of(machine.database, machine.folder, machine.engine, keep_failed_h=0)
    assert off.files.keeper_for(machine.failed_job(), FAILED, untrusted=False) is None


def test_the_oldest_files_go_when_the_quota_is_full(machine: Machine) -> None:
    claims = [machine.failed_job() for _ in range(3)]
    machine.keep(claims[0], "measured")
    one = machine.job(claims[0]).kept_bytes or 0
    small = machine_of(machine.database, machine.folder, machine.engine, keep_failed_bytes_max=2 * one)
    small.keep(claims[1], "second")
    assert small.kept() == 2, "two fit exactly"
    small.keep(claims[2], "third")
    assert small.kept() == 2
    assert [machine.job(claim).kept_until_ms is None for claim in claims] == [True, False, False]


@pytest.mark.parametrize(("less", "expected"), [(0, 1), (1, 0)])
def test_files_that_are_larger_than_the_quota_are_not_kept(machine: Machine, less: int, expected: int) -> None:
    measured = machine.failed_job()
    machine.keep(measured, "measured")
    one = machine.job(measured).kept_bytes or 0
    with transaction(machine.database) as session:
        session.execute(update(Job).values(kept_until_ms=None))
    machine.files.clean()
    small = machine_of(machine.database, machine.folder, machine.engine, keep_failed_bytes_max=one - less)
    small.keep(small.failed_job(), "other")
    assert small.kept() == expected


def test_files_are_removed_when_their_time_is_over_or_their_run_is_gone(machine: Machine) -> None:
    old, gone, kept = (machine.failed_job() for _ in range(3))
    for number, claim in enumerate((old, gone, kept)):
        machine.keep(claim, f"workspace-{number}")
    machine.files.clean()
    assert machine.kept() == 3
    with transaction(machine.database) as session:
        session.execute(update(Job).where(Job.id == old.job_id).values(kept_until_ms=now_ms() - 1))
        remove_finished(session, [gone.run_id])
    half_removed = machine.folder / "data" / "kept" / "removing-inst-0123"
    half_removed.mkdir()
    machine.files.clean()
    assert machine.kept() == 1
    assert not half_removed.exists()
    assert machine.job(kept).kept_until_ms is not None


def test_they_are_kept_for_as_many_hours_as_the_setting_says(machine: Machine) -> None:
    failed = machine.failed_job()
    machine.keep(failed, "workspace")
    with reading(machine.database) as session:
        left_ms = (machine.job(failed).kept_until_ms or 0) - db_now_ms(session)
    assert 0 < left_ms <= HOUR_MS


def test_where_there_is_no_job_of_this_attempt_any_more_nothing_is_kept(machine: Machine) -> None:
    failed = machine.failed_job()
    made = machine.keep(replace(failed, attempt=failed.attempt + 1), "workspace")
    assert made.exists(), "the end of the job removes it"
    assert machine.kept() == 0
