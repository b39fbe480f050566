"""One job: what it was assigned, and what the parts that run it share."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING

from pipelines.context import FULL_ACCESS, Access
from pipelines.plan import (
    BuildStep,
    BuiltImage,
    CommandsStep,
    EnvValue,
    JobPlan,
    PluginStep,
    PushStep,
    Step,
    resolve,
    secret_names,
)
from pipelines.state import Outcome, Reason, State
from runner.artifacts.files import ArtifactStorage
from runner.caches.job_caches import CacheAccess, JobCaches
from runner.cancellation import Cancel
from runner.cleanup.ending import end_containers
from runner.cleanup.leftovers import JobLeftovers, Leftovers, remove_leftovers
from runner.cleanup.removal_queue import RemovalQueue
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder
from runner.docker.containers.specs import STEP_LABEL, Login, job_labels
from runner.docker.images.sandbox_image import check_folder
from runner.docker.init_program import init_folder
from runner.docker.job_network import JobNetwork
from runner.errors import CanceledError, DiskNearlyFullError, StepError
from runner.events import Emit, JobNote
from runner.execution.job.deadline import Deadline
from runner.execution.job.git_settings import SystemFiles
from runner.execution.job.host_names import host_names
from runner.execution.job.isolation import NO_ISOLATION, Isolation
from runner.execution.job.job_status import JobStatus
from runner.execution.job.journal import Journal
from runner.execution.job.masked_events import masked_emit
from runner.execution.job.named_images import NamedImages
from runner.execution.job.options import DEFAULT_OPTIONS, Options
from runner.execution.job.resumption import NOTHING_LEFT, Resumption
from runner.execution.job.set_aside import SetAside
from runner.execution.job.workspace_owner import WorkspaceOwner
from runner.execution.resources.limits import JobLimits
from runner.images.job_images import JobImages
from runner.images.requirements import image_requirements
from runner.logs.output import Write
from runner.logs.redact import Redactor
from runner.network.egress import NO_EGRESS_SETTINGS, EgressSettings, JobEgress
from runner.reuse.records import ReuseAccess
from runner.step_files import StepFolder
from runner.timing import Timed, masked, untimed

if TYPE_CHECKING:
    from runner.builds.buildkit import Builder

JOURNAL = "journal"
"""The name of the journal in the job's folder."""
DOCKER_HUB_CONFIG_KEY = "https://index.docker.io/v1/"


def _no_url(_step: int) -> str:
    return ""


@dataclass(frozen=True)
class Assignment:
    """One job as it is given to the runner: the plan, and the secrets and settings for it.

    ``key`` names the job in labels, ``attempt`` is its fencing token. ``folder`` belongs to this attempt alone; the
    engine must see it under the same path. ``check_out`` writes the source to a path that does not exist yet.
    ``unreadable`` says of further secrets why they cannot be read. ``network`` is given if its creation started
    before the plan was known. ``clean_up``, if given, removes all of the job at its end. ``egress`` says how
    containers and the build client reach other hosts. ``access`` is what the job may use of the host and write to
    where others read. ``isolation`` keeps the job apart from those of other repositories. ``failed_needs`` are the
    workflows that the job needs and that did not pass. ``step_url`` gives the page of a step by its number, or an
    empty text. With ``local``, errors name the options of ``headway run``. If ``journaled``, another process can go
    on with the job if this one dies; ``resumption`` is what it goes on from, and only where ``fingerprint`` is the
    same: it stands for the texts that are masked. ``timed`` is called around what takes time beside the steps.
    Without ``artifacts`` none are kept or restored, and without ``caches`` steps have none; without ``reuse`` all steps
    run. ``carried`` says how steps ended that an earlier run has run. ``take_files``, if given, puts files in the place
    of the checkout. ``set_aside`` gets the containers of failed steps, so that ``clean_up`` may keep one.
    """

    plan: JobPlan
    key: str
    attempt: int
    folder: Path
    check_out: Callable[[Path], None]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    options: Options = DEFAULT_OPTIONS
    network: JobNetwork | None = None
    clean_up: Callable[[JobLeftovers], None] | None = None
    egress: EgressSettings = NO_EGRESS_SETTINGS
    access: Access = FULL_ACCESS
    isolation: Isolation = NO_ISOLATION
    failed_needs: tuple[str, ...] = ()
    step_url: Callable[[int], str] = _no_url
    local: bool = False
    unreadable: Mapping[str, str] = field(default_factory=dict)
    journaled: bool = False
    fingerprint: str = ""
    resumption: Resumption = NOTHING_LEFT
    timed: Timed = untimed
    artifacts: ArtifactStorage | None = None
    caches: CacheAccess | None = None
    reuse: ReuseAccess | None = None
    carried: Mapping[int, Outcome] = field(default_factory=dict)
    take_files: Callable[[Path], None] | None = None
    set_aside: SetAside | None = None


