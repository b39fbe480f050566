"""What the steps of a job are, collected while they are read."""

import re
from dataclasses import dataclass, field, replace

from pipelines.importers.github import docker
from pipelines.importers.github.expressions.parser import without_expressions
from pipelines.importers.github.expressions.texts import Texts
from pipelines.importers.github.scripts import Run, Script, holds_always, statuses_of
from pipelines.importers.keys import entries_of
from pipelines.importers.yaml_text import Value
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, Node, ScalarNode

_OUTPUTS = re.compile(r"\bsteps\.([\w-]+)\.outputs\b", re.IGNORECASE)
_SECRETS = re.compile(r"\bsecrets\s*[.\[]", re.IGNORECASE)


@dataclass
class ImageBuild:
    """An image that a step builds, and the names that it is pushed under."""

    name: str
    images: docker.Images
    condition: str
    place: Place


@dataclass
class Plugin:
    """A step that runs a plugin."""

    name: str
    value: dict[str, Value]
    condition: str
    place: Place


@dataclass
class Reading:
    """What the steps of a job are. ``tools`` are the tools with the texts of their versions."""

    texts: Texts
    uploads: dict[str, list[str]]
    events: tuple[str, ...]
    shell: str = ""
    directory: str = ""
    tools: list[tuple[str, str]] = field(default_factory=list)
    caches: list[Value] = field(default_factory=list)
    clone: dict[str, Value] | None = None
    parts: list[Script | ImageBuild | Plugin] = field(default_factory=list)
    meta: dict[str, docker.Names] = field(default_factory=dict)

    @property
    def scripts(self) -> list[Script]:
        """The parts with commands."""
        return [part for part in self.parts if isinstance(part, Script)]

    def add(self, run: Run) -> None:
        """Adds a run to the container before it, if both run after the same statuses.

        One with secrets that not all runs have is in a container of its own, which only starts where they are there.
        """
        statuses = statuses_of(run.condition, self.texts)
        last = self.parts[-1] if self.parts else None
        has_secrets = any(_SECRETS.search(text) for text in (run.text, *(text for _, text, _ in run.env)))
        alone = not statuses or (has_secrets and not holds_always(run.condition, self.events, self.texts))
        if isinstance(last, Script) and last.statuses == statuses and not (alone or last.alone):
            last.runs.append(run)
        else:
            self.parts.append(Script([run], statuses, alone=alone))


def with_text(run: Run, text: str, values: dict[str, str]) -> Run:
    """The run with commands in place of its action, which has no shell of its own."""
    directory = values.get("working-directory") or values.get("working_directory") or ""
    return replace(run, text=text, shell="", directory=directory)


def steps_read_in(node: Node | None) -> frozenset[str]:
    """The ids of steps whose outputs are read anywhere in a job, in lower case."""
    match node:
        case ScalarNode(text=text):
            return frozenset(name.lower() for name in _OUTPUTS.findall(text))
        case ListNode(items=items):
            return frozenset[str]().union(*map(steps_read_in, items))
        case _:
            return frozenset[str]().union(*(steps_read_in(value) for _, value in entries_of(node)))


def slug(text: str) -> str:
    """A name for a step."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", without_expressions(text)).strip("-.").lower()[:60]
