"""Warns of ``${NAME}`` without a value, with a hint that fits what reads the text there: a shell, a plugin, Headway."""

from collections.abc import Sequence

from pipelines.interpolation.parser import for_a_shell
from pipelines.interpolation.renderer import UnknownName
from pipelines.parser.containing_key import ContainingKey, KeyIndex
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import Node

_SCRIPTS = frozenset({"commands", "command", "ready"})
_WRITTEN_CHARACTERS_MAX = 80


def warn_of_unknown_names(unknown: Sequence[UnknownName], root: Node | None, diagnostics: Diagnostics) -> None:
    """Adds a warning for each name. ``root`` is None where the file could not be read as YAML."""
    index = KeyIndex(root) if unknown else None
    for each in unknown:
        key = index.at(each.place) if index else ContainingKey()
        diagnostics.warning(each.place, each.message, each.hint or _hint(each, key))


def _hint(unknown: UnknownName, key: ContainingKey) -> str:
    name = unknown.name
    last = key.keys[-1] if key.keys else "commands"
    at_run_time = "when the step runs" in unknown.message
    if last in _SCRIPTS:
        if at_run_time:
            return f"write ${name}, or $${{{name}}}, for the shell to fill in"
        return f"write {for_a_shell(_as_written(unknown))} if the shell is to fill it in"
    if last == "directory" and name == "CI_WORKSPACE":
        return "a directory is relative to the checkout: write only what comes behind"
    if not at_run_time and unknown.place.fragment:
        return "remove it, or declare it below 'inputs' of the fragment: only these and CI_* variables are known here"
    if not at_run_time:
        return "remove it, or give it a value: only CI_* variables and the matrix are known here"
    if key.plugin:
        return f"a plugin has {name} in its environment; nothing can fill it in here"
    return f"only commands can use it, as ${name}"


def _as_written(unknown: UnknownName) -> str:
    """The reference with its operator, for ``${x%.*}`` means something else than ``${x}``; a long one without it."""
    if unknown.written and len(unknown.written) <= _WRITTEN_CHARACTERS_MAX and "\n" not in unknown.written:
        return unknown.written
    return f"${{{unknown.name}}}"
