"""The parts of a step's key: digests of all that its result depends on, by the names that people read."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.plan import CommandsStep, Container, EnvValue, JobPlan, Service

FORMAT = 1
"""Goes up with every change of what a key says: results from before do not count then."""
PART_CHARACTERS = 16
"""As much of a digest is enough to see that it has changed: records keep no more of their parts."""
IMAGE, COMMANDS, OPTIONS, WORKSPACE, GIT_FILES = "image", "commands", "options", "workspace", "git files"
Fingerprint = Callable[[str], str]


def key_of(parts: Mapping[str, str]) -> str:
    """The key of a step with these parts."""
    return hashlib.sha256(_text([FORMAT, sorted(parts.items())]).encode()).hexdigest()


def step_parts(plan: JobPlan, step: CommandsStep, secrets: Mapping[str, str], keyed: Fingerprint) -> dict[str, str]:
    """The parts that the plan says. Raises KeyError with the name of a missing secret."""
    dumped = step.model_dump(mode="json", exclude={"commands", "container", "needs", "sources"})
    options = [dumped, _options(step.container)]
    workspace = [plan.name, plan.cell, plan.workspace_base, plan.workspace]
    checkout = plan.checkout.model_dump(mode="json") if plan.checkout else None
    return {
        COMMANDS: keyed(_text(step.commands)),
        OPTIONS: keyed(_text(options)),
        WORKSPACE: keyed(_text([*workspace, checkout])),
        **_environment(step.container, secrets, keyed),
        **{f"secret file {file.path}": keyed(secrets[file.secret]) for file in step.secret_files},
    }


def service_part(service: Service, image: str, secrets: Mapping[str, str], keyed: Fingerprint) -> str:
    """The part of a service, whose image has this id. Raises KeyError."""
    dumped = service.model_dump(mode="json", exclude={"container"})
    environment = _environment(service.container, secrets, keyed)
    return keyed(_text([dumped, _options(service.container), environment, image]))


def _options(container: Container) -> dict[str, Any]:
    return container.model_dump(mode="json", exclude={"environment", "image"})


def _environment(container: Container, secrets: Mapping[str, str], keyed: Fingerprint) -> dict[str, str]:
    return {f"variable {name}": keyed(_value(value, secrets)) for name, value in container.environment.items()}


def _value(value: EnvValue, secrets: Mapping[str, str]) -> str:
    return _text([part if isinstance(part, str) else [secrets[part.secret], part.as_json] for part in value])


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between the parts of two results, in words: sources first."""
    short = [{name: digest[:PART_CHARACTERS] for name, digest in parts.items()} for parts in (then, now)]
    names = sorted(name for name in then.keys() | now.keys() if short[0].get(name) != short[1].get(name))
    return [_said(name) for name in sorted(names, key=lambda name: not name.startswith("source "))]


def _said(name: str) -> str:
    kind, _, rest = name.partition(" ")
    words = {
        "source": f"source {rest!r}",
        "variable": f"variable {rest}",
        "step": f"step {rest!r}, which comes before it,",
        "service": f"service {rest!r}",
        "secret": f"secret {rest}",
        "artifacts": "the artifacts that it starts with",
        "git": "how git checks files out",
    }
    return words.get(kind, f"its {name}")
