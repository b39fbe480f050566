"""Variables from files of the repository, in the form that Compose documents: ``env_file`` of a service, and ``.env``.

Source of the rules: docs.docker.com/compose/how-tos/environment-variables/variable-interpolation, "env-file syntax".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from posixpath import join, normpath
from typing import NamedTuple

from pipelines.compose.report import Report, shown
from pipelines.interpolation.parser import Source
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

ENV_FILES_COUNT_MAX = 10  # of one service
ENV_FILE = ".env"  # beside a Compose file
_FORM = "write NAME=value, one a line"
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_SINGLE = re.compile(r"[ \t]*'((?:\\'|[^'])*)'")
_DOUBLE = re.compile(r'[ \t]*"((?:\\.|[^"\\])*)"', re.DOTALL)
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class EnvFile(NamedTuple):
    """A file that ``env_file`` names, from the root of the repository."""

    path: str
    required: bool
    node: Node


class Variable(NamedTuple):
    """A line of such a file. Without ``value`` it is that of the step; one in single quotes is taken as it is."""

    name: str
    at: int
    value: str | None
    literal: bool = False


ReadFile = Callable[[str, Node], Source | None]
"""The text of a file of the repository, asked for at a place; None where it is not there."""


def defaults_file(compose_file: str) -> str:
    """Where Compose looks for values of ``${NAME}`` that the environment does not give: beside the Compose file."""
    return join(compose_file.rpartition("/")[0], ENV_FILE)


def with_defaults(environment: Mapping[str, Node], source: Source | None, report: Report) -> Mapping[str, Node]:
    """The variables of a Compose step with those of the ``.env``, if there is one. Those of the step win."""
    found: dict[str, tuple[ScalarNode, Node]] = {}
    if source is not None:
        _take(source, f"'{ENV_FILE}'", environment, found, report)
    return {**{name: node for name, (_, node) in found.items()}, **environment}


def env_files(node: Node, folder: str) -> list[EnvFile]:
    """What ``env_file`` names: a path, or a list of paths and of maps with ``path``. Other forms are left out."""
    found = []
    for item in node.items if isinstance(node, ListNode) else (node,):
        path = item.by_key.get("path") if isinstance(item, MapNode) else item
        required = item.by_key.get("required") if isinstance(item, MapNode) else None
        if isinstance(path, ScalarNode) and path.text and not path.is_null:
            optional = isinstance(required, ScalarNode) and required.text.lower() == "false"
            found.append(EnvFile(normpath(join(folder, path.text)), not optional, path))
    return found


def read_env_files(
    node: Node, label: str, folder: str, step: Mapping[str, Node], read: ReadFile, report: Report
) -> dict[str, tuple[ScalarNode, Node]]:
    """The variables of a service from its files; a later file wins. ``step`` is the environment of the Compose step."""
    what = f"'env_file' of {label}"
    _check_form(node, what, report)
    files = env_files(node, folder)
    if len(files) > ENV_FILES_COUNT_MAX:
        report.error(node.place, f"{what} names more than {ENV_FILES_COUNT_MAX} files", "put them together")
        return {}
    found: dict[str, tuple[ScalarNode, Node]] = {}
    for file in files:
        source = read(file.path, file.node)
        if source is None:
            if file.required:
                hint = "look at the path, which begins at the folder of the Compose file; or write required: false"
                report.error(file.node.place, f"{what} names '{shown(file.path)}', which is not there", hint)
            continue
        _take(source, what, step, found, report)
    return found


def _check_form(node: Node, what: str, report: Report) -> None:
    for item in node.items if isinstance(node, ListNode) else (node,):
        if not isinstance(item, MapNode):
            report.text(item, f"an item of {what}")
            continue
        fields = report.only(item, ("path", "required", "format"), what)
        if "path" not in fields:
            report.error(item.place, f"an item of {what} has no 'path'", "write path: FILE")
        else:
            report.text(fields["path"], f"'path' in {what}")
        if "required" in fields:
            report.flag(fields["required"], f"'required' in {what}")
        if "format" in fields:
            report.error(fields["format"].place, f"'format' in {what} is not supported", "remove it")


def _take(
    source: Source, what: str, step: Mapping[str, Node], found: dict[str, tuple[ScalarNode, Node]], report: Report
) -> None:  # fmt: skip
    source = Source(source.text.replace("\r\n", "\n"), source.fragment, source.included_at)
    values: dict[str, str] = {}
    for each in parse_env_file(source.text):
        place = source.place(each.at)
        key = ScalarNode(place, each.name)
        if not each.name:
            report.error(place, f"this line of {what} is no variable", _FORM)
        elif each.value is None:
            if each.name in step:
                found[each.name] = key, step[each.name]
        else:
            written = ScalarNode(place, each.value)
            node = written if each.literal else report.filled_text(written, values)
            values[each.name] = node.text
            found[each.name] = key, node


def parse_env_file(text: str) -> Iterator[Variable]:
    """The variables in the order of the file. One without a name is a line that is none."""
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = max(blank.end(), at + 1)
            continue
        found, at = _variable(text, at)
        yield found


def _variable(text: str, at: int) -> tuple[Variable, int]:
    line_end = (text.find("\n", at) + 1) or len(text)
    name = _NAME.match(text, at)
    if name is None:
        return Variable("", at, None), line_end
    end = name.end()
    if not text.startswith("=", end):
        return Variable(name[1] if _BLANK.match(text, end) else "", at, None), line_end
    for pattern, literal in ((_SINGLE, True), (_DOUBLE, False)):
        quoted = pattern.match(text, end + 1)
        if quoted and (rest := _BLANK.match(text, quoted.end())):
            value = quoted[1].replace("\\'", "'") if literal else _ESCAPE.sub(_unescaped, quoted[1])
            return Variable(name[1], at, value, literal), rest.end()
    value = _COMMENT.sub("", text[end + 1 : line_end].rstrip("\n")).strip(" \t")
    if value[:1] in {"'", '"'}:
        return Variable("", at, None), line_end
    return Variable(name[1], at, value), line_end


def _unescaped(found: re.Match[str]) -> str:
    # A dollar that is not to begin a reference is doubled: that is how it is written where references are filled in.
    return "$$" if found[1] == "$" else _ESCAPED.get(found[1], found[1])
