"""All that the parts of a running job share."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pipelines.plan import EnvValue, Image, JobPlan, Step, resolve, secret_names
from pipelines.state import Outcome, Reason, State
from runner.build import Builder
from runner.cancel import Cancel
from runner.engine import JOB_LABEL, Engine, Limits, Login
from runner.errors import CanceledError, MachineError, StepError
from runner.events import Emit
from runner.images import Images
from runner.output import Write
from runner.redact import Redactor
from runner.sandbox import Lanes, Sandboxes

ATTEMPT_LABEL = "headway.attempt"
STEP_LABEL = "headway.step"
DOCKER_HUB_CONFIG_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Options:
    """Limits and choices that are the same for all steps of a job. ``push`` false shows what would be pushed."""

    limits: Limits = field(default_factory=Limits)
    log_bytes_max: int = 1024**3
    step_timeout_s: float = 6 * 3600
    job_timeout_s: float = 6 * 3600
    grace_s: float = 10
    parallel_steps_max: int = 4
    steps_ahead_max: int = 2
    push: bool = True
    keep_images: bool = False


@dataclass(frozen=True)
class Assignment:
    """What a worker was given: the plan, and what it may know.

    ``key`` names the job in labels, ``attempt`` is its fence. ``folder`` is this attempt's own, and the engine must see
    it under the same path. ``lay_out`` puts the source at a path that does not exist yet.
    """

    plan: JobPlan
    key: str
    attempt: int
    folder: Path
    lay_out: Callable[[Path], None]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    options: Options = Options()


@dataclass(frozen=True)
class Deadline:
    """When a step must have ended, by the monotonic clock, and what is said of it then."""

    deadline: float
    what: str

    def outcome(self) -> Outcome:
        """How the step ends at the deadline."""
        return Outcome(State.FAILED, Reason.TIMEOUT, f"{self.what}; raise `timeout:` if it needs longer")


class Job:
    """A job at work. Made by ``execute.open_job``; ``close`` leaves nothing behind in the engine or on the disk."""

    def __init__(
        self, assignment: Assignment, engine: Engine, builder: Callable[[], Builder], emit: Emit, cancel: Cancel
    ) -> None:
        self.plan = assignment.plan
        self.assignment = assignment
        self.options = assignment.options
        self.engine = engine
        self.builder = builder
        self.emit = emit
        self.cancel = cancel
        self.redactor = Redactor(assignment.secrets.values())
        self.images = Images(engine, assignment.logins, self.check)
        self.started_s = int(time.time())
        self.job_timeout_s = min(self.plan.timeout_s or self.options.job_timeout_s, self.options.job_timeout_s)
        self.deadline = time.monotonic() + self.job_timeout_s
        self.built: dict[int, str] = {}
        self.failed = False
        self.scratch = assignment.folder / "scratch"
        self.workspace_base = assignment.folder / "workspace"
        self.source = self.workspace_base / Path(self.plan.workspace).relative_to(self.plan.workspace_base)
        self._remover = ThreadPoolExecutor(max_workers=2, thread_name_prefix="remove")
        self._lock = Lock()
        self._removals: list[Future[None]] = []
        self._names: list[str] = []
        self.closers: list[Callable[[], None]] = []
        self.services: list[str] = []
        self.detached: list[str] = []
        self.sandboxes = Sandboxes(engine, f"headway-{assignment.key}-{assignment.attempt}", self.labels())
        self.lanes = Lanes(self.sandboxes, {step.number: step.needs for step in self.plan.steps})

    def canceled(self) -> Outcome:
        """How a step ends that was running when somebody asked to stop."""
        return Outcome(State.CANCELED, Reason.CANCELED, f"canceled by {self.cancel.by}")

    def check(self) -> None:
        """Raises CanceledError when somebody asked to stop, StepError when the job's time is over."""
        if self.cancel:
            raise CanceledError(Reason.CANCELED, f"canceled by {self.cancel.by}")
        if time.monotonic() >= self.deadline:
            raise StepError(Reason.TIMEOUT, f"{self._time_is_over()}; raise `timeout:` if it needs longer")

    def _time_is_over(self) -> str:
        return f"the job's time of {self.job_timeout_s:g} s was over"

    def time_for(self, step: Step) -> Deadline:
        """How long a step that starts now may run: its own limit, the server's or the rest of the job's time."""
        timeout_s = min(step.timeout_s or self.options.step_timeout_s, self.options.step_timeout_s)
        deadline = time.monotonic() + timeout_s
        if self.deadline < deadline:
            return Deadline(self.deadline, self._time_is_over())
        return Deadline(deadline, f"timed out after {timeout_s:g} s")

    def labels(self, step: int | None = None) -> dict[str, str]:
        """What everything of this job in the engine carries."""
        labels = {JOB_LABEL: self.assignment.key, ATTEMPT_LABEL: str(self.assignment.attempt)}
        return labels | ({STEP_LABEL: str(step)} if step is not None else {})

    def image_of(self, image: Image, write: Write) -> str:
        """The image to make a container from: pulled if it must be, or the id of one that this job built."""
        if image.kind == "named":
            self.images.ensure(image.name, write, newest=image.pull)
            return image.name
        if image.step not in self.built:
            raise StepError(
                Reason.BUILD_FAILED, "the image that this step runs in was not built, for its build step did not run"
            )
        return self.built[image.step]

    def environment(self, values: Mapping[str, EnvValue]) -> dict[str, str]:
        """The variables with their secrets in place. Raises StepError naming a secret that this run does not have."""
        self.require(*values.values())
        return {name: resolve(value, self.assignment.secrets) for name, value in values.items()}

    def require(self, *values: EnvValue) -> None:
        """Raises StepError where a value needs a secret that is not here."""
        missing = sorted(set().union(*map(secret_names, values)) - set(self.assignment.secrets))
        if missing:
            names = ", ".join(repr(name) for name in missing)
            hint = "add it with `headway secret set`, or allow it for this event"
            raise StepError(Reason.SECRET_MISSING, f"the secret {names} is not there for this run; {hint}")

    def docker_config(self) -> Path:
        """A folder with the registries' credentials for the build client, which no step can see."""
        folder = self.scratch / "docker"
        with self._lock:
            if folder.exists():
                return folder
            folder.mkdir(mode=0o700)
            keys = {host: DOCKER_HUB_CONFIG_KEY if host == "docker.io" else host for host in self.assignment.logins}
            auths = {keys[host]: {"auth": login.basic()} for host, login in self.assignment.logins.items()}
            (folder / "config.json").write_text(json.dumps({"auths": auths}))
            return folder

    def keep_name(self, name: str) -> None:
        """Remembers a name that this job gave to an image, to take it off at the end."""
        if not self.options.keep_images:
            self._names.append(name)

    def remove_later(self, container: str) -> None:
        """Removes a container off the way of the run."""
        self._removals.append(self._remover.submit(self.engine.remove, container))

    def signal_detached(self, signal: str) -> None:
        """Sends a signal to the containers of detached steps."""
        for container in self.detached:
            self.engine.kill(container, signal)

    def close(self) -> list[Exception]:
        """Takes away all that the job made in the engine and on the disk; the answer is what could not be."""
        for closer in self.closers:
            closer()
        errors: list[Exception] = []
        for container in self.services:
            self.remove_later(container)
        steps: list[Callable[[], None]] = [removal.result for removal in self._removals]
        steps += [_partial(self.engine.untag, name) for name in dict.fromkeys(self._names)]
        for step in [*steps, self.sandboxes.close, self._remove_folder]:
            try:
                step()
            except (StepError, OSError) as error:
                errors.append(error)
        self._remover.shutdown()
        return errors

    def _remove_folder(self) -> None:
        remove_tree(self.assignment.folder)


def _partial(function: Callable[[str], None], argument: str) -> Callable[[], None]:
    return lambda: function(argument)


def _unless_gone(_function: object, _path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    # Another process that removes the same folder may be faster.
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def remove_tree(folder: Path) -> None:
    """Removes a folder that steps may have written to as any user. Raises MachineError where it cannot."""
    try:
        shutil.rmtree(folder, onerror=_unless_gone)
    except OSError as error:
        raise MachineError(Reason.INTERNAL, f"the folder {folder} of a job could not be removed: {error}") from error
