"""Steps that need not run again, in one job: the decision for each, the files that they leave, and new records."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from threading import Lock

from pipelines.plan import BuildStep, BuiltImage, CommandsStep, NamedImage, Service, Step
from pipelines.state import PASSED, Outcome, State
from pipelines.step_order import ancestors
from runner.artifacts.files import KeptFile
from runner.artifacts.restoring import put_back
from runner.errors import StepError
from runner.events import ReportsRead, StepReused
from runner.execution.job.job import Job
from runner.reuse import keys
from runner.reuse.records import ReuseAccess, unchanged
from runner.reuse.sources import UnknownSourcesError

_SKIPPED = "skipped"


@dataclass(frozen=True)
class _Candidate:
    """A step whose key is known, and when its turn came."""

    key: str
    parts: Mapping[str, str]
    since_s: float


class StepReuse:
    """The reuse of one job's steps. Calls for one step come one after the other, those for several from many threads.

    A step counts only if all that it could see is known: each step before it has left a mark. That is its key, for a
    step with sources that passed at once; the id of the image, for a build; or that it was skipped.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._access = _access(job)
        self._before = ancestors({step.number: step.needs for step in job.plan.steps})
        self._steps = {step.number: step for step in job.plan.steps}
        self._marks: dict[int, str] = {}
        self._candidates: dict[int, _Candidate] = {}
        self._restored: str | None = None
        self._files: list[KeptFile] = []
        self._prepared = False
        self._lock = Lock()
        self.taken: set[int] = set()

    @property
    def is_on(self) -> bool:
        """Is any step of this job reused or recorded?"""
        return self._access is not None

    def may_take(self, step: Step) -> bool:
        """Can be decided now whether the step is reused? Not before the image is built that it or a service needs."""
        if self._access is None or not isinstance(step, CommandsStep) or not step.sources:
            return False
        images = [step.container.image, *(service.container.image for service in self._job.plan.services)]
        return all(isinstance(image, NamedImage) or image.step in self._job.built for image in images)

    def take(self, step: Step) -> Outcome | None:
        """The outcome of the step, if an earlier result is taken; it has been emitted. None: the step runs."""
        access = self._access
        if access is None or not isinstance(step, CommandsStep) or not step.sources:
            return None
        since_s = time.monotonic()
        try:
            if step.number not in self._candidates:
                parts = self._parts(access, step)
                self._candidates[step.number] = _Candidate(keys.key_of(parts), parts, since_s)
            return self._take(access, step, self._candidates[step.number])
        except UnknownSourcesError as error:
            self._job.reuse_notes[step.number] = f"it runs: {error}"
        except (StepError, OSError):
            pass  # the step runs, and says what is wrong
        return None

    def _take(self, access: ReuseAccess, step: CommandsStep, candidate: _Candidate) -> Outcome | None:
        if not access.takes:
            self._job.reuse_notes[step.number] = "it runs: no earlier result is to be reused (--no-reuse)"
            return None
        record = access.records.find(step, candidate.key)
        if record is None:
            self._job.reuse_notes[step.number] = f"it runs: {_why(access, step, candidate.parts)}"
            return None
        files = record.files if record.files and self._is_in_checkout(step, candidate.parts[keys.IMAGE]) else ()
        self._put_back(access, files)
        if not access.records.take(step, record):
            return None
        if not self._prepared:
            self._files += files
        outcome = replace(PASSED, message=unchanged(record), exit_code=0)
        with self._lock:
            self.taken.add(step.number)
        if record.reports is not None:
            self._job.emit(ReportsRead(step.number, record.reports))
        self._job.emit(StepReused(step.number, outcome, record.since, record.seconds))
        return outcome

    def _is_in_checkout(self, step: CommandsStep, image: str) -> bool:
        """Does the step start in the checkout? If not, what it keeps is gone with its container, also when it runs."""
        folder = step.container.directory or str(self._job.images.config_of(image).get("WorkingDir") or "/")
        return PurePosixPath(folder).is_relative_to(self._job.plan.workspace)

    def _put_back(self, access: ReuseAccess, files: tuple[KeptFile, ...]) -> None:
        """Puts files into a checkout that is there already."""
        if files and self._prepared:
            put_back(self._job.source, files, access.records.read, self._job.check)
            self._job.owner.forget()

    def prepared(self) -> None:
        """The checkout is there now: it gets what the steps have left that were reused before. Raises StepError."""
        self._prepared = True
        if self._access and self._files:
            put_back(self._job.source, self._files, self._access.records.read, self._job.check)

    def ended(self, step: Step, outcome: Outcome) -> None:
        """Notes what a step leaves for the key of later ones, and keeps its result."""
        if self._access is None:
            return
        if outcome.state is State.SKIPPED:
            self._marks[step.number] = _SKIPPED
        elif outcome.state is not State.PASSED or step.number in self._job.retried:
            return
        elif isinstance(step, BuildStep) and step.number in self._job.built:
            self._marks[step.number] = self._job.built[step.number]
        elif isinstance(step, CommandsStep) and (candidate := self._candidates.get(step.number)):
            self._marks[step.number] = candidate.key
            if step.number not in self.taken and self._access.keeps:
                seconds = time.monotonic() - candidate.since_s
                self._access.records.keep(step, candidate.key, candidate.parts, seconds)

    def _parts(self, access: ReuseAccess, step: CommandsStep) -> dict[str, str]:
        """All parts of the step's key. Raises UnknownSourcesError."""
        job, secrets = self._job, self._job.assignment.secrets
        before = self._marks_before(step)
        try:
            parts = keys.step_parts(job.plan, step, secrets, access.fingerprint)
            for service in job.plan.services:
                image = self._service_image(service)
                parts[f"service {service.name}"] = keys.service_part(service, image, secrets, access.fingerprint)
        except KeyError as error:
            raise UnknownSourcesError(f"the secret {error} is missing") from None
        states = access.tree.states(step.sources)
        parts |= {f"source {pattern}": state for pattern, state in states.items()}
        parts |= {keys.GIT_FILES: access.tree.git_files(), "artifacts": self._restored_digest(access)}
        parts |= {f"step {self._steps[number].name}": mark for number, mark in before.items()}
        parts[keys.IMAGE] = job.image_of(step, _silent)
        return parts

    def _marks_before(self, step: CommandsStep) -> dict[int, str]:
        if self._job.status.word != "success":
            raise UnknownSourcesError("something before it did not pass")
        before = sorted(self._before[step.number])
        unknown = next((number for number in before if number not in self._marks), None)
        if unknown is not None:
            name = self._steps[unknown].name
            raise UnknownSourcesError(f"what step {name!r} before it leaves is not known: it has no `sources`")
        return {number: self._marks[number] for number in before}

    def _service_image(self, service: Service) -> str:
        image = service.container.image
        if isinstance(image, BuiltImage):
            if image.step not in self._job.built:
                raise UnknownSourcesError(f"the image of service {service.name!r} is not built")
            return self._job.built[image.step]
        return str(
            self._job.images.get(self._job.requirements.services[service.name], _silent, self._job.deadline)["Id"]
        )

    def _restored_digest(self, access: ReuseAccess) -> str:
        """Stands for the files that other workflows have put into the checkout."""
        with self._lock:
            if self._restored is None:
                storage, names = self._job.assignment.artifacts, self._job.plan.restored_from
                files = storage.kept_by(names) if storage and names else ()
                listed = [f"{file.path}\0{file.sha256}\0{file.executable}" for file in files]
                self._restored = access.fingerprint("\n".join(listed))
            return self._restored


def _access(job: Job) -> ReuseAccess | None:
    """None where nothing is reused: what the job began with is not what a commit has, or another process began it."""
    asked = job.assignment
    began_elsewhere = bool(job.resumption) or asked.take_files is not None or bool(asked.carried)
    wanted = any(isinstance(step, CommandsStep) and step.sources for step in job.plan.steps)
    if began_elsewhere or asked.failed_needs or not wanted or job.plan.checkout is None:
        return None
    return None if job.plan.checkout.submodules_newest else asked.reuse


def _why(access: ReuseAccess, step: CommandsStep, parts: Mapping[str, str]) -> str:
    latest = access.records.latest(step)
    if latest is None:
        return "there is no earlier result to reuse"
    found = keys.changes(latest.parts, parts)
    if not found:
        return f"what it left in {latest.since} is gone"
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more} changed since {latest.since}".replace(",,", ",")


def _silent(_text: str) -> None:
    """The step's log has the progress of its pull when it runs."""