class Job:
    """A running job. Made by ``open_job``; ``close`` removes everything of it from the engine and the disk."""

    def __init__(
        self, assignment: Assignment, engine: Engine, builder: Callable[[], "Builder"], emit: Emit, cancel: Cancel
    ) -> None:
        self.assignment, self.plan, self.options = assignment, assignment.plan, assignment.options
        self.engine, self.builder, self.cancel = engine, builder, cancel
        self.limits = JobLimits(engine, self.options.limits)
        self.redactor = Redactor([*assignment.secrets.values(), *assignment.egress.secrets()])
        self.emit = masked_emit(emit, self.redactor)
        self.egress = JobEgress(assignment.egress, assignment.folder / "ca", host_names(self.plan))
        self.images = JobImages(
            engine, assignment.logins, self.check, self.options.pulls_at_once_max, assignment.isolation.login_hosts,
            self.options.registry_retry_s,
        )  # fmt: skip
        self.timed = self.images.timed = masked(assignment.timed, self.redactor.mask_text)
        self.status = JobStatus(assignment.failed_needs)
        self.requirements = image_requirements(self.plan, self.status.will_run)
        self.journal = Journal(assignment.folder / JOURNAL if assignment.journaled else None)
        self.resumption, history = assignment.resumption, assignment.resumption.history
        self.begun = {step: at for step, at in history.begun.items() if step in self.resumption.begun}
        self.started_s = history.started_s or int(time.time())
        self.job_timeout_s = min(self.plan.timeout_s or self.options.job_timeout_s, self.options.job_timeout_s)
        self.deadline = history.deadline or time.monotonic() + self.job_timeout_s
        self.built: dict[int, str] = {}
        self.scratch, self.workspace_base = assignment.folder / "scratch", assignment.folder / "workspace"
        self.workspace_folder = Folder(self.workspace_base, self.plan.workspace_base)
        self.checkout = StepFolder(
            self.workspace_base, Path(self.plan.workspace).relative_to(self.plan.workspace_base).parts
        )
        self.owner = WorkspaceOwner(engine, self.workspace_base, self.labels(), self.note)
        self.git_files = SystemFiles(engine)
        self.caches = JobCaches(assignment.caches, assignment.folder)
        self._lock, self._unknown_name = Lock(), token_hex(16)
        self.removals = RemovalQueue(engine.remove)
        self._image_names, self.retried, self.reuse_notes = list[str](), set[int](), dict[int, str]()
        self.closers: list[Callable[[], None]] = [self.images.close]
        self.without_containers = list[Callable[[], None]]()  # called at the end, once its containers are gone
        self.services, self.detached, self.named = list[str](), dict[str, int](), NamedImages(self.plan)
        self.network = assignment.network or JobNetwork(engine, assignment.key, assignment.attempt)

    @property
    def source(self) -> Path:
        """The checkout's place on this machine. Once steps run, read there by ``checkout`` alone."""
        return self.checkout.path

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The folders that every container of a step or service mounts."""
        return (self.workspace_folder, init_folder(self.assignment.folder / "init"), *self.egress.folders)

    def check_workspace(self) -> None:
        """Raises UnseenFolderError if the engine does not see the workspace, before a step fails for that reason."""
        self.removals.remove_later(check_folder(self.engine, replace(self.workspace_folder, ours=False), self.labels()))

    def canceled(self) -> Outcome:
        """The outcome of a step that ran when the job was canceled."""
        return Outcome(State.CANCELED, Reason.CANCELED, f"canceled by {self.cancel.by}")

    def note(self, sentence: str) -> None:
        """Emits a note about the job as a whole."""
        self.emit(JobNote(sentence))

    def check(self) -> None:
        """Raises CanceledError if the job is canceled, StepError if its time is over or it has filled the disk."""
        if self.cancel:
            raise CanceledError(Reason.CANCELED, f"canceled by {self.cancel.by}")
        if problem := self.options.disk_problem():
            raise DiskNearlyFullError(problem)
        if time.monotonic() >= self.deadline:
            raise StepError(Reason.TIMEOUT, f"{self._timeout_message()}; raise `timeout:` if it needs longer")

    def check_time(self, limit: Deadline) -> None:
        """The same for a step with this deadline."""
        self.check()
        if time.monotonic() >= limit.deadline:
            raise StepError(Reason.TIMEOUT, limit.outcome().message)

    def _timeout_message(self) -> str:
        return f"the job's time of {self.job_timeout_s:g} s was over"

    def time_for(self, step: Step) -> Deadline:
        """The deadline of a step, from its start: its own timeout, the server's limit or the rest of the job's time."""
        timeout_s = min(step.timeout_s or self.options.step_timeout_s, self.options.step_timeout_s)
        deadline = self.begun.get(step.number, time.monotonic()) + timeout_s
        own = Deadline(deadline, f"timed out after {timeout_s:g} s")
        return Deadline(self.deadline, self._timeout_message()) if self.deadline < deadline else own

    def labels(self, step: int | None = None) -> dict[str, str]:
        """The labels of the job's containers and networks, by which leftovers are found."""
        labels = job_labels(self.assignment.key, self.assignment.attempt)
        return labels | ({STEP_LABEL: str(step)} if step is not None else {})

    def image_of(self, step: CommandsStep | PluginStep, write: Write) -> str:
        """The id of the image for a step's container: pulled if necessary, or built by an earlier step of this job."""
        image = step.container.image
        if not isinstance(image, BuiltImage):
            if (own := self.named.image(image.name, step)) and self.engine.image(own):
                return own
            needed = self.requirements.steps[step.number]
            return str(self.images.get(needed, write, self.time_for(step).deadline)["Id"])
        if image.step not in self.built:
            message = "the image that this step runs in was not built: its build step did not run"
            raise StepError(Reason.BUILD_FAILED, message)
        return self.built[image.step]

    def write_pull_log(self, step: CommandsStep | PluginStep, write: Write) -> None:
        """Writes the output of the pull for a step whose container was prestarted."""
        if step.number in self.requirements.steps:
            self.images.write_log(self.requirements.steps[step.number], write)

    def environment(self, values: Mapping[str, EnvValue]) -> dict[str, str]:
        """A container's environment variables, with secrets filled in, proxies and CA certificates added.

        Raises StepError with the names of missing secrets.
        """
        self.require(*values.values())
        given = {name: resolve(value, self.assignment.secrets) for name, value in values.items()}
        return self.egress.container_environment(given)

    def require(self, *values: EnvValue) -> None:
        """Raises StepError if a value needs a secret that the run does not have."""
        missing = sorted(set().union(*map(secret_names, values)) - set(self.assignment.secrets))
        if missing:
            if damaged := next(filter(None, map(self.assignment.unreadable.get, missing)), ""):
                raise StepError(Reason.SECRET_MISSING, damaged)
            names = ", ".join(repr(name) for name in missing)
            untrusted = self.assignment.access.untrusted
            hint = "add it with `headway secret set`, or allow it for this event"
            if self.assignment.local:
                options = " ".join(f"--secret {name}" for name in missing)
                variables = ", ".join(name.upper() for name in missing)
                hint = f"run `headway run {options}` with its value in the environment ({variables})"
            elif untrusted:
                hint = f"an untrusted run gets no secrets ({untrusted})"
            raise StepError(Reason.SECRET_MISSING, f"the secret {names} is missing in this run; {hint}")

    def docker_config(self) -> Path:
        """The build client's configuration, which no step sees: registry logins, the engine's certificates."""
        # No relative path leads there: the build client opens paths for a job, and a step may lay links for it.
        folder = self.scratch / f"docker-{self._unknown_name}"
        with self._lock:
            if folder.exists():
                return folder
            folder.mkdir(mode=0o700)
            keys = {host: DOCKER_HUB_CONFIG_KEY if host == "docker.io" else host for host in self.assignment.logins}
            auths = {keys[host]: login.for_client() for host, login in self.assignment.logins.items()}
            (folder / "config.json").write_text(json.dumps({"auths": auths, **self.egress.docker_config()}))
            self.engine.connection.transport.write_settings(folder)
            return folder

    def untag_at_end(self, name: str) -> None:
        """Remembers an image name that this job created, and removes it when the job ends."""
        self.journal.untag(name)
        self._image_names.append(name)

    def give_names(self, step: BuildStep | PushStep, names: Iterable[str], image_id: str) -> None:
        """Remembers that the step gave these names to an image: to the steps after it they mean that image."""
        names = tuple(names)
        self.journal.named(step.number, names, image_id)
        self.named.give(step, names, image_id)

    def signal_detached(self, signal: str) -> set[int]:
        """Sends a signal to the containers of detached steps. Returns the numbers of the steps that still ran."""
        return {step for container, step in self.detached.items() if self.engine.kill(container, signal)}

    def close(self) -> list[Exception]:
        """Removes everything of the job from the engine and the disk. Returns the errors."""
        for closer in self.closers:
            closer()
        if self.assignment.clean_up:
            self.removals.abandon()
            self.network.wait_for_pending()
            names, services = tuple(self._image_names), tuple(self.services)
            key, folder = self.assignment.key, self.assignment.folder
            self.assignment.clean_up(JobLeftovers(key, folder, names, services, self._services_grace_s()))
            is_kept = self.assignment.set_aside is not None and self.assignment.set_aside.kept
            return [] if is_kept else self.caches.close(self.engine)  # a kept container mounts its views of caches
        errors: list[Exception] = []
        end_containers(self.engine, self.services, self._services_grace_s())
        for container in self.services:
            self.removals.remove_now(container)
        for removed in [*self.removals.drain(), *self.without_containers]:
            try:
                removed()
            except (StepError, OSError) as error:
                errors.append(error)
        left = Leftovers(
            image_names=frozenset(self._image_names),
            networks=self.network.release(),
            folders=frozenset([self.assignment.folder]),
        )
        return errors + remove_leftovers(self.engine, left) + self.caches.close(self.engine)

    def _services_grace_s(self) -> float:
        """How long services may take to end. None where another worker has the job, or where its files are gone."""
        return 0 if self.cancel.lost or self.options.disk_problem() else self.options.grace_s
