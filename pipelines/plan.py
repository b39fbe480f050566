"""The plan: what every job of a run will do, decided before the first step starts. Stored as JSON, without secrets."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.inputs import DeclaredInput
from pipelines.problem import Problem
from pipelines.step_options.caches import Cache
from pipelines.step_options.ready import Ready
from pipelines.step_options.report_files import Reports
from pipelines.step_options.resources import Resources
from pipelines.step_options.retry_policy import Retry
from pipelines.step_options.secret_files import SecretFile

STEP_TIMEOUT_S, JOB_TIMEOUT_S = 3600, 6 * 3600
"""The defaults where a pipeline says nothing: the same in `headway run` and on a server without settings of its own."""
READY_TIMEOUT_S = 60
"""How long a service, or a detached step with ``ready``, may take to get ready."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class SecretRef(_Frozen):
    """Placeholder for a secret's value, filled in when the step starts; with ``as_json``, escaped for a JSON text."""

    secret: str
    as_json: bool = False


EnvValue = tuple[str | SecretRef, ...]
"""A value in parts: plain text and placeholders for secrets."""


def text(value: str) -> EnvValue:
    """A value without secrets."""
    return (value,)


def resolve(value: EnvValue, secrets: Mapping[str, str]) -> str:
    """The value with its secrets filled in. Raises KeyError with the name of a secret that is not in ``secrets``."""
    return "".join(part if isinstance(part, str) else _reveal(part, secrets) for part in value)


def _reveal(ref: SecretRef, secrets: Mapping[str, str]) -> str:
    value = secrets[ref.secret]
    return json.dumps(value, ensure_ascii=False) if ref.as_json else value


def secret_names(value: EnvValue) -> set[str]:
    """The names of the secrets that a value needs."""
    return {part.secret for part in value if isinstance(part, SecretRef)}


class NamedImage(_Frozen):
    """An image by its name in a registry. With ``pull``, a newer one is pulled even if the engine has one."""

    kind: Literal["named"] = "named"
    name: str
    pull: bool = False


class BuiltImage(_Frozen):
    """The image that build step ``step`` (its number) of the same job makes, addressed by its id."""

    kind: Literal["built"] = "built"
    step: int


Image = Annotated[NamedImage | BuiltImage, Field(discriminator="kind")]


class _Step(_Frozen):
    """What all steps share.

    ``number`` counts from 1 within the job. ``needs`` are numbers of steps that must have ended before this one starts;
    of a detached step, the commands must have begun. ``on_success`` and ``on_failure`` say in which state of the job so
    far it runs, ``on_canceled`` that it runs even if the run was canceled. Where a workflow that the job needs has
    failed, and no step of the job, a step with ``on_success`` runs only with ``on_failed_needs``: its conditions name
    no status, so that those of the workflow decide. ``failure`` says what the job does if the step fails, with the last
    attempt where ``retry`` allows several.
    """

    number: int
    name: str
    needs: tuple[int, ...] = ()
    on_success: bool = True
    on_failure: bool = False
    on_canceled: bool = False
    on_failed_needs: bool = True
    failure: Literal["fail", "ignore", "cancel"] = "fail"
    timeout_s: int | None = None
    retry: Retry | None = None


class JobVolume(_Frozen):
    """A folder of the job, by its name, that containers of it share at ``path``. It is removed with the job.

    Without a name it is the container's own, and begins with what its image has there. ``checkout`` is a path in the
    checkout, or ``.``: then the volume begins as a copy of that.
    """

    name: str
    path: str
    read_only: bool = False
    checkout: str = ""


class Container(_Frozen):
    """The options of a container, for steps and services. ``directory`` is absolute, or empty: the image's WORKDIR.

    ``command`` are the arguments of the entrypoint, in place of the image's. ``aliases`` are further names of it.
    """

    image: Image
    environment: dict[str, EnvValue] = {}
    entrypoint: tuple[str, ...] | None = None
    directory: str = ""
    privileged: bool = False
    volumes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    network_mode: str = ""
    user: str = ""
    resources: Resources | None = None
    command: tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ()
    job_volumes: tuple[JobVolume, ...] = ()


class Artifacts(_Frozen):
    """Files that are kept when a step has ended. ``paths`` and ``exclude`` are patterns, relative to where it starts.

    A pattern that matches a folder stands for all files in it. Without ``expire_s`` they are kept as long as the run.
    """

    name: str
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    expire_s: int | None = None
    when: Literal["success", "failure", "always"] = "success"


class CommandsStep(_Step):
    """Shell commands: all in one shell, which exits at the first that fails.

    If it is detached, steps after it wait for ``ready``, else until its commands have begun. With ``sources``, patterns
    of files of the checkout, the result of an earlier run is taken where nothing of what it depends on has changed.
    """

    kind: Literal["commands"] = "commands"
    container: Container
    commands: tuple[str, ...]
    detach: bool = False
    ready: Ready | None = None
    ready_timeout_s: int = READY_TIMEOUT_S
    artifacts: Artifacts | None = None
    caches: tuple[Cache, ...] = ()
    reports: Reports | None = None
    secret_files: tuple[SecretFile, ...] = ()
    sources: tuple[str, ...] = ()


