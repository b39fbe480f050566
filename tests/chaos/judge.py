"""What must be true in the end, whatever has happened: one run for each delivery, its verdict, its logs, its push."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from pipelines.state import State
from runner.docker.containers.specs import JOB_LABEL
from runner.events import Stream
from tests.chaos.stack import Stack, bucket_keys, opened
from tests.chaos.workload import IMAGE, MATRIX, REPO, Expected, Sent
from tests.support.registry import Registry
from workers import store
from workers.blobs import open_blobs
from workers.db.models import Delivery, Job, Run, Step, StoredLog
from workers.db.session import reading
from workers.forges.signatures import signed_key
from workers.logs import Chunk, LogReader, LogStore, open_logs
from workers.settings import Settings
from workers.store.jobs import leases

SETTLE_S = 150.0
"""For so long what is left may take to end, and to be cleaned up."""
OUR_FAULT = "a job broke"
"""The words with which a worker logs an error that it does not know."""
_READ_BYTES = 64 * 1024**2


class Judge:
    """Looks at what is stored, past all proxies. ``problems`` are what is wrong."""

    def __init__(
        self, settings: Settings, database: Engine, registry: Registry, tags: Callable[[str], set[str]]
    ) -> None:
        self.settings, self.database, self.registry, self.tags = settings, database, registry, tags
        self.logs: LogStore = open_logs(settings, database)
        self.problems: list[str] = []

    def runs(self, sent: list[Sent]) -> None:
        """Each delivery has one run, and each run is right."""
        pushed: set[str] = set()
        with reading(self.database) as session:
            repo = store.repo_by_name(session, REPO)
            assert repo is not None
            of_repo = session.scalars(select(Run).where(Run.repo_id == repo.id)).all()
            self._deliveries(session, sent, len(of_repo))
            for each in sent:
                for run in [run for run in of_repo if run.number in each.runs]:
                    for problem in self._of_run(session, each, run):
                        self.problems.append(f"run {run.number} ({each.nonce}): {problem}")
                    if each.kind == "push" and run.state is State.PASSED:
                        pushed.add(each.nonce)
        if (there := self.tags(IMAGE)) != pushed:
            self.problems.append(
                f"the registry has the tags {sorted(there)}, and the runs have pushed {sorted(pushed)}"
            )

    def _deliveries(self, session: Session, sent: list[Sent], runs: int) -> None:
        rows = session.execute(select(Delivery.key, Delivery.run_id)).all()
        with_run = Counter(key for key, run_id in rows if run_id is not None)
        for each in sent:
            count = with_run[signed_key(each.body)]
            if count > 1 or (each.accepted and (count, len(each.runs)) != (1, 1)):
                self.problems.append(f"{each.nonce}: delivered once, and has {count} runs; answers named {each.runs}")
        if runs != sum(with_run.values()):
            self.problems.append(f"there are {runs} runs, and {sum(with_run.values())} deliveries that started one")

    def _of_run(self, session: Session, sent: Sent, run: Run) -> Iterator[str]:
        jobs = store.jobs_of(session, run.id)
        if run.state.value != sent.verdict:
            yield f"ended as {run.state}, not as {sent.verdict}: {run.sentence}"
            return
        if len(jobs) != (len(MATRIX) if sent.kind == "matrix" else 1):
            yield f"has {len(jobs)} jobs"
        for job in jobs:
            yield from self._of_job(session, sent, run, job)

    def _of_job(self, session: Session, sent: Sent, run: Run, job: Job) -> Iterator[str]:
        if job.lease_owner or job.lease_until_ms:
            yield f"job {job.id} still has a lease"
        steps = session.scalars(select(Step).where(Step.job_id == job.id).order_by(Step.number)).all()
        # A run may be canceled before it is planned.
        if run.state is not State.CANCELED and (missing := sent.steps.keys() - {step.name for step in steps}):
            yield f"has no steps {sorted(missing)}"
        for step in steps:
            if (expected := sent.steps.get(step.name)) is not None:
                yield from self._of_step(run, job, step, expected)
            elif step.name == "push":
                yield from self._of_push(job, step, sent.nonce)

    def _of_step(self, run: Run, job: Job, step: Step, expected: Expected) -> Iterator[str]:
        if step.state.value not in {expected.state, *(() if expected.whole else ("skipped",))}:
            yield f"step {step.name} is {step.state}, not {expected.state}: {step.message}"
        if step.state is State.SKIPPED or step.started_ms is None:
            return
        if step.attempt != job.origin:
            yield f"step {step.name} is of attempt {step.attempt}, and its job of {job.origin}"
        for attempt in range(1, job.origin + 1):
            with self.logs.open(run.id, job.id, step.number, attempt) as log:
                data, complete, cut_off, size = printed_by(log), log.complete, log.cut_off, log.size_bytes
            whole = expected.whole and attempt == job.origin
            yield from (
                f"step {step.name}, attempt {attempt}: {what}" for what in wrong_log(data, expected, whole=whole)
            )
            lost = cut_off and not expected.whole  # its worker was lost when it was to be canceled
            if attempt == job.origin and not lost and (step.log_bytes, complete) != (size, True):
                yield f"step {step.name}: its row says {step.log_bytes} bytes of {size}, complete: {complete}"

    def _of_push(self, job: Job, step: Step, nonce: str) -> Iterator[str]:
        pushed = step.facts.get("pushed", [])
        if len(pushed) != 1:
            yield f"its row says that it was pushed {len(pushed)} times"
            return
        digest, _ = self.registry.manifest(IMAGE, nonce)
        labels = self.registry.config(IMAGE, nonce)["config"]["Labels"]
        if pushed[0]["digest"] != digest or pushed[0]["image_id"] not in self.registry.ids(IMAGE, nonce):
            yield f"the registry has {digest}, and attempt {job.attempt} has tested and pushed {pushed[0]}"
        if labels.get("nonce") != nonce:
            yield f"the image in the registry is of {labels}"

    def blobs(self) -> None:
        """Every blob belongs to a log, and nothing is left when all runs are deleted."""
        blobs = open_blobs(self.settings)
        with reading(self.database) as session:
            keys = set(session.scalars(select(StoredLog.key)))
            runs = list(session.scalars(select(Run.id)))
        if strays := [name for name in blobs.names("logs") if name.split("/")[2] not in keys]:
            self.problems.append(f"blobs of no log: {strays[:5]}")
        for run_id in runs:
            self.logs.delete_run(run_id)
        if left := list(blobs.names("logs")):
            self.problems.append(f"blobs are left when all runs are deleted: {left[:5]}")


def printed_by(log: LogReader) -> bytes:
    """A log without Headway's own notes."""
    data, chunks = log.read(0, _READ_BYTES), list[Chunk]()
    while more := log.chunks(chunks[-1].offset + 1 if chunks else 0, _READ_BYTES):
        new = [each for each in more if not chunks or each.offset > chunks[-1].offset]
        if not new:
            break
        chunks += new
    ends = [*(chunk.offset for chunk in chunks[1:]), len(data)]
    parts = zip(chunks, ends, strict=False)  # no chunk has an end where there is no output
    return b"".join(data[chunk.offset : end] for chunk, end in parts if chunk.stream is not Stream.NOTE)


