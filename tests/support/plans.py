"""Builders of plans for tests: they hide what does not matter to a test."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.plan import (
    BuildStep,
    BuiltImage,
    CommandsStep,
    Container,
    EnvValue,
    Image,
    NamedImage,
    PluginStep,
    PushStep,
    Service,
    Step,
    text,
)

BUSYBOX = "busybox:latest"
SOURCE = "/headway/src"
Content = str | bytes
LayOut = Callable[[Path], None]


def image(name: str | int) -> Image:
    """An image by name or, where ``name`` is the number of a build step, the one built there."""
    return BuiltImage(step=name) if isinstance(name, int) else NamedImage(name=name)


def container(
    name: str | int = BUSYBOX, environment: Mapping[str, str | EnvValue] | None = None, **keys: Any
) -> Container:
    """A container of a step: in the checkout, but in an image just built where the image itself starts."""
    values = {key: text(value) if isinstance(value, str) else value for key, value in (environment or {}).items()}
    directory = keys.pop("directory", "" if isinstance(name, int) else SOURCE)
    return Container(image=image(name), environment=values, directory=directory, **keys)


def shell(*commands: str, name: str = "shell", box: Container | None = None, **keys: Any) -> CommandsStep:
    """A step with commands, in busybox if nothing else is asked for."""
    return CommandsStep(number=0, name=name, container=box or container(), commands=commands, **keys)


def plugin(box: Container, name: str = "plugin", **keys: Any) -> PluginStep:
    """A step that runs its image's own entrypoint."""
    return PluginStep(number=0, name=name, container=box, **keys)


def build(name: str = "build", **keys: Any) -> BuildStep:
    """A step that builds an image."""
    return BuildStep(number=0, name=name, **keys)


def push(built: int, *repos: str, tags: Sequence[str] = ("latest",), name: str = "push", **keys: Any) -> PushStep:
    """A step that pushes the image of build step ``built``."""
    return PushStep(number=0, name=name, image=built, repos=repos, tags=tuple(tags), **keys)


def numbered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps numbered from 1, each after the one before, but where a step says what it needs."""
    placed = []
    for number, step in enumerate(steps, start=1):
        news: dict[str, Any] = {"number": number}
        if "needs" not in step.model_fields_set:
            news["needs"] = (number - 1,) if number > 1 else ()
        placed.append(step.model_copy(update=news))
    return tuple(placed)


def service(name: str, *commands: str, box: Container | None = None, **keys: Any) -> Service:
    """A service in busybox."""
    return Service(name=name, container=box or container(directory=""), commands=commands, **keys)


def laid_out(files: Mapping[str, Content]) -> LayOut:
    """Lays out these files as the source of a job."""

    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)
        for name, content in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return lay_out


def secrets_hex() -> str:
    """Six random bytes, for names that must be new."""
    return secrets.token_hex(6)