class PluginStep(_Step):
    """The image's own entrypoint, configured through its environment (``PLUGIN_*``).

    ``project`` is the Compose step that it is a service of: the services of a project run again together.
    """

    kind: Literal["plugin"] = "plugin"
    container: Container
    project: str = ""
    detach: bool = False
    ready: Ready | None = None
    ready_timeout_s: int = READY_TIMEOUT_S
    artifacts: Artifacts | None = None
    caches: tuple[Cache, ...] = ()
    reports: Reports | None = None
    secret_files: tuple[SecretFile, ...] = ()


class BuildStep(_Step):
    """``docker build`` by BuildKit. ``secrets``: BuildKit id -> secret name.

    Paths are relative to the checkout. Without ``dockerfile`` it is the ``Dockerfile`` of the context. Where that file
    is missing, ``dockerfile_else`` counts. Where a later build names one of ``names``, it means this image.
    """

    kind: Literal["build"] = "build"
    context: str = "."
    dockerfile: str = ""
    dockerfile_else: str = ""
    dockerfile_inline: str = ""
    target: str = ""
    args: dict[str, str] = {}
    secrets: dict[str, str] = {}
    ssh: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    platforms: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    no_cache: bool = False
    pull: bool = False
    network: str = ""
    names: tuple[str, ...] = ()


class PushStep(_Step):
    """Pushes the image of build step ``image`` (its number), unchanged, to every repository under every tag.

    ``tags_file``, if given, is a file of the checkout with further tags.
    """

    kind: Literal["push"] = "push"
    image: int
    repos: tuple[str, ...]
    tags: tuple[str, ...]
    tags_file: str = ""
    username: EnvValue = ()
    password: EnvValue = ()


Step = Annotated[CommandsStep | PluginStep | BuildStep | PushStep, Field(discriminator="kind")]


class Service(_Frozen):
    """A container beside the steps, reached by its name. Without ``ready``, its HEALTHCHECK or EXPOSEd ports count.

    It starts before the first step; in an image that a build step makes, as the end of that step.
    """

    name: str
    container: Container
    commands: tuple[str, ...] = ()
    ready: Ready | None = None
    ready_timeout_s: int = READY_TIMEOUT_S
    failure: Literal["fail", "ignore"] = "fail"

    @property
    def build(self) -> int:
        """The number of the build step whose image it runs in; 0 for an image that is pulled."""
        return self.container.image.step if isinstance(self.container.image, BuiltImage) else 0


class Checkout(_Frozen):
    """How the source is checked out. ``depth`` is the number of commits in ``.git``; 0 means all.

    ``tag`` is the tag that the run is for. Submodules in ``submodule_urls`` come from there, and with
    ``submodules_newest`` the newest commit of their branches is taken, not the one that the repository names.
    """

    depth: int = 1
    submodules: bool = False
    lfs: bool = False
    tags: bool = False
    tag: str = ""
    submodule_urls: dict[str, str] = {}
    submodules_newest: bool = False


class Concurrency(_Frozen):
    """At most ``limit`` jobs of a group run at once. A group is a repository's; an empty one is this workflow.

    Later jobs wait in the order of their runs; with ``cancel`` they cancel those of older pushes to the same branch, or
    of older commits of the same pull request.
    """

    limit: int = 1
    group: str = ""
    cancel: bool = False


class JobPlan(_Frozen):
    """One workflow, or one cell of its matrix: what one worker claims.

    ``workspace`` is the absolute folder where every container sees the checkout. ``needs`` are names of workflows,
    ``restored_from`` those of them whose artifacts are put into the checkout before the first step.
    ``notes`` are sentences for the log of every step that has a container.
    """

    name: str
    file: str
    number: int
    cell: dict[str, str] = {}
    labels: dict[str, str] = {}
    needs: tuple[str, ...] = ()
    restored_from: tuple[str, ...] = ()
    on_success: bool = True
    on_failure: bool = False
    workspace_base: str = "/headway"
    workspace: str = "/headway/src"
    checkout: Checkout | None = Checkout()
    services: tuple[Service, ...] = ()
    steps: tuple[Step, ...]
    timeout_s: int | None = None
    concurrency: Concurrency | None = None
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name, and the values of its matrix cell."""
        return " ".join((self.name, ", ".join(self.cell.values()))).rstrip()


class LeftOut(_Frozen):
    """A workflow or step that will not run for this trigger, and the condition that does not hold."""

    what: str
    why: str


class Plan(_Frozen):
    """All jobs of a run. ``warnings`` are problems that do not stop it; ``inputs`` are what its files declare."""

    jobs: tuple[JobPlan, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[Problem, ...] = ()
    inputs: tuple[DeclaredInput, ...] = ()
