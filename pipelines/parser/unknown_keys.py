"""What to say of keys that a part of a pipeline file does not have: the key that is meant, or the place for it."""

from pipelines.model import other_ci_systems
from pipelines.model.base import PipelineModel
from pipelines.model.concurrency import Concurrency
from pipelines.model.conditions import Condition, PathPatterns, Patterns
from pipelines.model.inputs import InputDeclaration
from pipelines.model.retry import Retry
from pipelines.model.workflow import (
    BackendOptions,
    Build,
    BuildStep,
    CommandsStep,
    ComposeService,
    Dependency,
    DockerOptions,
    ImageChoice,
    PluginStep,
    Push,
    PushStep,
    ReadyCheck,
    Service,
    Workflow,
    Workspace,
)
from pipelines.syntax.diagnostics import did_you_mean

Location = tuple[str | int, ...]
"""The keys and indices that lead to a part of a file, from its top."""

STEP_MODELS: dict[str, type[PipelineModel]] = {
    "commands": CommandsStep,
    "plugin": PluginStep,
    "build": BuildStep,
    "push": PushStep,
    "compose": ComposeService,
}
_MODELS: dict[str, type[PipelineModel]] = {
    "services": Service,
    "when": Condition,
    "path": PathPatterns,
    **dict.fromkeys(("branch", "ref", "repo", "instance", "platform", "cron", "matrix"), Patterns),
    "depends_on": Dependency,
    "image": ImageChoice,
    "build": Build,
    "push": Push,
    "ready": ReadyCheck,
    "workspace": Workspace,
    "concurrency": Concurrency,
    "retry": Retry,
    "inputs": InputDeclaration,
    "backend_options": BackendOptions,
    "docker": DockerOptions,
}
STEP_KEYS = frozenset(name for kind in STEP_MODELS.values() for name in kind.model_fields)
NOT_SUPPORTED_YET = frozenset({"deploy"})

KIND_NAMES = {
    "commands": "'commands'",
    "plugin": "a plugin",
    "build": "'build'",
    "push": "'push'",
    "compose": "'compose'",
}


def conflict_hint(key: str, kind: str) -> str:
    """The remedy for a key that a step of another kind has."""
    if key in {"settings", "commands", "build", "push"}:
        return "a step is one of commands, settings (a plugin), build and push; make two steps"
    if (key, kind) == ("resources", "build"):
        return "remove it: the engine's BuildKit knows no limits for one build; they are for steps and services"
    return f"only steps with a container have it; remove it, or move it from the {kind} step to one"


def unknown_hint(key: str, tagged: Location) -> str:
    """The remedy for a key that is none; in ``tagged``, a step's index is followed by its kind."""
    known = _known_keys(tagged)
    match tagged:
        case ("kind",):
            return "only Drone's pipelines have it; docs/using/coming-from.md says how to write them here"
        case (str() as key_of_root,) if key_of_root.startswith(("x-", ".")):
            return "anchors have their place below 'variables': a list, or a map of any names"
        case ("services", int(), "command" | "args"):
            return "a service runs what its image says; write entrypoint: [PROGRAM, ARGUMENT] to start something else"
        case ("steps" | "clone" as group, int(), "plugin", str()) if key not in other_ci_systems.KEYS:
            unlikely = {"build", "push"} if group == "steps" else {"detach"}  # 'depth' is meant for the checkout
            near = did_you_mean(key, (name for name in known if name not in unlikely))
            return near or "the inputs of a plugin stand below 'settings'; else remove it"
        case ("include",) | ("steps", "include"):
            return "it is an item of 'steps': - include: ci/test.yml"
        case _ if other_ci_systems.KEYS.get(key) in known:
            return f"did you mean '{other_ci_systems.KEYS[key]}'?"
        case _:
            return did_you_mean(key, known) or "remove it"


def _known_keys(tagged: Location) -> list[str]:
    parents = [part for part in tagged[:-1] if isinstance(part, str)]
    if not parents:
        found: type[PipelineModel] = Workflow
    elif parents[-1] in STEP_MODELS and parents[0] in {"steps", "clone"} and len(parents) == 2:  # noqa: PLR2004
        found = STEP_MODELS[parents[-1]]
    else:
        found = next((_MODELS[part] for part in reversed(parents) if part in _MODELS), Workflow)
    extra = ["build", "push", "commands", "settings"] if found in STEP_MODELS.values() else []
    return [field.alias or name for name, field in found.model_fields.items()] + extra
