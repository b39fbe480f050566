"""Re-running a part of a run, on both databases: what runs again, what is carried over, and how long it stays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from pipelines.plan import Artifacts, BuildStep, Container, JobPlan, NamedImage, Plan, PluginStep, PushStep
from pipelines.state import PASSED, Outcome, Reason, State
from runner.artifacts.files import FoundFile
from runner.events import Stream
from tests.support.builders import job_plan, plan, push
from tests.support.logs import folder_logs
from tests.support.reports import step_reports
from workers import store
from workers.artifacts.housekeeping import delete_unused_artifacts
from workers.artifacts.storage import StoredArtifacts
from workers.blobs import LocalBlobs
from workers.db.models import ArtifactBlob, Job, Run, Step, StoredLog
from workers.db.session import reading, transaction
from workers.reports.storage import StoredReports
from workers.store import artifacts as artifact_rows
from workers.store import reports as report_rows
from workers.store.jobs import leases
from workers.store.logs import logs_to_delete
from workers.store.reruns.carrying import before_failure
from workers.store.reruns.choice import Asked, NothingToRunError, as_stored, choose
from workers.store.reruns.kept_files import files_for, keep_files
from workers.store.runs.expiry import remove_finished

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)
THREE = plan(job_plan("build", 1), job_plan("test", 2, needs=("build",)), job_plan("deploy", 3, needs=("test",)))
ALL_FAILED = Asked(failed=True)


@dataclass
class Place:
    """An installation with one repository, and a worker that has made up its mind about how jobs end."""

    database: Engine
    repo_id: int
    folder: Path
    blobs: LocalBlobs
    before_end: Callable[[leases.Claim], None] = lambda _: None
    facts: dict[str, object] = field(default_factory=lambda: {"pushed": [{"repo": "r", "tag": "1", "digest": "d"}]})

    def first(self, what: Plan = THREE, ends: Mapping[str, Outcome] | None = None, *, on_branch: bool = True) -> int:
        """A run of this plan that has ended; its id. Jobs end as ``ends`` says by their titles, or pass."""
        with transaction(self.database) as session:
            queued = store.queue_run(session, self.repo_id, push())
        self.carry_out(queued, what, ends or {}, on_branch=on_branch)
        return queued.run_id

    def again(
        self, run_id: int, asked: Asked, what: Plan = THREE, ends: Mapping[str, Outcome] | None = None,
        *, on_branch: bool = True,
    ) -> int:  # fmt: skip
        """A run that repeats this one, which has ended, too; its id."""
        with transaction(self.database) as session:
            request = as_stored(asked, choose(session, store.jobs_of(session, run_id), asked), "ada", "why not")
            queued = store.rerun(session, run_id, asked=request)
        self.carry_out(queued, what, ends or {}, on_branch=on_branch)
        return queued.run_id

    def carry_out(self, queued: store.Queued, what: Plan, ends: Mapping[str, Outcome], *, on_branch: bool) -> None:
        claim = self.claim(queued.job_id)
        with transaction(self.database) as session:
            store.set_trigger(session, claim.job_id, claim.attempt, push(), on_branch=on_branch)
            planned = store.plan_run(session, claim.job_id, claim.attempt, what)
        mine = claim if planned.mine else None
        while mine := mine or self.next_claim(queued.run_id):
            self.work(mine, ends)
            mine = None

    def claim(self, job_id: int) -> leases.Claim:
        with transaction(self.database) as session:
            claimed = leases.claim(session, job_id, "w1", 15)
        assert claimed is not None
        return claimed

    def next_claim(self, run_id: int) -> leases.Claim | None:
        with reading(self.database) as session:
            ready = [job.id for job in store.jobs_of(session, run_id) if job.ready and not job.state.final]
        return self.claim(ready[0]) if ready else None

    def work(self, claim: leases.Claim, ends: Mapping[str, Outcome]) -> None:
        """Each step writes where it runs; each job keeps a file."""
        with reading(self.database) as session:
            job = session.get_one(Job, claim.job_id)
            number = session.get_one(Run, claim.run_id).number
            steps = [step for step in store.steps_of(session, job.id) if not step.state.final]
        outcome = ends.get(job.title, PASSED)
        for step in steps:
            logs = folder_logs(self.database, self.folder)
            writer = logs.writer(claim.run_id, claim.job_id, step.number, claim.attempt)
            writer.append(f"{job.title} {step.name} of run {number}\n".encode(), Stream.STDOUT, 1)
            writer.close()
            facts = self.facts if step.kind == "push" else {}
            last = step is steps[-1]
            with transaction(self.database) as session:
                store.start_step(session, claim.job_id, claim.attempt, step.number)
                ended, sizes = outcome if last else PASSED, (writer.size_bytes, 1)
                store.finish_step(session, claim.job_id, claim.attempt, step.number, ended, sizes, facts)
        content = f"{job.title} {number}".encode()
        kept = FoundFile(f"of-{job.name}", len(content), executable=False, opened=partial(BytesIO, content))
        storage = StoredArtifacts(self.database, self.blobs, claim, self.repo_id)
        storage.keep(steps[0].number, Artifacts(name="n", paths=("**",)), [kept])
        reports = StoredReports(self.database, self.blobs, claim, self.repo_id)
        reports.keep(steps[0].number, step_reports("good", f"bad-{job.name}-{number}"))
        self.before_end(claim)
        with transaction(self.database) as session:
            store.finish_job(session, claim.job_id, claim.attempt, outcome)

    def run(self, run_id: int) -> Run:
        with reading(self.database) as session:
            return session.get_one(Run, run_id)

    def jobs(self, run_id: int) -> dict[str, Job]:
        with reading(self.database) as session:
            return {job.title: job for job in store.jobs_of(session, run_id)}

    def carried(self, run_id: int) -> dict[str, int | None]:
        """The number of the run in which each job ran, where that is another one."""
        return {title: job.carried_from for title, job in self.jobs(run_id).items()}

    def steps(self, run_id: int, title: str) -> list[Step]:
        with reading(self.database) as session:
            return list(store.steps_of(session, self.jobs(run_id)[title].id))

    def log(self, run_id: int, title: str, number: int = 1) -> str:
        step = self.steps(run_id, title)[number - 1]
        with folder_logs(self.database, self.folder).open(run_id, step.job_id, step.number, step.attempt) as log:
            return log.read(0).decode()

    def failed_tests(self, run_id: int) -> dict[str, str]:
        """The failed test of each step with a report, by job and step."""
        with reading(self.database) as session:
            shown = report_rows.reports_of_run(session, run_id)
            found = {each.report.id: f"{each.job.name} {each.step_name}" for each in shown}
            rows = report_rows.failures_of(session, list(found), 100)
            return {found[row.report_id]: row.name for row in rows}

    def artifacts(self, run_id: int) -> dict[str, str]:
        with reading(self.database) as session:
            claim = leases.Claim(0, run_id, 1, None, "")
            storage = StoredArtifacts(self.database, self.blobs, claim, self.repo_id)
            found = artifact_rows.artifacts_of_run(session, run_id, 100)
        names = sorted({each.job.name for each in found})
        return {file.path: b"".join(storage.read(file)).decode() for file in storage.kept_by(names)}

    def remove(self, run_id: int) -> None:
        """What retention does with a run, and all that is done by the clock after it."""
        with transaction(self.database) as session:
            assert remove_finished(session, [run_id]) == 1
            session.execute(update(ArtifactBlob).values(used_ms=0))
        folder_logs(self.database, self.folder).delete_marked()
        assert delete_unused_artifacts(self.database, self.blobs) == ""

    def blob_names(self) -> list[str]:
        return [*LocalBlobs(self.folder / "blobs").names("logs"), *self.blobs.names("artifacts")]


@pytest.fixture
def place(database: Engine, repo_id: int, tmp_path: Path) -> Place:
    (tmp_path / "blobs").mkdir(exist_ok=True)
    return Place(database, repo_id, tmp_path, LocalBlobs(tmp_path / "blobs"))


def test_jobs_that_passed_are_carried_over_with_all_that_they_left(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    assert place.run(first).state is State.FAILED
    again = place.again(first, ALL_FAILED)
    run = place.run(again)
    assert (run.state, run.parent_run_id, run.number) == (State.PASSED, first, 2)
    assert run.rerun is not None
    assert (run.rerun["by"], run.rerun["reason"], run.rerun["what"]) == ("ada", "why not", "its failed jobs")
    assert place.carried(again) == {"build": 1, "test": None, "deploy": None}
    before, after = place.jobs(first)["build"], place.jobs(again)["build"]
    assert (after.state, after.started_ms, after.finished_ms) == (State.PASSED, before.started_ms, before.finished_ms)
    assert after.key != before.key, "the names of what a job has on a machine are its own"
    (one, two) = place.steps(again, "build")
    assert [(step.state, step.carried_from, step.log_lines) for step in (one, two)] == [(State.PASSED, 1, 1)] * 2
    assert place.log(again, "build", 2) == "build step-2 of run 1\n"
    assert place.log(again, "test", 2) == "test step-2 of run 2\n"
    assert place.artifacts(again) == {"of-build": "build 1", "of-test": "test 2", "of-deploy": "deploy 2"}
    assert place.failed_tests(again) == {
        "build step-1": "bad-build-1", "test step-1": "bad-test-2", "deploy step-1": "bad-deploy-2",
    }  # fmt: skip


def test_what_was_carried_over_stays_when_the_earlier_runs_are_removed(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    second = place.again(first, ALL_FAILED, ends={"deploy": FAILED})
    third = place.again(second, ALL_FAILED)
    assert place.carried(third) == {"build": 1, "test": 2, "deploy": None}
    for run_id in (first, second):
        place.remove(run_id)
        assert place.log(third, "build") == "build step-1 of run 1\n"
        assert place.log(third, "test") == "test step-1 of run 2\n"
        assert place.artifacts(third) == {"of-build": "build 1", "of-test": "test 2", "of-deploy": "deploy 3"}
    with reading(place.database) as session:
        assert not logs_to_delete(session, 10), "sizes count them as the repository's"
        assert not session.scalars(select(StoredLog.key).where(StoredLog.job_id.is_(None))).all()
    place.remove(third)
    assert place.blob_names() == [], "with the last run that has it, it goes"


def test_a_log_that_was_deleted_before_is_none(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    folder_logs(place.database, place.folder).delete_run(first)
    again = place.again(first, ALL_FAILED)
    (one, _) = place.steps(again, "build")
    assert (one.log_bytes, one.log_lines, one.message) == (0, 0, "its log was deleted with those of run 1")
    assert place.log(again, "build") == ""


def test_one_cell_runs_again_with_what_depends_on_it(place: Place) -> None:
    cells = [job_plan("test", n).model_copy(update={"cell": {"PY": v}}) for n, v in enumerate(("3.11", "3.12"), 1)]
    lint, deploy = job_plan("lint", 3), job_plan("deploy", 4, needs=("test",))
    what = plan(*cells, lint, deploy)
    first = place.first(what, {"lint": FAILED})
    again = place.again(first, Asked(titles=("test 3.12",)), what)
    assert place.carried(again) == {"test 3.11": 1, "test 3.12": None, "lint": 1, "deploy": None}
    assert place.run(again).state is State.FAILED, "what was carried over counts as it ended"
    assert place.carried(place.again(first, Asked(titles=("test",)), what))["test 3.11"] is None


def test_a_job_whose_needs_failed_runs_again_with_them(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    again = place.again(first, Asked(titles=("deploy",)))
    assert place.carried(again) == {"build": 1, "test": None, "deploy": None}
    assert place.run(again).state is State.PASSED


def test_where_nothing_did_not_pass_there_is_nothing_to_run(place: Place) -> None:
    first = place.first()
    with pytest.raises(NothingToRunError, match="All of its jobs passed"):
        place.again(first, ALL_FAILED)
    with pytest.raises(NothingToRunError, match=r"It has no job 'tset'. It has 'build', 'test', 'deploy'."):
        place.again(first, Asked(titles=("build", "tset")))


def publishing(name: str, number: int, needs: tuple[str, ...] = (), *, on_failure: bool = False) -> JobPlan:
    build, pushes = (
        BuildStep(number=1, name="image"),
        PushStep(number=2, name="out", image=1, repos=("r",), tags=("1",)),
    )
    last = job_plan("x", steps=3).steps[2]
    return job_plan(name, number, needs, on_failure=on_failure).model_copy(update={"steps": (build, pushes, last)})


def test_what_was_pushed_is_not_pushed_again_unless_it_is_named(place: Place) -> None:
    what = plan(job_plan("test", 1), publishing("publish", 2, ("test",), on_failure=True))
    first = place.first(what, {"test": FAILED})
    again = place.again(first, ALL_FAILED, what)
    assert place.carried(again) == {"test": None, "publish": 1}
    assert place.steps(again, "publish")[1].facts == place.facts, "it keeps its digest"
    assert place.carried(place.again(first, Asked(titles=("publish",)), what)) == {"test": 1, "publish": None}


def test_a_failed_job_does_not_push_again_what_it_pushed(place: Place) -> None:
    what = plan(publishing("publish", 1))
    first = place.first(what, {"publish": FAILED})
    with transaction(place.database) as session:
        asked = as_stored(ALL_FAILED, choose(session, store.jobs_of(session, first), ALL_FAILED), "ada", "")
        queued = store.rerun(session, first, asked=asked)
    claim = place.claim(queued.job_id)
    with transaction(place.database) as session:
        store.set_trigger(session, claim.job_id, claim.attempt, push(), on_branch=True)
        assert store.plan_run(session, claim.job_id, claim.attempt, what).mine == what.jobs[0]
        leases.release(session, claim.job_id, claim.attempt)
    place.work(place.claim(queued.job_id), {})
    build, pushed, last = place.steps(queued.run_id, "publish")
    assert (pushed.state, pushed.carried_from, pushed.facts) == (State.PASSED, 1, place.facts)
    assert place.log(queued.run_id, "publish", 2) == "publish out of run 1\n", "also in the second attempt"
    assert (build.carried_from, last.carried_from, place.log(queued.run_id, "publish", 3)) == (
        None, None, "publish step-3 of run 2\n",
    )  # fmt: skip
    named = place.again(first, Asked(titles=("publish",)), what)
    assert [step.carried_from for step in place.steps(named, "publish")] == [None] * 3


@pytest.mark.parametrize("before", [True, False])
def test_nothing_is_carried_over_between_trusted_and_untrusted_runs(place: Place, *, before: bool) -> None:
    first = place.first(ends={"test": FAILED}, on_branch=before)
    again = place.again(first, ALL_FAILED, on_branch=not before)
    assert set(place.carried(again).values()) == {None}
    words = ("trusted", "untrusted") if before else ("untrusted", "trusted")
    request = place.run(again).rerun
    assert request is not None
    assert f"the earlier run was {words[0]}, and this one is {words[1]}" in request["note"]


def test_all_jobs_run_where_the_earlier_run_is_gone(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    with transaction(place.database) as session:
        asked = as_stored(ALL_FAILED, choose(session, store.jobs_of(session, first), ALL_FAILED), "ada", "")
        queued = store.rerun(session, first, asked=asked)
    place.remove(first)
    place.carry_out(queued, THREE, {}, on_branch=True)
    assert set(place.carried(queued.run_id).values()) == {None}
    request = place.run(queued.run_id).rerun
    assert request is not None
    assert request["note"] == "All jobs run: the earlier run has been removed."


def test_a_job_with_other_steps_runs_again(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    other = plan(job_plan("build", 1, steps=3), *THREE.jobs[1:])
    assert place.carried(place.again(first, ALL_FAILED, other)) == {"build": None, "test": None, "deploy": None}


def test_a_run_in_which_nothing_is_left_to_run_ends_at_once(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    only = plan(job_plan("build", 1))
    again = place.again(first, ALL_FAILED, only)
    assert place.carried(again) == {"build": 1}
    assert place.run(again).state is State.PASSED
    assert place.jobs(again)["build"].lease_until_ms is None


def test_a_job_for_failures_is_skipped_where_what_it_needs_was_carried_over_and_passed(place: Place) -> None:
    what = plan(job_plan("build", 1), job_plan("clean", 2, needs=("build",), on_failure=True, on_success=False))
    first = place.first(what)
    again = place.again(first, Asked(titles=("clean",)), what)
    assert place.carried(again) == {"build": 1, "clean": None}
    assert (place.jobs(again)["clean"].state, place.run(again).state) == (State.SKIPPED, State.PASSED)


@pytest.mark.parametrize(("expire_s", "expected"), [(0, None), (86_400, 1)])
def test_a_job_whose_artifacts_have_expired_runs_again_for_one_that_restores_them(
    place: Place, expire_s: int, expected: int | None
) -> None:
    kept = Artifacts(name="n", paths=("**",), expire_s=expire_s)
    build, test, _ = THREE.jobs
    steps = (build.steps[0].model_copy(update={"artifacts": kept}), build.steps[1])
    what = plan(
        build.model_copy(update={"steps": steps}), test.model_copy(update={"restored_from": ("build",)})
    )  # fmt: skip
    first = place.first(what, {"test": FAILED})
    assert place.carried(place.again(first, ALL_FAILED, what))["build"] == expected


def kept(place: Place, run_id: int, title: str, hours: int = 1) -> None:
    """The machine of this job keeps its files."""
    job = place.jobs(run_id)[title]
    with transaction(place.database) as session:
        session.execute(update(Job).where(Job.id == job.id).values(host="attic"))
        assert keep_files(session, job.id, job.attempt, hours, 100)


def test_a_failed_job_goes_on_from_the_step_that_failed_on_its_machine(place: Place) -> None:
    what = plan(publishing("publish", 1), job_plan("lint", 2))
    first = place.first(what, {"publish": FAILED})
    kept(place, first, "publish")
    asked = Asked(failed=True, from_step=True)
    with transaction(place.database) as session:
        request = as_stored(asked, choose(session, store.jobs_of(session, first), asked), "ada", "")
        queued = store.rerun(session, first, asked=request)
    assert request["what"] == "its failed jobs, from the step that failed"
    claim = place.claim(queued.job_id)
    with transaction(place.database) as session:
        store.set_trigger(session, claim.job_id, claim.attempt, push(), on_branch=True)
        planned = store.plan_run(session, claim.job_id, claim.attempt, what, lambda job: "hostname" not in job.labels)
    assert planned.mine is None, "this worker has not the files"
    job = place.jobs(queued.run_id)["publish"]
    assert (job.labels, job.files_of) == ({"hostname": "attic"}, place.jobs(first)["publish"].id)
    build, pushed, last = place.steps(queued.run_id, "publish")
    assert (build.carried_from, pushed.carried_from, last.carried_from) == (None, 1, None), "the image is built again"
    with reading(place.database) as session:
        assert files_for(session, job.id) == (job.files_of, place.jobs(first)["publish"].key)
        assert files_for(session, place.jobs(queued.run_id)["lint"].id) == (None, "")


def test_steps_that_are_taken_over_keep_their_artifacts_and_reports_in_each_attempt(place: Place) -> None:
    what = plan(job_plan("compile", 1, steps=3))
    first = place.first(what, {"compile": FAILED})
    kept(place, first, "compile")
    asked = Asked(failed=True, from_step=True)
    again = place.again(first, asked, what, {"compile": FAILED})
    assert place.steps(again, "compile")[0].carried_from == 1
    kept(place, again, "compile")
    third = place.again(again, asked, what)
    with reading(place.database) as session:
        found = artifact_rows.artifacts_of_run(session, third, 100)
    assert {each.artifact.step_number for each in found} >= {1}
    assert place.failed_tests(third)["compile step-1"] == "bad-compile-1"
    place.remove(first)
    place.remove(again)
    assert place.log(third, "compile", 1) == "compile step-1 of run 1\n"
    assert place.failed_tests(third)["compile step-1"] == "bad-compile-1"


def test_it_is_refused_where_the_files_are_not_kept_or_nothing_failed(place: Place) -> None:
    first = place.first(ends={"test": FAILED})
    with pytest.raises(NothingToRunError, match="The files of job 'test' are not kept"):
        place.again(first, Asked(failed=True, from_step=True))
    kept(place, first, "test", hours=0)
    with pytest.raises(NothingToRunError, match="The files of job 'test' are not kept"):
        place.again(first, Asked(failed=True, from_step=True))
    with pytest.raises(NothingToRunError, match="No step of these jobs failed"):
        place.again(first, Asked(titles=("build",), from_step=True))


def test_only_steps_that_had_begun_before_the_failure_are_taken_over() -> None:
    steps = job_plan("x", steps=5).steps
    detached = steps[1].model_copy(update={"detach": True})
    ends = (State.PASSED, State.PASSED, State.FAILED, State.PASSED, State.SKIPPED)
    times = ((1, 2), (3, 9), (4, 8), (8, 9), (None, 9))
    rows = [
        Step(number=number, state=state, started_ms=began, finished_ms=ended)
        for number, (state, (began, ended)) in enumerate(zip(ends, times, strict=True), 1)
    ]
    what = job_plan("x").model_copy(update={"steps": (steps[0], detached, *steps[2:])})
    assert list(before_failure(what, rows)) == [1]
    assert before_failure(what, rows[:2]) == {}


def test_services_of_a_compose_file_start_again_together() -> None:
    """A migration has written into a database that is gone."""
    steps = job_plan("x", steps=3).steps
    migration = PluginStep(number=2, name="it/migrate", container=Container(image=NamedImage(name="x")), project="it")
    what = job_plan("x").model_copy(update={"steps": (steps[0], migration, steps[2])})
    ends = (State.PASSED, State.PASSED, State.FAILED)
    rows = [Step(number=number, state=end, started_ms=1, finished_ms=2) for number, end in enumerate(ends, 1)]
    assert list(before_failure(what, rows)) == [1]
    other = what.model_copy(update={"steps": (steps[0], migration.model_copy(update={"project": ""}), steps[2])})
    assert list(before_failure(other, rows)) == [1, 2]
