"""All that the parts of a running job share."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from pipelines.plan import BuiltImage, CommandsStep, EnvValue, JobPlan, PluginStep, Step, resolve, secret_names
from pipelines.state import Outcome, Reason, State
from runner.builds.buildkit import Builder
from runner.cancellation import Cancel
from runner.cleanup.leftovers import Leavings, remove_tree
from runner.cleanup.removal_queue import Removals
from runner.docker.client import Engine
from runner.docker.folders import Folder
from runner.docker.job_network import Lanes, Sandboxes, check_folder
from runner.docker.specs import STEP_LABEL, Limits, Login, job_labels
from runner.errors import CanceledError, StepError
from runner.events import Emit, JobNote
from runner.images.cache import Images
from runner.images.requirements import wanted_images
from runner.logs.output import Write
from runner.logs.redact import Redactor
from runner.network.company import NO_COMPANY, CompanyNetwork, JobNetwork

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
    pulls_at_once_max: int = 3
    address_wait_s: float = 60
    push: bool = True
    keep_images: bool = False


@dataclass(frozen=True)
class Assignment:
    """What a worker was given: the plan, and what it may know.

    ``key`` names the job in labels, ``attempt`` is its fence. ``folder`` is this attempt's own, and the engine must see
    it under the same path. ``lay_out`` puts the source at a path that does not exist yet. ``sandboxes`` are there where
    they were begun before the plan was known. ``hand_over``, where there is one, removes what the job leaves.
    ``company`` says how containers and the build client reach others.
    """

    plan: JobPlan
    key: str
    attempt: int
    folder: Path
    lay_out: Callable[[Path], None]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    options: Options = Options()
    sandboxes: Sandboxes | None = None
    hand_over: Callable[[Leavings], None] | None = None
    company: CompanyNetwork = NO_COMPANY


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
        self.redactor = Redactor([*assignment.secrets.values(), *assignment.company.secrets()])
        self.company = JobNetwork(assignment.company, assignment.folder / "ca", _serving(self.plan))
        self.images = Images(engine, assignment.logins, self.check, self.options.pulls_at_once_max)
        self.wanted = wanted_images(self.plan)
        self.started_s = int(time.time())
        self.job_timeout_s = min(self.plan.timeout_s or self.options.job_timeout_s, self.options.job_timeout_s)
        self.deadline = time.monotonic() + self.job_timeout_s
        self.built: dict[int, str] = {}
        self.failed = False
        self.scratch = assignment.folder / "scratch"
        self.workspace_base = assignment.folder / "workspace"
        self.workspace_folder = Folder(self.workspace_base, self.plan.workspace_base)
        self.source = self.workspace_base / Path(self.plan.workspace).relative_to(self.plan.workspace_base)
        self._lock = Lock()
        self.removals = Removals(engine.remove)
        self._names: list[str] = []
        self.closers: list[Callable[[], None]] = [self.images.close]
        self.services: list[str] = []
        self.detached: list[str] = []
        self.sandboxes = assignment.sandboxes or Sandboxes(engine, assignment.key, assignment.attempt)
        self.lanes = Lanes(self.sandboxes, {step.number: step.needs for step in self.plan.steps})

    def check_workspace(self) -> None:
        """Raises UnseenFolderError where the engine does not see the workspace, before a step has to say so."""
        self.removals.in_time(check_folder(self.engine, replace(self.workspace_folder, ours=False), self.labels()))

    def canceled(self) -> Outcome:
        """How a step ends that was running when somebody asked to stop."""
        return Outcome(State.CANCELED, Reason.CANCELED, f"canceled by {self.cancel.by}")

    def note(self, sentence: str) -> None:
        """Says something about the job as a whole."""
        self.emit(JobNote(self.redactor.mask_text(sentence)))

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
        labels = job_labels(self.assignment.key, self.assignment.attempt)
        return labels | ({STEP_LABEL: str(step)} if step is not None else {})

    def image_of(self, step: CommandsStep | PluginStep, write: Write) -> str:
        """The id of the image that a step's container is made from: pulled if it must be, or built by this job."""
        image = step.container.image
        if not isinstance(image, BuiltImage):
            return str(self.images.get(self.wanted.steps[step.number], write)["Id"])
        if image.step not in self.built:
            raise StepError(
                Reason.BUILD_FAILED, "the image that this step runs in was not built, for its build step did not run"
            )
        return self.built[image.step]

    def tell_of_image(self, step: CommandsStep | PluginStep, write: Write) -> None:
        """Writes how the image of a step that was started ahead came here."""
        if step.number in self.wanted.steps:
            self.images.tell(self.wanted.steps[step.number], write)

    def environment(self, values: Mapping[str, EnvValue]) -> dict[str, str]:
        """A container's variables, the secrets and the company's proxies and authority in place.

        Raises StepError naming a secret that this run does not have.
        """
        self.require(*values.values())
        given = {name: resolve(value, self.assignment.secrets) for name, value in values.items()}
        return self.company.container_environment(given)

    def require(self, *values: EnvValue) -> None:
        """Raises StepError where a value needs a secret that is not here."""
        missing = sorted(set().union(*map(secret_names, values)) - set(self.assignment.secrets))
        if missing:
            names = ", ".join(repr(name) for name in missing)
            hint = "add it with `headway secret set`, or allow it for this event"
            raise StepError(Reason.SECRET_MISSING, f"the secret {names} is not there for this run; {hint}")

    def docker_config(self) -> Path:
        """A folder for the build client, which no step can see: registries' credentials, the engine's certificates."""
        folder = self.scratch / "docker"
        with self._lock:
            if folder.exists():
                return folder
            folder.mkdir(mode=0o700)
            keys = {host: DOCKER_HUB_CONFIG_KEY if host == "docker.io" else host for host in self.assignment.logins}
            auths = {keys[host]: login.for_client() for host, login in self.assignment.logins.items()}
            (folder / "config.json").write_text(json.dumps({"auths": auths, **self.company.docker_config()}))
            self.engine.connection.transport.write_settings(folder)
            return folder

    def keep_name(self, name: str) -> None:
        """Remembers a name that this job gave to an image, to take it off at the end."""
        if not self.options.keep_images:
            self._names.append(name)

    def signal_detached(self, signal: str) -> None:
        """Sends a signal to the containers of detached steps."""
        for container in self.detached:
            self.engine.kill(container, signal)

    def close(self) -> list[Exception]:
        """Takes away all that the job made in the engine and on the disk; the answer is what could not be."""
        for closer in self.closers:
            closer()
        if self.assignment.hand_over:
            self.removals.abandon()
            self.sandboxes.settle()
            self.assignment.hand_over(Leavings(self.assignment.key, self.assignment.folder, tuple(self._names)))
            return []
        errors: list[Exception] = []
        for container in self.services:
            self.removals.now(container)
        steps: list[Callable[[], None]] = [*self.removals.finish()]
        steps += [partial(self.engine.untag, name) for name in dict.fromkeys(self._names)]
        steps += [self.sandboxes.close, partial(remove_tree, self.engine, self.assignment.folder)]
        for step in steps:
            try:
                step()
            except (StepError, OSError) as error:
                errors.append(error)
        return errors


def _serving(plan: JobPlan) -> tuple[str, ...]:
    """The names under which containers of the job reach others of it."""
    detached = (step.name for step in plan.steps if isinstance(step, CommandsStep | PluginStep) and step.detach)
    return (*(service.name for service in plan.services), *detached)
