"""Replaces ``${NAME}`` in a file's text by its value, before the text is parsed as YAML, as Woodpecker 3.x does.

Two things differ from Woodpecker. A value from outside (a commit message, a branch name) cannot become YAML or shell
syntax: a placeholder takes its place until the YAML has been parsed. And a problem has its place in the original file.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from pipelines.environment.variables import DRONE
from pipelines.interpolation.operators import RESULT_CHARACTERS_MAX, TooLongError
from pipelines.interpolation.parser import Literal, Reference, Source, Template
from pipelines.syntax.diagnostics import Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import core_value
from pipelines.syntax.shell_text import CLOSE, OPEN, OutsideValue, ShellText, insert_values, shell_text
from pipelines.syntax.yaml import Mark

# A value that has no special characters for YAML nor for a shell.
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./@+-]*")


class Variables(NamedTuple):
    """The variables for ``${NAME}``: those of the run, from outside, and the matrix cell, from the file itself.

    ``known`` are names that exist but may have no value now. ``at_run_time`` are names that only a container has.
    ``private`` are names that no environment variable of a step may have because of this file.
    """

    outside: Mapping[str, str]
    cell: Mapping[str, str] = {}
    known: Collection[str] = ()
    at_run_time: Collection[str] = ()
    private: Collection[str] = ()


class UnknownName(NamedTuple):
    """A name without a value, and what is known of it. ``hint`` is empty where that depends on who reads the value."""

    place: Place
    name: str
    message: str
    hint: str = ""
    written: str = ""


class Rendered:
    """The text with its values, and a map of positions back to the original file.

    The part that begins at ``starts[i]`` came from ``origins[i]`` in the file. If ``fixed[i]`` it replaces a reference:
    every position in it is that one. ``pasted`` are the values that became part of the text, by the places of their
    references, and ``names`` the names of those.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = ""
        self.starts, self.origins, self.fixed = [0], [0], [False]
        self.outside: list[OutsideValue] = []
        self.unknown: list[UnknownName] = []
        self.pasted: dict[Place, str] = {}
        self.names: dict[Place, str] = {}
        self._revealed_characters = 0

    def locate(self, mark: Mark) -> Place:
        """The place in the original file of ``mark`` in the rendered text."""
        number = bisect_right(self.starts, mark.index) - 1
        return self.source.place(self.origins[number] + (0 if self.fixed[number] else mark.index - self.starts[number]))

    def finish(self, text: str) -> tuple[str, ShellText | None]:
        """A scalar with its placeholders replaced. Raises TooLongError if all scalars together become too long."""
        if OPEN not in text:
            return text, None
        revealed = insert_values(text, self.outside)
        self._revealed_characters += len(revealed)
        if self._revealed_characters > RESULT_CHARACTERS_MAX:
            raise TooLongError
        return revealed, shell_text(text, self.outside)

    def placeholder(self, value: OutsideValue) -> str:
        """The placeholder that takes the place of ``value`` until ``finish``."""
        self.outside.append(value)
        return f"{OPEN}{len(self.outside) - 1}{CLOSE}"

    def assemble(self, template: Template, fill: Callable[[Reference], str]) -> None:
        """Sets the text: literals unchanged, references replaced by ``fill``. Raises TooLongError."""
        pieces: list[str] = []
        length = 0
        for part in template:
            piece = part.text if isinstance(part, Literal) else fill(part)
            self.starts.append(length)
            self.origins.append(part.start)
            self.fixed.append(isinstance(part, Reference))
            pieces.append(piece)
            length += len(piece)
            if length > RESULT_CHARACTERS_MAX:
                raise TooLongError
        self.text = "".join(pieces)


def render(source: Source, template: Template, variables: Variables, diagnostics: Diagnostics) -> Rendered:
    """Renders ``template``, which ``parse_template`` made of ``source``.

    Unknown names become empty; ``unknown`` of the result has those to warn of. Raises TooLongError.
    """
    rendered = Rendered(source)
    rendered.assemble(template, _Renderer(rendered, variables, diagnostics).fill)
    return rendered


def render_first(source: Source, template: Template, variables: Variables, count: int) -> Rendered:
    """Renders the first ``count`` references as ``render`` does, the others as placeholders. Raises TooLongError."""
    rendered = Rendered(source)
    renderer = _Renderer(rendered, variables, Diagnostics(""))
    counted = iter(range(count))

    def fill(part: Reference) -> str:
        first = next(counted, None) is not None
        return renderer.fill(part) if first else rendered.placeholder(OutsideValue("", renderer.value_of(part)))

    rendered.assemble(template, fill)
    return rendered


def render_placeholders(source: Source, template: Template) -> Rendered:
    """Renders every reference as a placeholder that stands for itself, as it is written."""
    rendered = Rendered(source)
    rendered.assemble(template, lambda part: rendered.placeholder(OutsideValue("", f"${{{part.name}}}")))
    return rendered


