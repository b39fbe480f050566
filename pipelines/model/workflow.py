"""The pipeline language as models: one workflow file. The compiler turns it into ``plan``."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from pipelines.model.artifacts import Artifacts, RestoredArtifacts, paths_alone
from pipelines.model.base import PipelineModel
from pipelines.model.caches import CachesField
from pipelines.model.compose import ComposeContainer
from pipelines.model.concurrency import ConcurrencyField
from pipelines.model.conditions import Conditions, Statuses
from pipelines.model.fields import (
    Before,
    CommaTexts,
    Environment,
    Flag,
    IpAddresses,
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
from pipelines.model.inputs import Inputs
from pipelines.model.json_types import ALSO_SHORT, MATRIX, SCALAR, Also, ListOrMap, OneOrMany, Written
from pipelines.model.reports import Reports
from pipelines.model.resources import Resources
from pipelines.model.retry import RetryField
from pipelines.model.secret_files import SecretFiles
from pipelines.syntax.nodes import ListNode, MapNode, ScalarNode


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, ScalarNode) else value


class Dependency(PipelineModel):
    """A step or workflow that must end first. If it is optional, it may be missing."""

    wanted: ClassVar[str] = "a name, or {name: NAME, optional: true},"
    remedy: ClassVar[str] = "write the name"

    name: Text
    optional: Flag = False


Dependencies = Annotated[tuple[Annotated[Dependency, Before(_named), Also(SCALAR)], ...], Items, OneOrMany()]


class ImageChoice(PipelineModel):
    """An image by its name, or the image that the build step ``build`` makes."""

    wanted: ClassVar[str] = "an image's name, or {build: STEP},"
    remedy: ClassVar[str] = "write for example image: alpine:3"

    name: Text = ""
    build: Text = ""


ImageField = Annotated[ImageChoice, Before(_named), Also(SCALAR)]


class DockerOptions(PipelineModel):
    """Options for containers on Docker."""

    user: Text = ""


class BackendOptions(PipelineModel):
    """Options for one backend. Those for Kubernetes are accepted, without effect."""

    docker: DockerOptions = DockerOptions()
    kubernetes: Annotated[dict[str, object], Before(fields_of)] = Field(default_factory=dict)


Failure = Literal["fail", "ignore", "cancel"]
FAILURES = ("fail", "ignore", "cancel")


def _failure(value: object) -> object:
    word = text_of(value)
    if isinstance(word, str) and word not in FAILURES:
        fail(f"'{word}' is not a valid value", "the values are fail, ignore and cancel")
    return word


class StepBase(PipelineModel):
    """The keys of every step. Without any ``depends_on`` in the file, steps run one after the other."""

    name: Text = ""
    when: Conditions = ()
    depends_on: Dependencies | None = None
    failure: Annotated[Failure, Before(_failure)] = "fail"
    timeout: Seconds | None = None
    retry: RetryField | None = None
    group: Text = ""


class ContainerOptions(PipelineModel):
    """The keys of everything that runs in a container."""

    image: ImageField | None = None
    pull: Flag = False
    environment: Environment = Field(default_factory=dict)
    entrypoint: Texts | None = None
    directory: Text = ""
    privileged: Flag = False
    volumes: Texts = ()
    devices: Texts = ()
    tmpfs: Texts = ()
    dns: IpAddresses = ()
    dns_search: Texts = ()
    extra_hosts: Texts = ()
    network_mode: Text = ""
    ports: Texts = ()
    resources: Resources | None = None
    backend_options: BackendOptions = BackendOptions()


class ReadyCheck(PipelineModel):
    """When a service is ready: a command succeeds, a port accepts a connection, a URL answers, or it has ended."""

    wanted: ClassVar[str] = "a command, {port: 5432}, {http: ADDRESS} or exit"
    remedy: ClassVar[str] = "write one of these"

    command: Script | None = None
    port: Whole | None = None
    http: Text = ""
    exit: Flag = False
    timeout: Seconds | None = None


def _ready(value: object) -> object:
    if isinstance(value, ScalarNode):
        return {"exit": True} if value.text.strip() == "exit" else {"command": value}
    return value


ReadyField = Annotated[ReadyCheck, Before(_ready), Also(SCALAR)]


ArtifactsField = Annotated[Artifacts, Before(paths_alone), ALSO_SHORT]


class ContainerStep(StepBase, ContainerOptions):
    """The keys of the steps that run in a container."""

    artifacts: ArtifactsField | None = None
    cache: CachesField = ()
    reports: Reports | None = None
    secrets: SecretFiles = ()
    detach: Flag = False
    ready: ReadyField | None = None


class CommandsStep(ContainerStep):
    """Shell commands in an image."""

    sources: Texts = ()
    commands: Scripts = Field(min_length=1)


class PluginStep(ContainerStep):
    """An image that runs by itself, configured by ``settings``."""

    settings: Settings = Field(default_factory=dict)


class ComposeService(PluginStep):
    """A service of a Compose file, as the parser puts it into the workflow."""

    compose: ComposeContainer


def _context(value: object) -> object:
    if isinstance(value, ScalarNode):
        return {} if value.is_null else {"context": value}
    return value


def _secret_ids(value: object) -> object:
    """A map from BuildKit id to secret name. In a list, each item is both."""
    if isinstance(value, ListNode) and all(isinstance(item, ScalarNode) for item in value.items):
        return {item.text: item for item in value.items if isinstance(item, ScalarNode)}
    return {value.text: value} if isinstance(value, ScalarNode) else fields_of(value)


class Build(PipelineModel):
    """``docker build`` by BuildKit, with the keys of Compose. Secrets are mounted, never stored in the image."""

    wanted: ClassVar[str] = "a folder, or a map with 'context' and the like,"
    remedy: ClassVar[str] = "write for example build: ."

    context: Text = "."
    dockerfile: Text = ""
    dockerfile_inline: Text = ""
    target: Text = ""
    args: TextMap = Field(default_factory=dict)
    secrets: Annotated[dict[str, Text], Before(_secret_ids), ALSO_SHORT] = Field(default_factory=dict)
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

    may_be_empty: ClassVar[frozenset[str]] = frozenset({"build"})

    build: Annotated[Build, Before(_context), Also(SCALAR)]


class Push(PipelineModel):
    """Pushes the image that was built, unchanged, to every repository under every tag.

    ``tags_file`` is a file of the checkout that holds tags, read when the push starts.
    """

    repo: CommaTexts = Field(min_length=1)
    tags: CommaTexts = ("auto",)
    tags_file: Text = ""
    registry: Text = ""
    username: TextOrSecret | None = None
    password: TextOrSecret | None = None
    image: ImageField | None = None


class PushStep(StepBase):
    """Pushes an image to a registry."""

    push: Push


STEP_KINDS = ("commands", "build", "push", "plugin", "compose")


def kind_of_step(value: object) -> str:
    """The kind of a step, from its keys. In doubt it is a plugin, which has the best error messages."""
    keys = value.by_key if isinstance(value, MapNode) else {}
    if "compose" in keys:
        return "compose"
    written = {
        key
        for key, node in keys.items()
        if key in {"build", "commands"} or not (isinstance(node, ScalarNode) and node.is_null)
    }
    return next((kind for kind in ("commands", "build", "push") if kind in written), "plugin")


Step = Annotated[
    Annotated[CommandsStep, Tag("commands")]
    | Annotated[PluginStep, Tag("plugin")]
    | Annotated[BuildStep, Tag("build")]
    | Annotated[PushStep, Tag("push")]
    | Annotated[ComposeService, Tag("compose")],
    Discriminator(kind_of_step),
]


class Service(ContainerOptions):
    """A container beside the steps, reachable by its name. ``timeout`` is how long it may take to get ready."""

    name: Text = ""
    when: Conditions = ()
    failure: Annotated[Failure, Before(_failure)] = "fail"
    commands: Scripts = ()
    settings: Settings = Field(default_factory=dict)
    ready: ReadyField | None = None
    timeout: Seconds | None = None


class Workspace(PipelineModel):
    """The path of the checkout in every container."""

    base: Text = "/headway"
    path: Text = "src"


def _containers(value: object) -> object:
    if isinstance(value, ScalarNode):
        fail("a list or a map of steps is wanted here, not a single value", "write for example - name: test")
    return list(value.items) if isinstance(value, ListNode) else value


class Workflow(PipelineModel):
    """One pipeline file. Steps and services may also be maps: name -> step."""

    steps: Annotated[tuple[Step, ...], Before(_containers), ListOrMap()] = Field(min_length=1)
    services: Annotated[tuple[Service, ...], Before(_containers), ListOrMap()] = ()
    clone: Annotated[tuple[Step, ...], Before(_containers), ListOrMap()] = ()
    skip_clone: Flag = False
    when: Conditions = ()
    inputs: Inputs = Field(default_factory=dict)
    matrix: Annotated[object, Written(MATRIX)] = None
    workspace: Workspace = Workspace()
    labels: TextMap = Field(default_factory=dict)
    depends_on: Dependencies = ()
    artifacts: RestoredArtifacts | None = None
    runs_on: Statuses = ()
    concurrency: ConcurrencyField | None = None
    timeout: Seconds | None = None
    variables: object = None
    schema_: object = Field(default=None, alias="$schema")
