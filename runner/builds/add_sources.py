"""The sources of ADD with their variables, as BuildKit replaces them (frontend/dockerfile/dockerfile2llb).

A stage begins with the variables of its base. Each ARG and ENV sets more, for the instructions that follow.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from runner.builds.dockerfile_lines import SPACE, Instruction, Reading, parsed, readings, words_of
from runner.builds.remote_files import RemoteFile, checksum_counts, remote_file
from runner.builds.shell_words import WordError, expand
from runner.builds.variables import VALUE_CHARS_MAX, GlobalVariables, is_set_by_others

EXPANDED_CHARS_MAX = 1_000_000
"""As many characters are read and made. Beyond, no value is known."""
_SCRATCH = "scratch"
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Base:
    """What a stage gets from its base image: variables, and instructions that run first."""

    environment: Mapping[str, str] = field(default_factory=dict)
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variables:
    """What variables begin with: the build's arguments, those of the platform, and the base images that are known,
    by the name and platform that their FROM has.
    """

    args: Mapping[str, str] = field(default_factory=dict)
    predefined: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[tuple[str, str], Base] = field(default_factory=dict)


@dataclass(frozen=True)
class AddSource:
    """A source as it is ``written``. ``front`` is as much of it as is known with its variables, from its beginning."""

    written: str
    front: str
    known: bool
    has_checksum: bool = False


def add_sources(text: str, variables: Variables) -> tuple[AddSource, ...]:
    """The sources of the ADD instructions of all stages, in every reading of the text."""
    found: dict[AddSource, None] = {}
    left = _Budget(EXPANDED_CHARS_MAX)
    for reading in readings(text):
        found |= dict.fromkeys(_Walk(reading, variables, left).sources())
    return tuple(found)


def added_files(text: str, variables: Variables) -> tuple[RemoteFile, ...]:
    """The files that the engine would download. The host is empty where only BuildKit can tell it."""
    found: dict[RemoteFile, None] = {}
    for source in add_sources(text, variables):
        file = remote_file(source.front, known=source.known, has_checksum=source.has_checksum)
        if file:
            found[file if source.known else RemoteFile(source.written, file.host)] = None
    return tuple(found)


@dataclass
class _Budget:
    chars: int


class _Stage:
    """The variables of one stage. ``complete`` says that others are not set; a value of None is not known."""

    def __init__(self, escape: str, left: _Budget) -> None:
        self.values: dict[str, str | None] = {}
        self.own: dict[str, str | None] = {}
        self.triggers: list[Instruction] = []
        self.complete = True
        self._escape = escape
        self._left = left

    def inherit(self, other: "_Stage") -> None:
        """Begins as a stage that is built on another: what ENV set there wins over ARG."""
        self.values, self.own, self.complete = {**other.values, **other.own}, dict(other.own), other.complete

    def expand(self, text: str) -> str | None:
        """The text with its variables; None if only BuildKit can tell."""
        try:
            return self._expand(text)
        except WordError:
            return None

    def expand_front(self, text: str) -> tuple[str, bool]:
        """As much of the text, from its front, as is known with its variables, and whether that is all."""
        whole = self.expand(text)
        if whole is not None:
            return whole, True
        for at in sorted((match.start() for match in re.finditer(r"\$", text[:VALUE_CHARS_MAX])), reverse=True):
            for quote in ("", '"'):
                front = self.expand(text[:at] + quote)
                if front is not None:
                    return front, False
        return "", False

    def set(self, name: str | None, value: str | None, *, by_env: bool) -> None:
        """Sets a variable. Where the name is not known, no variable is known any more."""
        if name is None:
            self.values, self.own, self.complete = {}, {}, False
            return
        self.values[name] = value
        if by_env:
            self.own[name] = value

    def _expand(self, text: str) -> str:
        self._left.chars -= len(text)
        if len(text) > VALUE_CHARS_MAX or self._left.chars < 0:
            raise WordError("too long")
        found = expand(text, self._escape, self._get)
        if len(found) > VALUE_CHARS_MAX:
            raise WordError("too long")
        return found

    def _get(self, name: str) -> str | None:
        value = self.values.get(name)
        if name in self.values:
            if value is None:
                raise WordError(f"only BuildKit knows {name}")
            self._left.chars -= len(value)
        elif not self.complete or is_set_by_others(name) or name == "PATH":
            raise WordError(f"only BuildKit knows {name}")
        return value


class _Walk:
    """Goes through one reading of a Dockerfile."""

    def __init__(self, reading: Reading, variables: Variables, left: _Budget) -> None:
        self._reading = reading
        self._given_by = variables
        self._left = left
        self._globals = GlobalVariables(variables.args, variables.predefined, reading.escape)
        self._stages: dict[str, _Stage] = {}
        self._stage: _Stage | None = None

    def sources(self) -> Iterator[AddSource]:
        for instruction in self._reading.instructions:
            if instruction.name == "FROM" and not instruction.trigger:
                yield from self._begin(instruction)
            elif self._stage is None:
                if instruction.name == "ARG":
                    self._globals.declare(instruction.rest)
            elif instruction.trigger:
                self._stage.triggers.append(instruction)
            else:
                yield from self._run(self._stage, instruction)

    def _begin(self, instruction: Instruction) -> Iterator[AddSource]:
        flags = (flag.partition("=") for flag in instruction.flags)
        platform = next((value for name, _, value in flags if name.lower() == "--platform"), "")
        words = SPACE.split(instruction.rest)
        image = self._globals.expand(words[0])
        stage = self._stage = _Stage(self._reading.escape, self._left)
        other, triggers = self._stages.get(image.lower()), list[Instruction]()
        if other:
            stage.inherit(other)
            triggers = other.triggers
        elif base := self._given_by.bases.get((image, self._globals.expand(platform))):
            stage.values, stage.own = dict(base.environment), dict(base.environment)
            # Each by itself, as BuildKit reads them: one cannot continue another.
            triggers = [parsed(line, "\\") for line in base.triggers]
        else:
            stage.complete = image == _SCRATCH
        for trigger in triggers:
            yield from self._run(stage, trigger)
        if len(words) > 2 and words[1].lower() == "as":  # noqa: PLR2004 - FROM image AS name
            self._stages[words[2].lower()] = stage

    def _run(self, stage: _Stage, instruction: Instruction) -> Iterator[AddSource]:
        if instruction.name == "ENV":
            self._set_env(stage, instruction.rest)
        elif instruction.name == "ARG":
            self._set_arg(stage, instruction.rest)
        elif instruction.name == "ADD":
            has_checksum = any(map(checksum_counts, instruction.flags))
            for word in _words(instruction.rest)[:-1]:
                yield AddSource(word, *stage.expand_front(word), has_checksum)

    def _set_env(self, stage: _Stage, rest: str) -> None:
        words = words_of(rest, self._reading.escape)
        if words and "=" not in words[0]:
            first, *others = SPACE.split(rest, maxsplit=1)
            pairs = [(first, "".join(others))]
        else:
            pairs = [(name, value) for name, equals, value in (word.partition("=") for word in words) if equals]
        # All have the values from before the instruction.
        for name, value in [(stage.expand(name), stage.expand(value)) for name, value in pairs]:
            stage.set(name, value, by_env=True)

    def _set_arg(self, stage: _Stage, rest: str) -> None:
        pairs = [word.partition("=") for word in words_of(rest, self._reading.escape)]
        before = [stage.expand(value) for _, _, value in pairs]
        for number, (written, equals, text) in enumerate(pairs):
            # Versions differ in whether they take quotes and variables from the name, and in whether a value can have
            # those of the same line.
            name = written if _PLAIN_NAME.fullmatch(written) else stage.expand(written)
            value = stage.expand(text)
            if not equals and name == written and not self._is_given(written):
                continue  # it stays what it was
            if not equals or is_set_by_others(written) or written in self._given_by.args:
                value = self._given(written)
            elif value != before[number]:
                value = None
            stage.set(name, value if name == written else None, by_env=False)

    def _is_given(self, name: str) -> bool:
        """False for an argument that neither the build nor a line before FROM sets."""
        try:
            return self._globals.get(name) is not None or name in self._given_by.args
        except WordError:
            return True

    def _given(self, name: str) -> str | None:
        if is_set_by_others(name):
            return None
        if name in self._given_by.args:
            return self._given_by.args[name]
        try:
            return self._globals.get(name)
        except WordError:
            return None


def _words(rest: str) -> list[str]:
    """The words of ADD: those of a JSON list, else what space separates."""
    try:
        words = json.loads(rest) if rest.startswith("[") else None
    except (ValueError, RecursionError):
        words = None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return words
    return SPACE.split(rest)
