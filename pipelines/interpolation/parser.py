"""Parses the ``${NAME}`` references in a file's text, with the syntax of Woodpecker 3.x."""

import re
from bisect import bisect_right
from typing import NamedTuple

from pipelines.interpolation import operators
from pipelines.interpolation.operators import Operator
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.shell_text import CLOSE, OPEN

NESTING_LEVELS_MAX = 20

_SPECIAL = re.compile(rf"\$\$|\$\{{|\\[/\\]|[{OPEN}{CLOSE}]")
_EATEN = re.compile(r"\$(?=[${])|\\(?=[/\\])")
_PROCESS_NUMBER = re.compile(r"""(?<![^\s="/_.-])\$\$(?=[\s;&|)"]|\Z)""")
"""Not where a regular expression is likelier: behind a letter or a bracket, and before a single quote."""
_NAME = re.compile(r"[\w-]+")
_HINT_FOR_SHELLS = "if the shell is to expand it, write '$${' in place of '${'"
_HINTS = {
    "${{": "expressions of GitHub Actions mean nothing here: a variable is written ${NAME}, a condition below 'when'",
    "${checksum(": "write checksum(FILE), without '${' and '}', in the key of a cache",
}
"""How what belongs to something else begins, with what to write here."""


class Literal(NamedTuple):
    """Literal text at ``start``. It may be shorter than in the file, where ``$`` is escaped."""

    start: int
    text: str


class Reference(NamedTuple):
    """``${name}``, with an operator and its arguments."""

    start: int
    name: str
    operator: Operator | None = None
    args: "tuple[Template, ...]" = ()
    written: str = ""
    """As it stands in the file; empty where it is an argument of another."""

    @property
    def has_default(self) -> bool:
        """True for ``${name:-...}`` and the like: the author expects that it may be empty."""
        return self.operator is operators.default


Part = Literal | Reference
Template = tuple[Part, ...]


class Source:
    """A file's original text. Of a fragment also its path, and the includes that lead to it."""

    def __init__(self, text: str, fragment: str = "", included_at: str = "") -> None:
        self.text = text
        self.fragment, self.included_at = fragment, included_at
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, index: int) -> Place:
        """The line and column of the character at ``index``."""
        line = bisect_right(self._line_starts, index)
        column = index - self._line_starts[line - 1] + 1
        return Place(line, column, self.fragment, self.included_at)

    def in_comment(self, index: int) -> bool:
        """True if there is only a comment on the line of ``index``."""
        start = self._line_starts[bisect_right(self._line_starts, index) - 1]
        return self.text[start:index].lstrip().startswith("#")


def parse_template(source: Source, diagnostics: Diagnostics) -> Template:
    """The parts of the text. An invalid reference stays as it is; outside of comments it is an error."""
    text = source.text
    parts: list[Part] = []
    end = 0
    while not diagnostics.full and (special := _SPECIAL.search(text, end)):
        start = special.start()
        if start > end:
            parts.append(Literal(end, text[end:start]))
        part, end = _special(source, start, special[0], diagnostics)
        parts.append(part)
    if end < len(text):
        parts.append(Literal(end, text[end:]))
    return tuple(parts)


def _special(source: Source, start: int, found: str, diagnostics: Diagnostics) -> tuple[Part, int]:
    if found in {OPEN, CLOSE}:  # the file itself has this character: a value that is put back at the end
        return Reference(start, found), start + 1
    if found != "${":
        warn = _warn_of_process_number if found == "$$" else _warn_of_backslash
        warn(source, start, diagnostics)
        return Literal(start, found[1]), start + 2
    reader = _Reader(source.text, start + 2)
    try:
        reference = reader.reference(start)
    except _BadSubstitutionError as error:
        if not source.in_comment(start):
            written = _excerpt(source.text, start)
            hint = next((hint for begin, hint in _HINTS.items() if written.startswith(begin)), _HINT_FOR_SHELLS)
            diagnostics.error(source.place(start), f"'{written}' is not a substitution: {error}", hint)
        return Literal(start, "${"), start + 2
    written = source.text[start : reader.index]
    if reader.unlike_a_shell and not source.in_comment(start):
        signs = " and ".join(repr(sign) for sign in dict.fromkeys(reader.unlike_a_shell))
        message = f"{written} is not what it is in a shell: {signs} means here what ':-' does"
        diagnostics.warning(source.place(start), message, f"write {for_a_shell(written)} for the shell, or use ':-'")
    return reference._replace(written=written), reader.index


def for_a_shell(written: str) -> str:
    """What to write in a file so that a shell gets ``written``, unchanged."""
    return _EATEN.sub(r"\g<0>\g<0>", written)