def wrong_log(data: bytes, expected: Expected, *, whole: bool) -> Iterator[str]:
    """What is wrong with a log. One that is not ``whole`` may end at any byte: its attempt was lost, or canceled."""
    if data == expected.log or (not whole and data == expected.log[: len(data)]):
        return
    at = next((at for at, (a, b) in enumerate(zip(data, expected.log, strict=False)) if a != b), None)
    if at is None:
        yield f"its log has {len(data)} bytes, not {len(expected.log)}; it ends with {data[-60:]!r}"
    else:
        yield f"its log differs at byte {at} of {len(data)}: {data[max(0, at - 40) : at + 40]!r}"


def left_behind(stack: Stack) -> list[str]:
    """What jobs have left in engines, on disks and in leases."""
    found: list[str] = []
    with opened(stack) as database, reading(database) as session:
        found += [f"a lease of job {each.job_id}" for each in leases.held(session)]
    for machine in stack.machines:
        with closing(machine.engine()) as engine:
            objects = [*engine.containers_labelled(JOB_LABEL), *engine.networks_labelled(JOB_LABEL)]
            found += [f"{machine.name}: {each['Labels']} {each.get('Name', each['Id'])}" for each in objects]
            names = [*engine.image_names("headway/build"), *engine.image_names(f"{stack.registry_host}/{IMAGE}")]
            found += [f"{machine.name}: {name}" for name in names]
        for folder in ("workspaces", "running", "spool"):
            where = machine.data / folder
            found += [f"{machine.name}: {path}" for path in (where.iterdir() if where.is_dir() else ())]
    return found


def complaints(folder: Path) -> list[str]:
    """What the parts' own logs say of faults of Headway."""
    found = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        found += [f"{log.name}: {line[:300]}" for line in lines if OUR_FAULT in line]
    return found


def settle(stack: Stack, patience_s: float = SETTLE_S) -> list[str]:
    """Waits until all runs have ended and everything is cleaned up. What has not."""
    deadline_s = time.monotonic() + patience_s
    left = ["nothing was looked at"]
    while left and time.monotonic() < deadline_s:
        time.sleep(1)
        with opened(stack) as database, reading(database) as session:
            going = session.scalars(select(Run).where(Run.finished_ms.is_(None))).all()
            left = [f"run {run.number} is still {run.state}" for run in going]
        try:
            left = left or left_behind(stack)
        except Exception as error:  # noqa: BLE001 - an engine that starts
            left = [repr(error)]
    return left


def wrong_runs(stack: Stack, sent: list[Sent]) -> list[str]:
    """What is wrong with runs that have ended."""
    with opened(stack) as database, bucket_keys(stack):
        judged = Judge(stack.settings(), database, stack.registry.registry, stack.registry.tags)
        judged.runs(sent)
        return judged.problems


def judge(stack: Stack, sent: list[Sent]) -> list[str]:
    """All that is wrong with a stack whose faults are over."""
    problems = settle(stack)
    stack.site.parts["scheduler"].stop()
    with opened(stack) as database, bucket_keys(stack):
        judged = Judge(stack.settings(), database, stack.registry.registry, stack.registry.tags)
        judged.runs(sent)
        if not problems:
            judged.blobs()
    return problems + judged.problems + complaints(stack.folder)
