"""Fills in ``${NAME}`` as Compose does, from the environment of the step and from the file ``.env``."""

import re
from collections.abc import Collection, Mapping

LEVELS_MAX = 10  # of references within the default of another
CHARACTERS_MAX = 1024 * 1024  # of all filled texts of one Compose file

NOTHING: Mapping[str, str] = {}
_PLAIN = re.compile(r"[^$}]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")


class InterpolationError(Exception):
    """A text cannot be filled in. ``hint`` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Interpolator:
    """Fills in the texts of one file. ``missing`` are the names that had no value and no default."""

    def __init__(self, values: Mapping[str, str], secrets: Collection[str]) -> None:
        self._values = values
        self._secrets = secrets
        self._further = NOTHING
        self._characters = 0
        self.missing: dict[str, None] = {}

    def fill(self, text: str, further: Mapping[str, str] = NOTHING) -> str:
        """The text with its references filled in, also from ``further``. Raises InterpolationError."""
        self._further = further
        filled, _ = self._until(text, 0, level=0, used=True)
        self._characters += len(filled)
        if self._characters > CHARACTERS_MAX:
            message = f"with its variables filled in, this file has more than {CHARACTERS_MAX:,} characters"
            raise InterpolationError(message, "give shorter values")
        return filled

    def _until(self, text: str, at: int, *, level: int, used: bool) -> tuple[str, int]:
        """The filled text from ``at`` to the ``}`` that closes the reference around it, or to the end of the text."""
        parts: list[str] = []
        size = 0
        while at < len(text):
            if text[at] == "}" and level:
                return "".join(parts), at
            if plain := _PLAIN.match(text, at):
                part, at = plain[0], plain.end()
            elif text[at] == "}":
                part, at = "}", at + 1
            else:
                part, at = self._reference(text, at + 1, level=level, used=used)
            size += len(part)
            if size > CHARACTERS_MAX:
                raise InterpolationError("with its variables filled in, this text is too long", "give shorter values")
            parts.append(part)
        if level:
            raise InterpolationError("a '${' is not closed here", "close it with '}', or write '$$' for a single '$'")
        return "".join(parts), at

    def _reference(self, text: str, at: int, *, level: int, used: bool) -> tuple[str, int]:
        """What the text behind a ``$`` stands for, and where it ends."""
        if text.startswith("$", at):
            return "$", at + 1
        if name := _NAME.match(text, at):
            return self._value(name[0], used=used) or "", name.end()
        name = _NAME.match(text, at + 1) if text.startswith("{", at) else None
        if name is None:
            raise InterpolationError("the '$' here begins no reference", "write '$$' for a single '$'")
        operator = _OPERATOR.match(text, name.end())
        if operator is None and not text.startswith("}", name.end()):
            message = f"'${{{name[0]}' is followed by what Compose does not know"
            raise InterpolationError(message, "write ${NAME}, ${NAME:-default} or ${NAME:?message}")
        if operator is None:
            return self._value(name[0], used=used) or "", name.end() + 1
        if level >= LEVELS_MAX:
            message = f"references stand here in each other in more than {LEVELS_MAX} levels"
            raise InterpolationError(message, "write the value out")
        return self._with_operator(text, name[0], operator, level=level, used=used)

    def _with_operator(
        self, text: str, name: str, operator: re.Match[str], *, level: int, used: bool
    ) -> tuple[str, int]:  # fmt: skip
        kind = operator[0][-1]
        value = self._value(name, used=used, has_default=True)
        given = value is not None and (bool(value) or not operator[0].startswith(":"))
        argument, end = self._until(text, operator.end(), level=level + 1, used=used and given == (kind == "+"))
        if kind == "+":
            return argument if given else "", end + 1
        if given or not used:
            return value or "", end + 1
        if kind == "?":
            message = f"the variable {name} is missing: {argument[:200]}".removesuffix(": ")
            raise InterpolationError(message, f"write environment: {{{name}: VALUE}} at the step")
        return argument, end + 1

    def _value(self, name: str, *, used: bool, has_default: bool = False) -> str | None:
        if used and name in self._secrets:
            message = f"{name} is a secret, and no text of the file may have its value"
            raise InterpolationError(message, f"let the service have it: environment: [{name}]")
        value = self._values.get(name, self._further.get(name))
        if value is None and used and not has_default:
            self.missing[name] = None
        return value
