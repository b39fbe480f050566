"""The pipeline language as models: one workflow file. What a job will do in the end is in ``plan``."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from pipelines.condition import Conditions
from pipelines.language import Language
from pipelines.nodes import ListNode, MapNode, ScalarNode
from pipelines.values import (
    STRING,
    Also,
    CommaTexts,
    Environment,
    Flag,
    Items,
    Script,
    Scripts,
    Seconds,
    Settings,
    Text,
    TextMap,
    TextOrSecret,
    Texts,
    Whole,
    fail,
    fields_of,
    text_of,
)


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, ScalarNode) else value


class Dependency(Language):
    """A step or workflow that must end first. An optional one may be missing."""

    wanted: ClassVar[str] = "a name, or {name: NAME, optional: true},"

    name: Text
    optional: Flag = False


Dependencies = Annotated[
    tuple[Annotated[Dependency, BeforeValidator(_named), Also((STRING,))], ...], Items, Also((STRING,))
]


class ImageChoice(Language):
    """An image by its name, or the one that the build step ``build`` makes."""

    wanted: ClassVar[str] = "an image's name, or {build: STEP},"

    name: Text = ""
    build: Text = ""


ImageField = Annotated[ImageChoice, BeforeValidator(_named), Also((STRING,))]


class DockerOptions(Language):
    """Options for containers on Docker."""

    user: Text = ""


class BackendOptions(Language):
    """Options of one kind of backend. Those for Kubernetes are accepted, and do nothing."""

    docker: DockerOptions = DockerOptions()
    kubernetes: Annotated[dict[str, object], BeforeValidator(fields_of)] = Field(default_factory=dict)


Failure = Literal["fail", "ignore", "cancel"]


def _failure(value: object) -> object:
    word = text_of(value)
    if isinstance(word, str) and word not in {"fail", "ignore", "cancel"}:
        fail(f"'{word}' is no way to take a failure", "the ways are fail, ignore and cancel")
    return word


class StepBase(Language):
    """What every step may have. Without any ``depends_on`` in the file, steps run one after the other."""

    name: Text = ""
    when: Conditions = ()
    depends_on: Dependencies | None = None
    failure: Annotated[Failure, BeforeValidator(_failure)] = "fail"
    timeout: Seconds | None = None
    group: Text = ""


class ContainerOptions(Language):
    """How a container is made."""

    image: ImageField | None = None
    pull: Flag = False
    environment: Environment = Field(default_factory=dict)
    entrypoint: Texts | None = None
    directory: Text = ""
    privileged: Flag = False
    volumes: Texts = ()
    devices: Texts = ()
    tmpfs: Texts = ()
    dns: Texts = ()
    dns_search: Texts = ()
    extra_hosts: Texts = ()
    network_mode: Text = ""
    ports: Texts = ()
    backend_options: BackendOptions = BackendOptions()


class CommandsStep(StepBase, ContainerOptions):
    """Shell commands in an image."""

    commands: Scripts = Field(min_length=1)
    detach: Flag = False


class PluginStep(StepBase, ContainerOptions):
    """An image that does its work by itself, as its ``settings`` say."""

    settings: Settings = Field(default_factory=dict)
    detach: Flag = False


def _context(value: object) -> object:
    if isinstance(value, ScalarNode):
        return {} if value.is_null else {"context": value}
    return value


def _secret_ids(value: object) -> object:
    """Ids of BuildKit and names of secrets: a list holds both in one."""
    if isinstance(value, ListNode) and all(isinstance(item, ScalarNode) for item in value.items):
        return {item.text: item for item in value.items if isinstance(item, ScalarNode)}
    return {value.text: value} if isinstance(value, ScalarNode) else fields_of(value)


class Build(Language):
    """``docker build`` as in Compose, by BuildKit. Secrets are mounted, never put into the image."""

    wanted: ClassVar[str] = "a folder, or a map with 'context' and the like,"

    context: Text = "."
    dockerfile: Text = ""
    dockerfile_inline: Text = ""
    target: Text = ""
    args: TextMap = Field(default_factory=dict)
    secrets: Annotated[dict[str, Text], BeforeValidator(_secret_ids), Also(({"type": "array", "items": STRING},))] = (
        Field(default_factory=dict)
    )
    ssh: Texts = ()
    labels: TextMap = Field(default_factory=dict)
    platforms: CommaTexts = ()
    cache_from: Texts = ()
    cache_to: Texts = ()
    no_cache: Flag = False
    pull: Flag = False
    network: Text = ""


class BuildStep(StepBase):
    """Builds an image, which later steps run in and push."""

    may_be_nothing: ClassVar[frozenset[str]] = frozenset({"build"})

    build: Annotated[Build, BeforeValidator(_context), Also((STRING,))]


class Push(Language):
    """Pushes the image that was built, unchanged, to every repository under every tag."""

    repo: CommaTexts = Field(min_length=1)
    tags: CommaTexts = ("auto",)
    registry: Text = ""
    username: TextOrSecret | None = None
    password: TextOrSecret | None = None
    image: ImageField | None = None


class PushStep(StepBase):
    """Pushes an image to a registry."""

    push: Push


STEP_KINDS = ("commands", "build", "push", "plugin")


def kind_of_step(value: object) -> str:
    """Which kind of step this is; a plugin where nothing says otherwise, for its errors read best."""
    keys = value.by_key if isinstance(value, MapNode) else {}
    written = {
        key for key, node in keys.items() if key == "build" or not (isinstance(node, ScalarNode) and node.is_null)
    }
    return next((kind for kind in ("commands", "build", "push") if kind in written), "plugin")


Step = Annotated[
    Annotated[CommandsStep, Tag("commands")]
    | Annotated[PluginStep, Tag("plugin")]
    | Annotated[BuildStep, Tag("build")]
    | Annotated[PushStep, Tag("push")],
    Discriminator(kind_of_step),
]


class ReadyCheck(Language):
    """When a service is ready: a command ends well, a port accepts, or an address answers."""

    wanted: ClassVar[str] = "a command, {port: 5432} or {http: ADDRESS}"

    command: Script | None = None
    port: Whole | None = None
    http: Text = ""
    timeout: Seconds | None = None


def _ready(value: object) -> object:
    return {"command": value} if isinstance(value, ScalarNode) else value


class Service(ContainerOptions):
    """A container beside the steps, reachable by its name. ``timeout`` is how long it may take to get ready."""

    name: Text = ""
    when: Conditions = ()
    failure: Annotated[Failure, BeforeValidator(_failure)] = "fail"
    commands: Scripts = ()
    settings: Settings = Field(default_factory=dict)
    ready: Annotated[ReadyCheck, BeforeValidator(_ready), Also((STRING,))] | None = None
    timeout: Seconds | None = None


class Workspace(Language):
    """Where the checkout stands in every container."""

    base: Text = "/headway"
    path: Text = "src"


class Concurrency(Language):
    """How many of a group run at the same time."""

    limit: Whole = 1
    group: Text = ""


def _limit(value: object) -> object:
    return {"limit": value} if isinstance(value, ScalarNode) else value


def _containers(value: object) -> object:
    if isinstance(value, ScalarNode):
        fail("a list or a map of steps is wanted here, not a single value")
    return list(value.items) if isinstance(value, ListNode) else value


class Workflow(Language):
    """One pipeline file. Steps and services may also be maps: name -> step."""

    steps: Annotated[tuple[Step, ...], BeforeValidator(_containers)] = Field(min_length=1)
    services: Annotated[tuple[Service, ...], BeforeValidator(_containers)] = ()
    clone: Annotated[tuple[Step, ...], BeforeValidator(_containers)] = ()
    skip_clone: Flag = False
    when: Conditions = ()
    matrix: object = None
    workspace: Workspace = Workspace()
    labels: TextMap = Field(default_factory=dict)
    depends_on: Dependencies = ()
    runs_on: Texts = ()
    concurrency: Annotated[Concurrency, BeforeValidator(_limit), Also(({"type": "integer"},))] | None = None
    timeout: Seconds | None = None
    variables: object = None
    schema_: object = Field(default=None, alias="$schema")
