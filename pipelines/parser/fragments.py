"""Fragments: the files that pipeline files include, and Compose files. Which are wanted, and what was read."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipelines.compose.env_files import defaults_file, env_files
from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import render_placeholders
from pipelines.parser.fragment_addresses import Address, address_of, is_written_out, wrong_address, wrong_file
from pipelines.parser.legacy_syntax import named_list
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.syntax.yaml import TEXT_BYTES_MAX, parse_yaml

FRAGMENTS_COUNT_MAX = 50  # different files of one pipeline
FRAGMENTS_BYTES_MAX = 2 * 1024 * 1024  # all of them together, each once

_INCLUDES = re.compile(r"\b(?:include|compose|env_file)\b[\"']?\s*:")


class Fragment(NamedTuple):
    """A file that is included, or a sentence that says why it could not be read. ``absent``: the commit has no such."""

    text: bytes = b""
    trouble: str = ""
    absent: bool = False


Fragments = Mapping[Address, Fragment]
"""The fragments of a pipeline by where they are."""

NO_FRAGMENTS: Fragments = {}


def may_include(text: str) -> bool:
    """False for a text without any ``include`` or ``compose``."""
    return _INCLUDES.search(text) is not None


def included(text: bytes, inside: Address | None = None) -> list[Address]:
    """The addresses of the fragments that a pipeline file includes, or the fragment ``inside``; only allowed ones.

    A Compose file, its ``.env``, and what it names in ``env_file``, are always of the pipeline file's repository.
    One with ``${NAME}`` in it is not among them. Problems are found again, and reported, when the file is read.
    """
    unreported = Diagnostics("")
    decoded = text[: TEXT_BYTES_MAX + 1].decode(errors="replace").removeprefix("\ufeff")
    if len(text) > TEXT_BYTES_MAX or not may_include(decoded):
        return []
    source = Source(decoded)
    rendered = render_placeholders(source, parse_template(source, unreported))
    root = parse_yaml(rendered.text, unreported, rendered.locate, rendered.finish)
    nodes = (item.by_key["include"] for item in include_items(root))
    found = [address_of(node, inside) for node in nodes if is_written_out(node)]
    compose_files = [path for item in compose_items(root) if (path := _compose_file(item.by_key["compose"]))]
    found += [Address(path) for path in compose_files]
    allowed = [each for each in found if each is not None and wrong_address(each) is None]
    allowed += [Address(defaults_file(path)) for path in compose_files if Address(path) in allowed]
    if inside is not None and not inside.repo:
        allowed += [Address(path) for path in _env_files(root, inside.path) if wrong_file(path) is None]
    return list(dict.fromkeys(allowed))


def include_items(root: Node | None) -> Iterator[MapNode]:
    """The items of ``steps`` that include a fragment."""
    steps = named_list(root.by_key["steps"]) if isinstance(root, MapNode) and "steps" in root.by_key else None
    if isinstance(steps, ListNode):
        yield from (item for item in steps.items if isinstance(item, MapNode) and "include" in item.by_key)


def compose_items(root: Node | None, group: str = "steps") -> Iterator[MapNode]:
    """The items of ``steps`` that run a Compose file."""
    steps = named_list(root.by_key[group]) if isinstance(root, MapNode) and group in root.by_key else None
    if isinstance(steps, ListNode):
        yield from (item for item in steps.items if isinstance(item, MapNode) and is_compose_item(item))


def is_compose_item(item: Node) -> bool:
    """Has the step a Compose file?"""
    return isinstance(item, MapNode) and "compose" in item.by_key


def _env_files(root: Node | None, path: str) -> Iterator[str]:
    """What the Compose file at ``path`` names in ``env_file``."""
    services = root.by_key.get("services") if isinstance(root, MapNode) else None
    for _, service in services.entries if isinstance(services, MapNode) else ():
        if isinstance(service, MapNode) and "env_file" in service.by_key:
            yield from (file.path for file in env_files(service.by_key["env_file"], path.rpartition("/")[0]))


def _compose_file(node: Node) -> str:
    """The path of a Compose file, if it is written out."""
    file = node.by_key.get("file") if isinstance(node, MapNode) else node
    return file.text if isinstance(file, ScalarNode) and file.shell is None else ""