def _warn_of_backslash(source: Source, start: int, diagnostics: Diagnostics) -> None:
    """Warns of a backslash that is lost; not where more of them show that the author knows."""
    text = source.text
    end = start
    while text[end : end + 1] == "\\":
        end += 1
    if text[start - 1 : start] == "\\" or source.in_comment(start):
        return
    count, slash = end - start, text[end : end + 1] == "/"
    if (count == 1 and slash) or (count == 2 and not slash):  # noqa: PLR2004 - one pair
        lost = text[start : end + slash]
        message = f"'{lost}' becomes '{lost[1:]}': filling in variables removes a backslash before '/' or '\\'"
        diagnostics.warning(source.place(start), message, f"write '{text[start:end]}{lost}' to keep it")


def _warn_of_process_number(source: Source, start: int, diagnostics: Diagnostics) -> None:
    """Warns of a ``$$`` that stands where a shell puts its process number, as in ``kill $$`` and ``/tmp/x.$$``."""
    if _PROCESS_NUMBER.match(source.text, start) and not source.in_comment(start):
        message = "'$$' becomes '$' here, and is not the shell's process number"
        diagnostics.warning(source.place(start), message, "write '$$$$' for the number, or '$' for the sign")


def _excerpt(text: str, start: int) -> str:
    line = text[start : start + 30].split("\n", 1)[0]
    return line[: line.index("}") + 1] if "}" in line else line


class _BadSubstitutionError(Exception):
    pass


class _Reader:
    """Parses one ``${...}``; ``index`` is the position behind what was consumed."""

    def __init__(self, text: str, index: int, level: int = 0) -> None:
        self.text, self.index, self.level = text, index, level
        self.unlike_a_shell: list[str] = []
        if level > NESTING_LEVELS_MAX:
            raise _BadSubstitutionError(f"it is nested deeper than {NESTING_LEVELS_MAX} levels")

    def reference(self, start: int) -> Reference:
        if self.take("#"):
            name = self.name()
            self.close()
            return Reference(start, name, operators.length)
        name = self.name()
        if self.take("}"):
            return Reference(start, name)
        return self.operation(start, name)

    def operation(self, start: int, name: str) -> Reference:
        if sign := self.take_one(":=", ":-", ":?", ":+", "="):
            self.unlike_a_shell += [sign] if sign in {":?", ":+"} else []
            return Reference(start, name, operators.default, (self.argument("}"),))
        if self.take(":"):
            return self.substring(start, name)
        if sign := self.take_one("##", "#", "%%", "%"):
            return Reference(start, name, operators.TRIMMING[sign], (self.argument("}", needed=True),))
        if sign := self.take_one(",,", ",", "^^", "^"):
            self.close()
            return Reference(start, name, operators.CASING[sign])
        if sign := self.take_one("//", "/#", "/%", "/"):
            old = self.argument("/", needed=True, escapes=True)
            return Reference(start, name, operators.REPLACING[sign], (old, self.argument("}", escapes=True)))
        if self.take("@tag"):
            self.close()
            return Reference(start, name, operators.image_tag)
        raise _BadSubstitutionError("there is no such operator")

    def substring(self, start: int, name: str) -> Reference:
        position = self.argument(":}", needed=True)
        length = () if self.text[self.index - 1] == "}" else (self.argument("}", needed=True),)
        return Reference(start, name, operators.substring, (position, *length))

    def take_one(self, *signs: str) -> str:
        return next((sign for sign in signs if self.take(sign)), "")

    def take(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.index)
        self.index += len(sign) * found
        return found

    def name(self) -> str:
        found = _NAME.match(self.text, self.index)
        if found is None:
            raise _BadSubstitutionError("a name of letters, digits and '_' must follow the '{'")
        self.index = found.end()
        return found[0]

    def close(self) -> None:
        if not self.take("}"):
            raise _BadSubstitutionError("a '}' is missing")

    def argument(self, stops: str, *, needed: bool = False, escapes: bool = False) -> Template:
        """The parts up to one of ``stops``, which is consumed too."""
        parts: list[Part] = []
        while self.index < len(self.text):
            start, char = self.index, self.text[self.index]
            if char in stops:
                self.index += 1
                if needed and not parts:
                    break
                return tuple(parts)
            if self.take("${"):
                nested = _Reader(self.text, self.index, self.level + 1)
                parts.append(nested.reference(start))
                self.index = nested.index
                self.unlike_a_shell += nested.unlike_a_shell
            elif escapes and self.text[start : start + 2] in {"$$", "\\/", "\\\\"}:
                parts.append(Literal(start, self.text[start + 1]))
                self.index += 2
            else:
                parts.append(Literal(start, char))
                self.index += 1
        raise _BadSubstitutionError("an argument or the closing '}' is missing")
