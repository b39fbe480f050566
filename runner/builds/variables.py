"""The variables of a Dockerfile that stand before its first FROM."""

from collections.abc import Mapping

from runner.builds.dockerfile_lines import words_of
from runner.builds.shell_words import WordError, expand
from runner.network.proxies import NAMES

VALUE_CHARS_MAX = 4096
"""Longer values are unclear: no image has such a name, and values that double each other would take all memory."""
_SET_BY_OTHERS = frozenset({name.upper() for name in NAMES} | {"SOURCE_DATE_EPOCH"})


def is_set_by_others(name: str) -> bool:
    """True for an argument that the build client or the frontend may set, whatever the Dockerfile says."""
    return name.startswith("BUILDKIT_") or name.upper() in _SET_BY_OTHERS


class GlobalVariables:
    """The variables that FROM may use: those of ARG before the first FROM."""

    def __init__(self, args: Mapping[str, str], predefined: Mapping[str, str], escape: str) -> None:
        self._args = args
        self._escape = escape
        # Versions differ in whether a build argument replaces these where no ARG declares them.
        self._known = {name: value for name, value in predefined.items() if name not in args}

    def declare(self, text: str) -> None:
        """Takes the arguments of an ARG. One without a value that is not given stays what it was."""
        for word in words_of(text, self._escape):
            name, equals, value = word.partition("=")
            if name in self._args:
                self._known[name] = self._args[name]
            elif equals:
                self._known[name] = self.expand(value)

    def expand(self, text: str) -> str:
        """The text with its variables; as it is written, with a ``$``, if only the frontend can evaluate it."""
        try:
            found = expand(text, self._escape, self.get) if len(text) <= VALUE_CHARS_MAX else None
        except WordError:
            found = None
        if found is None or len(found) > VALUE_CHARS_MAX:
            return text[:VALUE_CHARS_MAX] if "$" in text[:VALUE_CHARS_MAX] else f"${text[:VALUE_CHARS_MAX]}"
        return found

    def get(self, name: str) -> str | None:
        """The value; None if it is not set. Raises WordError if only the frontend can know it."""
        if is_set_by_others(name):
            raise WordError(f"{name} is set by the client")
        value = self._known.get(name)
        if (value is None and name.startswith(("TARGET", "BUILD"))) or "$" in (value or ""):
            raise WordError(f"only the frontend knows {name}")
        return value