def render_values(source: Source, template: Template, variables: Variables) -> Rendered:
    """Renders every reference as a placeholder for its value. The matrix, which defines variables, is read from this.

    A name that is not known yet is empty, and changes nothing in how the rest is read. Raises TooLongError.
    """
    rendered = Rendered(source)
    renderer = _Renderer(rendered, variables, Diagnostics(""))
    rendered.assemble(template, lambda part: rendered.placeholder(OutsideValue("", renderer.value_of(part))))
    return rendered


class _Renderer(NamedTuple):
    rendered: Rendered
    variables: Variables
    diagnostics: Diagnostics

    def fill(self, part: Reference) -> str:
        """The replacement of a reference: its value if that is safe in the text, else a placeholder."""
        if part.name in {OPEN, CLOSE}:
            return self.rendered.placeholder(OutsideValue("", part.name))
        value, outside = self.evaluate(part)
        if not outside:
            place = self.rendered.source.place(part.start)
            self.rendered.pasted[place], self.rendered.names[place] = value, part.name
            return _quoted(value) if "\n" in value else value
        if _PLAIN_VALUE.fullmatch(value) and isinstance(core_value(value), str):
            return value
        named = part.operator is None and part.name not in self.variables.private
        variable = part.name if named else f"HEADWAY_TEXT_{len(self.rendered.outside) + 1}"
        return self.rendered.placeholder(OutsideValue(variable, value))

    def value_of(self, part: Reference) -> str:
        """The value; a character that stands for itself, if the file has one of those that enclose placeholders."""
        return part.name if part.name in {OPEN, CLOSE} else self.evaluate(part)[0]

    def evaluate(self, part: Reference) -> tuple[str, bool]:
        """The value, and whether any part of it came from outside."""
        own = self.variables.cell.get(part.name)
        value = own if own is not None else self.variables.outside.get(part.name)
        outside = own is None and bool(value)
        if value is None:
            self.warn_if_unknown(part)
        if part.operator is None:
            return value or "", outside
        args: list[str] = []
        for template in part.args:
            arg, arg_outside = self.argument(template)
            args.append(arg)
            outside = outside or arg_outside
        result = part.operator(value or "", args)
        if len(result) > RESULT_CHARACTERS_MAX:
            raise TooLongError
        return result, outside

    def argument(self, template: Template) -> tuple[str, bool]:
        evaluated = [(part.text, False) if isinstance(part, Literal) else self.evaluate(part) for part in template]
        return "".join(text for text, _ in evaluated), any(outside for _, outside in evaluated)

    def warn_if_unknown(self, part: Reference) -> None:
        source, name = self.rendered.source, part.name
        if name in self.variables.known or part.has_default or source.in_comment(part.start):
            return
        place = source.place(part.start)
        if not self.diagnostics.first_time(place):
            return
        report = self.rendered.unknown.append
        if name in self.variables.at_run_time:
            report(UnknownName(place, name, f"${{{name}}} is known only when the step runs and becomes empty"))
            return
        new = _new_name(name)
        if new in self.variables.known or new in self.variables.at_run_time:
            written = f"${{{new}}}" if new in self.variables.known else f"${new}"
            report(UnknownName(place, name, f"${{{name}}} is an old name and becomes empty", f"write {written}"))
            return
        hint = did_you_mean(name, [*self.variables.known, *self.variables.outside, *self.variables.cell])
        hint = hint.replace("'", "")
        before, minus, default = name.partition("-")
        if minus and before in {*self.variables.known, *self.variables.outside, *self.variables.cell}:
            hint = f"write ${{{before}:-{default}}} for a default"
        report(UnknownName(place, name, f"${{{name}}} is not a variable here and becomes empty", hint, part.written))


_OLD_NAMES = {
    "CI_BRANCH": "CI_COMMIT_BRANCH",
    "CI_TAG": "CI_COMMIT_TAG",
    "CI_BUILD_LINK": "CI_PIPELINE_URL",
    "CI_COMMIT_LINK": "CI_PIPELINE_FORGE_URL",
    "CI_COMMIT_URL": "CI_PIPELINE_FORGE_URL",
    "CI_REPO_LINK": "CI_REPO_URL",
    "CI_REPO_REMOTE": "CI_REPO_CLONE_URL",
    "DRONE_PULL_REQUEST": "CI_COMMIT_PULL_REQUEST",
    "DRONE_WORKSPACE": "CI_WORKSPACE",
    **{f"DRONE_{name}": source for name, source in DRONE.items()},
}


def _new_name(name: str) -> str:
    """The current name of a variable of older versions, or an empty text."""
    if name.startswith("CI_BUILD_") and name not in _OLD_NAMES:
        return name.replace("CI_BUILD_", "CI_PIPELINE_", 1)
    return name.replace("CI_JOB_", "CI_STEP_", 1) if name.startswith("CI_JOB_") else _OLD_NAMES.get(name, "")


def _quoted(value: str) -> str:
    """A value of several lines as one quoted line, in Go's notation."""
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    )
    return f'"{escaped}"'
