"""Runs of all kinds, written by what a worker writes with: its claim, its plan, its recorder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

from sqlalchemy import update

from pipelines.plan import (
    Artifacts,
    BuildStep,
    BuiltImage,
    CommandsStep,
    Container,
    JobPlan,
    NamedImage,
    Plan,
    PushStep,
    Service,
    Step,
)
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.trigger import Trigger
from runner import events
from runner.artifacts.files import FoundFile
from runner.report_results import Coverage, CoveredFile, CoveredFiles
from tests.support.reports import step_reports
from web.services import Services
from workers import store
from workers.artifacts.storage import StoredArtifacts
from workers.db.models import Job, Run
from workers.db.models import Step as StepRow
from workers.db.session import db_now_ms, reading, transaction
from workers.jobs.recorder import Recorder
from workers.reports.storage import StoredReports
from workers.store.jobs import leases
from workers.store.jobs.leases import Claim

MINUTE_MS = 60_000
FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)
BROKEN = Outcome(State.BROKEN, Reason.CLONE_FAILED, "git.example.com does not answer", detail="fatal: unable to access")
TESTS = b"""+ pip install -r requirements.txt
Collecting httpx==0.28.1
Successfully installed httpx-0.28.1
+ pytest -q
\x1b[32m........................................\x1b[0m\x1b[31mF\x1b[0m\x1b[32m.......\x1b[0m
=================================== FAILURES ===================================
    def test_totals_are_rounded():
>       assert total([0.1, 0.2]) == 0.3
E       assert 0.30000000000000004 == 0.3
tests/test_a.py:10: AssertionError
1 failed, 47 passed in 3.21s
"""
_BOX = Container(image=NamedImage(name="python:3.13-slim"))
_SERVICE = Service(name="database", container=Container(image=NamedImage(name="postgres:17")))


def small_plan(name: str = "") -> Plan:
    """Build, test and push."""
    steps = (
        BuildStep(number=1, name="build"),
        CommandsStep(
            number=2, name="test", container=Container(image=BuiltImage(step=1)), commands=COMMANDS, needs=(1,)
        ),
        PushStep(number=3, name="push", image=1, repos=("registry.example.com/app",), tags=("1",), needs=(2,)),
    )
    return Plan(jobs=(JobPlan(name=name, file=".headway.yml", number=1, steps=steps),))


COMMANDS = ("pip install -r requirements.txt", "pytest -q")


def large_plan() -> Plan:
    """Workflows that need others, one with a matrix of twelve cells and a service."""
    lint = _job("lint", 1, (), "ruff", "mypy")
    cells = [
        _job(
            "test", 2 + at, ("lint",), "unit", cell={"PYTHON": f"3.{10 + at // 3}", "DB": ("pg", "my", "lite")[at % 3]}
        )
        for at in range(12)
    ]
    return Plan(jobs=(lint, *cells, _job("deploy", 14, ("test",), "image", "rollout")))


def _job(name: str, number: int, needs: tuple[str, ...], *steps: str, cell: dict[str, str] | None = None) -> JobPlan:
    made = tuple(
        CommandsStep(number=at, name=each, container=_BOX, commands=COMMANDS, needs=(at - 1,) if at > 1 else ())
        for at, each in enumerate(steps, 1)
    )
    services = (_SERVICE,) if cell else ()
    return JobPlan(
        name=name,
        file=f".headway/{name}.yml",
        number=number,
        needs=needs,
        cell=cell or {},
        steps=made,
        services=services,
    )


@dataclass(frozen=True)
class ShownRun:
    """A run to write: how it ends, and how many minutes ago it was queued. ``ends``: None is one that still runs."""

    trigger: Trigger
    plan: Plan
    ends: State | None = State.PASSED
    minutes_ago: int = 0
    took_s: int = 95


def write_run(services: Services, repo_id: int, shown: ShownRun) -> int:
    """Writes the run. Returns its id."""
    with transaction(services.engine) as session:
        queued = store.queue_run(session, repo_id, shown.trigger)
    claim = _claim(services, queued.job_id)
    if claim is None:
        return queued.run_id
    if shown.ends is State.BROKEN:
        _finish(services, claim, BROKEN)
    else:
        with transaction(services.engine) as session:
            store.plan_run(session, claim.job_id, claim.attempt, shown.plan)
        with reading(services.engine) as session:
            jobs = [job.id for job in store.jobs_of(session, queued.run_id)]
        for job_id, planned in zip(jobs, shown.plan.jobs, strict=True):
            mine = claim if job_id == claim.job_id else _claim(services, job_id)
            if mine is not None and not _JobWriter(services, mine, repo_id, planned, shown.ends).write():
                break
    if shown.ends is not None:
        _set_times(services, queued.run_id, shown)
    return queued.run_id


def _claim(services: Services, job_id: int) -> Claim | None:
    with transaction(services.engine) as session:
        return leases.claim(session, job_id, "ci-1/1", 3600, "ci-1")


def _finish(services: Services, claim: Claim, outcome: Outcome) -> None:
    with transaction(services.engine) as session:
        store.finish_job(session, claim.job_id, claim.attempt, outcome)


class _JobWriter:
    """Writes what a worker writes of one job."""

    def __init__(self, services: Services, claim: Claim, repo_id: int, planned: JobPlan, ends: State | None) -> None:
        self.services, self.claim, self.repo_id, self.planned, self.ends = services, claim, repo_id, planned, ends

    def write(self) -> bool:
        """Returns whether the run goes on."""
        with reading(self.services.engine) as session:
            ids = {number: step.id for number, step in store.steps_by_number(session, self.claim.job_id).items()}
            now = db_now_ms(session)
        logs, live = self.services.logs, self.services.live
        with Recorder(self.services.engine, logs, live, self.claim, ids, lambda: now) as record:
            record(events.ImagePullChanged("python:3.13-slim"))
            record(events.ImagePullChanged("python:3.13-slim", 2.1, 46_000_000))
            for service in self.planned.services:
                record(events.ServiceChanged(service.name, "starting"))
                record(events.ServiceChanged(service.name, "starting", has_container=True))
                record(events.ServiceChanged(service.name, "ready"))
            outcome = PASSED
            for step in self.planned.steps:
                ends = self._step(record, step)
                if ends is None:
                    return False
                outcome = ends
                if outcome is not PASSED:
                    break
        _finish(self.services, self.claim, outcome)
        return True

    def _step(self, record: Callable[[events.Event], None], step: Step) -> Outcome | None:
        """How the step ended; None if it still runs."""
        number, is_test = step.number, step.name in ("test", "unit")
        record(events.StepStarted(number))
        fails = is_test and self.ends is State.FAILED and self.planned.cell.get("DB") in (None, "my")
        if isinstance(step, BuildStep):
            for index, text in enumerate(("FROM python:3.13-slim", "COPY . /app", "RUN pip install /app"), 1):
                record(events.InstructionChanged(number, index, text, cached=index == 1, seconds=0.4 * index))
            record(events.ImageBuilt(number, "sha256:" + "3f" * 32, 91_000_000))
        else:
            data = TESTS if fails else TESTS.split(b"\x1b[32m")[0] + b"48 passed in 2.90s\n"
            record(events.StepOutput(number, 0, data, events.Stream.STDOUT))
        if is_test and self.ends is None:
            return None
        if is_test:
            self._keep(number, fails=fails)
        outcome = FAILED if fails else PASSED
        record(events.StepFinished(number, outcome))
        return outcome

    def _keep(self, number: int, *, fails: bool) -> None:
        """The reports and artifacts of a step that tests."""
        failed = "test_totals_are_rounded" if fails else ""
        reports = step_reports("test_prices test_dates test_login", failed, Coverage(1_840, 2_000))
        run = self.claim.run_id
        lines = {f"app/part_{at:02}.py": 60 + at + (run if at < 3 else 0) % 4 for at in range(25)}
        lines |= {"app/totals.py": 90 - run % 5, f"app/export_{run % 2}.py": 40}
        covered = CoveredFiles(tuple(CoveredFile(path, lines[path], 100) for path in sorted(lines)))
        reports = replace(reports, covered_files=covered)
        engine, blobs = self.services.engine, self.services.blobs
        StoredReports(engine, blobs, self.claim, self.repo_id).keep(number, reports)
        files = {"report/index.html": b"<h1>Report</h1><p>48 tests.</p>", "dist/app.tar.gz": b"\0" * 2_000}
        found = [
            FoundFile(path, len(data), executable=False, opened=partial(BytesIO, data)) for path, data in files.items()
        ]
        kept = Artifacts(name="results", paths=("**",))
        StoredArtifacts(engine, blobs, self.claim, self.repo_id).keep(number, kept, found)


def _set_times(services: Services, run_id: int, shown: ShownRun) -> None:
    """Moves the run into the past, where it took some time."""
    with transaction(services.engine) as session:
        begun = db_now_ms(session) - shown.minutes_ago * MINUTE_MS
        ended = begun + shown.took_s * 1000
        jobs = session.query(Job.id, Job.number).where(Job.run_id == run_id, Job.started_ms.is_not(None)).all()
        run_values = {"created_ms": begun, "started_ms": begun + 1_200, "finished_ms": ended}
        session.execute(update(Run).where(Run.id == run_id).values(run_values))
        share = (shown.took_s * 1000 - 1_200) // max(1, len(jobs))
        for at, (job_id, _) in enumerate(jobs):
            job = session.get_one(Job, job_id)
            start = begun + 1_200 + at * share
            job.created_ms, job.started_ms, job.finished_ms = begun, start, start + share
            steps = session.query(StepRow).where(StepRow.job_id == job_id).order_by(StepRow.number).all()
            prepared = _set_preparation_times(job, start, share)
            _set_step_times(steps, prepared, start + share - prepared)


def _set_preparation_times(job: Job, start_ms: int, share_ms: int) -> int:
    """The first third of a job with pulls is for them, and for its services. Returns when its steps begin."""
    if not job.pulls:
        return start_ms
    ready = start_ms + share_ms // 3
    pulled = start_ms + share_ms // 5
    job.pulls = [{**each, "started_ms": start_ms, "finished_ms": pulled} for each in job.pulls]
    times = {"begun_ms": start_ms, "started_ms": pulled, "ready_ms": ready}
    job.services = [{**each, **times} for each in job.services]
    return ready


def _set_step_times(steps: Sequence[StepRow], start_ms: int, share_ms: int) -> None:
    began = [step for step in steps if step.started_ms is not None]
    for at, step in enumerate(began):
        step.started_ms = start_ms + at * share_ms // len(began)
        step.finished_ms = start_ms + (at + 1) * share_ms // len(began)
