"""Fragments: the files that pipeline files include. Which are wanted, which paths they may have, and what was read."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import render_placeholders
from pipelines.parser.discovery import choose_files
from pipelines.parser.legacy_syntax import named_list
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.syntax.yaml import TEXT_BYTES_MAX, parse_yaml

FRAGMENTS_COUNT_MAX = 50  # different files of one pipeline
FRAGMENTS_BYTES_MAX = 2 * 1024 * 1024  # all of them together, each once
PATH_CHARACTERS_MAX = 200

_INCLUDES = re.compile(r"\binclude\b[\"']?\s*:")
_SUFFIXES = (".yml", ".yaml")
_FROM_ROOT = "write it from the root of the repository, such as ci/test.yml"
_FOLDER = "put it in a folder such as .headway/fragments/"


class Fragment(NamedTuple):
    """A file that is included, or a sentence that says why it could not be read."""

    text: bytes = b""
    trouble: str = ""


Fragments = Mapping[str, Fragment]
"""The fragments of a pipeline by their paths."""

NO_FRAGMENTS: Fragments = {}


class WrongPath(NamedTuple):
    """Why a fragment cannot have a path, as the rest of a sentence, and what to do."""

    why: str
    hint: str


def may_include(text: str) -> bool:
    """False for a text without any ``include``."""
    return _INCLUDES.search(text) is not None


def included_paths(text: bytes) -> list[str]:
    """The paths of the fragments that a pipeline file or a fragment includes, without those that are not allowed.

    A path with ``${NAME}`` in it is not among them. Problems are found again, and reported, when the file is read.
    """
    unreported = Diagnostics("")
    decoded = text[: TEXT_BYTES_MAX + 1].decode(errors="replace").removeprefix("\ufeff")
    if len(text) > TEXT_BYTES_MAX or not may_include(decoded):
        return []
    source = Source(decoded)
    rendered = render_placeholders(source, parse_template(source, unreported))
    root = parse_yaml(rendered.text, unreported, rendered.locate, rendered.finish)
    nodes = (path_node(item) for item in include_items(root))
    paths = [node.text for node in nodes if isinstance(node, ScalarNode) and node.shell is None]
    return [path for path in dict.fromkeys(paths) if wrong_path(path) is None]


def include_items(root: Node | None) -> Iterator[MapNode]:
    """The items of ``steps`` that include a fragment."""
    steps = named_list(root.by_key["steps"]) if isinstance(root, MapNode) and "steps" in root.by_key else None
    if isinstance(steps, ListNode):
        yield from (item for item in steps.items if isinstance(item, MapNode) and "include" in item.by_key)


def path_node(item: MapNode) -> Node:
    """What stands behind ``include``."""
    return item.by_key["include"]


def wrong_path(path: str) -> WrongPath | None:
    """Why a fragment cannot have this path; None if it can."""
    if len(path) > PATH_CHARACTERS_MAX:
        return WrongPath(f"has more than {PATH_CHARACTERS_MAX} characters", "give the file a shorter name")
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or not path.isprintable():
        return WrongPath("is not a path of the repository", _FROM_ROOT)
    if any(part in {"", ".", ".."} for part in parts):
        return WrongPath("has a part that is empty, '.' or '..'", _FROM_ROOT)
    if any(part.rstrip(". ").lower() == ".git" for part in parts):
        return WrongPath("is in a folder of git itself", "a fragment is a file of the commit")
    if not path.endswith(_SUFFIXES):
        return WrongPath("does not end in .yml or .yaml", "give the file such a name")
    if choose_files([path]):
        return WrongPath("is that of a pipeline file, which runs by itself", _FOLDER)
    return None
