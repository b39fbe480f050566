"""Replaces plugins that only wrap ``docker build`` by native build and push steps.

These need no privileged container, and use the build cache of the engine. A plugin with a setting that has no native
counterpart runs as a plugin.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, TypedDict

from pipelines.compiler.plugins.plugin_settings import holds_secret, list_of, map_of
from pipelines.context import Context
from pipelines.environment.variables import AT_RUN_TIME, run_variables
from pipelines.images import image_names
from pipelines.images.auto_tags import auto_tags
from pipelines.model.conditions import Condition
from pipelines.model.fields import FromSecret
from pipelines.model.retry import Retry
from pipelines.model.workflow import (
    Build,
    BuildStep,
    Dependency,
    Failure,
    ImageChoice,
    PluginStep,
    Push,
    PushStep,
    Step,
)
from pipelines.syntax.go_text import is_on, scalar_text
from pipelines.trigger import PULL_REQUEST_EVENTS, Trigger

_IMAGES = re.compile(
    r"(?:.*/)?(?:plugin-docker-buildx|docker-buildx|drone-docker-buildx|wp-docker-buildx|plugin-kaniko|drone-kaniko"
    r"|plugin-docker|drone-docker)|(?:docker\.io/)?plugins/(?:docker|kaniko)"
)
_NATIVE = frozenset(
    {"repo", "registry", "username", "password", "tags", "tag", "auto_tag", "auto_tag_suffix", "default_suffix"}
    | {
        "default_tag",
        "dockerfile",
        "context",
        "build_args",
        "target",
        "platforms",
        "platform",
        "cache_from",
        "cache_to",
    }
    | {"labels", "label", "custom_labels", "dry_run", "logins", "no_cache", "pull_image", "load", "cache_images"}
    | {"tags_file", "build_args_from_env", "containerfile"}
)
# Settings of the plugin's own Docker daemon and of its output: without effect on a native build.
_WITHOUT_EFFECT = frozenset(
    {"provenance", "sbom", "quiet", "compress", "squash", "purge", "insecure", "mirror", "daemon_off", "debug", "cache"}
    | {"storage_driver", "storage_path", "bip", "mtu", "ipv6", "experimental", "buildkit_config", "buildkit_debug"}
    | {
        "buildkit_driveropt",
        "buildkit_oci_max_parallelism",
        "default_labels",
        "auto_labels",
        "extra_opts",
        "skip_verify",
    }
    | {"verbosity", "log", "link", "cache_ttl", "cache_repo", "enable_cache", "force_tag", "launch_debug", "email"}
)


_VARIABLES = {"DOCKER_USERNAME": "username", "DOCKER_PASSWORD": "password", "DOCKER_REGISTRY": "registry"}


class ExpandedStep(NamedTuple):
    """One of the steps that a step of the file expands to. ``provides`` are the names of the image that it builds."""

    name: str
    step: Step
    provides: frozenset[str] = frozenset()


def expand_build_plugin(name: str, step: Step, trigger: Trigger, context: Context) -> list[ExpandedStep]:
    """The steps that a step expands to: itself, or for a plugin that wraps ``docker build``, a build and its pushes."""
    if not isinstance(step, PluginStep) or not is_build_plugin(step):
        return [ExpandedStep(name, step)]
    return (
        [ExpandedStep(name, step)]
        if why_not_native(step)
        else _BuildPlugin(name, step, _settings(step), trigger, context).expand()
    )


def why_not_native(step: PluginStep) -> str:
    """Why a plugin that wraps ``docker build`` must run as a plugin, or an empty text."""
    settings = _settings(step)
    foreign = [key for key in settings if key not in _NATIVE | _WITHOUT_EFFECT]
    if foreign:
        return f"'{foreign[0]}' is no setting of a build or push here"
    if place := _unusable_secret(settings):
        return f"the secret in '{place}' would have to be known before it starts"
    if name := _unknown_variable(step, settings):
        return f"the variable '{name}' of 'build_args_from_env' is known only to the plugin"
    if not all(image_names.is_in_checkout(path) for path in list_of(settings.get("tags_file"))):
        return "'tags_file' is not in the checkout"
    return "" if settings else "it has no settings"


def build_plugin_platforms(step: PluginStep) -> tuple[str, ...]:
    """The platforms of the build that a step expands to; none if it does not expand."""
    return _platforms(_settings(step)) if is_build_plugin(step) and not why_not_native(step) else ()


def _platforms(settings: Mapping[str, object]) -> tuple[str, ...]:
    return list_of(settings.get("platforms")) or list_of(settings.get("platform"))


def starts_docker(step: PluginStep) -> bool:
    """Does the plugin start a Docker daemon of its own? Kaniko does not."""
    return step.image is not None and "kaniko" not in step.image.name


def _settings(step: PluginStep) -> dict[str, object]:
    """The settings that the plugin would read: its ``settings``, and variables, which carry secrets in old files."""
    own = {
        re.sub(r"[-.]", "_", key).lower(): value
        for key, value in step.settings.items()
        if value is not None and value != ""
    }
    names = {name: name.removeprefix("PLUGIN_").lower() for name in step.environment if name.startswith("PLUGIN_")}
    given = {key: step.environment[name] for name, key in (_VARIABLES | names).items() if name in step.environment}
    return given | own


def is_build_plugin(step: PluginStep) -> bool:
    """Is this a plugin whose image only wraps ``docker build``?"""
    image = step.image.name if step.image else ""
    without_version = re.sub(r"(?::[\w.-]+)?(?:@.*)?$", "", image)
    return step.entrypoint is None and _IMAGES.fullmatch(without_version) is not None


def _unusable_secret(settings: Mapping[str, object]) -> str:
    """The setting that holds a secret which is neither a user name nor a password, or nothing."""
    entries = [{key: value for key, value in settings.items() if key != "logins"}, *_logins(settings)]
    places = ((key or "logins", value) for entry in entries for key, value in entry.items())
    return next((key for key, value in places if key not in _MAY_BE_SECRET and holds_secret(value)), "")


def _unknown_variable(step: PluginStep, settings: Mapping[str, object]) -> str:
    """A variable that ``build_args_from_env`` names and that is a secret or made with the container, or nothing."""
    own = {name for name, value in step.environment.items() if not holds_secret(value)}
    names = (name for name in list_of(settings.get("build_args_from_env")) if name not in own)
    return next((name for name in names if name in {*step.environment, *AT_RUN_TIME} or name[:3] != "CI_"), "")


_MAY_BE_SECRET = frozenset({"username", "password"})


def _logins(settings: Mapping[str, object]) -> list[dict[str, object]]:
    """The maps under ``logins``. An entry that is a secret itself becomes a map with that secret."""
    logins = settings.get("logins")
    entries = logins if isinstance(logins, list) else [logins] if logins else []
    return [entry if isinstance(entry, dict) else {"": entry} for entry in entries]


class _Login(NamedTuple):
    registry: str
    username: str | FromSecret | None
    password: str | FromSecret | None


def _credential(value: object) -> str | FromSecret | None:
    return value if isinstance(value, FromSecret) else scalar_text(value) or None


class _Common(TypedDict):
    name: str
    when: tuple[Condition, ...]
    depends_on: tuple[Dependency, ...] | None
    failure: Failure
    timeout: int | None
    retry: Retry | None
    group: str


class _BuildPlugin(NamedTuple):
    name: str
    step: PluginStep
    settings: Mapping[str, object]
    trigger: Trigger
    context: Context

    def expand(self) -> list[ExpandedStep]:
        registry = scalar_text(self.settings.get("registry"))
        # Registries take only lower case, but a forge's owners, as in ${CI_REPO}, may have upper case.
        repos = [image_names.repo_at(registry, repo).lower() for repo in self.texts("repo")]
        wanted = self.tags()
        provides = frozenset(f"{repo}:{tag}" for repo in [*repos, *self.texts("repo")] for tag in wanted)
        build = ExpandedStep(self.name, self.build(), provides)
        if not repos or is_on(self.settings.get("dry_run")) or is_on(self.settings.get("load")):
            return [build]
        by_login: dict[_Login | None, list[str]] = {}
        for repo in repos:
            by_login.setdefault(self.login_for(repo), []).append(repo)
        pushes = [self.push(login, there, wanted) for login, there in by_login.items()]
        names = [f"{self.name}-push"] + [f"{self.name}-push-{number}" for number in range(2, len(pushes) + 1)]
        return [build, *(ExpandedStep(name, push) for name, push in zip(names, pushes, strict=True))]

    def texts(self, key: str) -> tuple[str, ...]:
        return list_of(self.settings.get(key))

    def build(self) -> BuildStep:
        settings = self.settings
        images = tuple(f"type=registry,ref={image}" for image in self.texts("cache_images"))
        context = scalar_text(settings.get("context")) or "."
        dockerfile = scalar_text(settings.get("dockerfile") or settings.get("containerfile"))
        labels = {
            **map_of(settings.get("label")),
            **map_of(settings.get("custom_labels")),
            **map_of(settings.get("labels")),
        }
        return BuildStep(
            **self.common(),
            build=Build(
                context=context,
                dockerfile=dockerfile,
                target=scalar_text(settings.get("target")),
                args={**self.variables(), **map_of(settings.get("build_args"))},
                labels=labels,
                platforms=_platforms(settings),
                cache_from=(*self.texts("cache_from"), *images),
                cache_to=self.texts("cache_to"),
                no_cache=is_on(settings.get("no_cache")),
                pull=is_on(settings.get("pull_image", self.step.pull)),
            ),
        )

    def variables(self) -> dict[str, str]:
        """The build arguments from the environment, with the values that the plugin would find there."""
        known = run_variables(self.trigger, self.context)
        known |= {name: scalar_text(value) for name, value in self.step.environment.items()}
        return {name: known[name] for name in self.texts("build_args_from_env") if known.get(name)}

    def common(self) -> _Common:
        step = self.step
        return {
            "name": self.name,
            "when": step.when,
            "depends_on": step.depends_on,
            "failure": step.failure,
            "timeout": step.timeout,
            "retry": step.retry,
            "group": step.group,
        }

    def tags(self) -> tuple[str, ...]:
        """The tags that are known before the step starts."""
        in_file = self.texts("tags_file")
        given = () if in_file else (*self.texts("tags"), *self.texts("tag"))
        if not is_on(self.settings.get("auto_tag")):
            return given if given or in_file else (scalar_text(self.settings.get("default_tag")) or "latest",)
        if self.trigger.event in PULL_REQUEST_EVENTS:
            return given
        suffix = scalar_text(self.settings.get("auto_tag_suffix") or self.settings.get("default_suffix"))
        automatic = auto_tags(self.trigger, self.context.repo.default_branch)
        return (*given, *(_with_suffix(tag, suffix) for tag in automatic))

    def login_for(self, repo: str) -> _Login | None:
        """The credentials for a repository: those of the login for its registry, else those of the step."""
        is_on_hub = re.match(r"[^/]*[.:][^/]*/|localhost/", repo) is None
        for entry in _logins(self.settings):
            registry = scalar_text(entry.get("registry"))
            host = re.sub(r"^https?://", "", registry).split("/")[0]
            if (is_on_hub and host in {"", "docker.io", "index.docker.io"}) or repo.startswith(f"{host}/"):
                return _Login(registry, _credential(entry.get("username")), _credential(entry.get("password")))
        username, password = self.settings.get("username"), self.settings.get("password")
        if username is None and password is None:
            return None
        return _Login("", _credential(username), _credential(password))

    def push(self, login: _Login | None, repos: list[str], wanted: tuple[str, ...]) -> PushStep:
        return PushStep(
            **self.common(),
            push=Push(
                repo=tuple(repos),
                tags=wanted,
                tags_file=next(iter(self.texts("tags_file")), ""),
                username=login.username if login else None,
                password=login.password if login else None,
                image=ImageChoice(build=self.name),
            ),
        )


def _with_suffix(tag: str, suffix: str) -> str:
    if not suffix:
        return tag
    return suffix if tag == "latest" else f"{tag}-{suffix}"
