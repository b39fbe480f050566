"""Lints a file alone that is no workflow: in one that does nothing but include it, with a sample of each input.

A Compose file is linted as what a step with ``compose`` runs.
"""

import json
import re
from collections.abc import Mapping

from pipelines.compose.keys import IGNORED_KEYS, READ_KEYS, REFUSED_KEYS
from pipelines.context import PipelineFile
from pipelines.inputs import DeclaredInput
from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import render_placeholders
from pipelines.linter.linter import lint_files
from pipelines.model.fragment import FRAGMENT_KEYS
from pipelines.model.workflow import Service
from pipelines.parser.fragment_inputs import declared_by
from pipelines.parser.fragments import Fragments
from pipelines.problem import Level, Problem
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import MapNode, Node
from pipelines.syntax.yaml import TEXT_BYTES_MAX, parse_yaml

_COMPOSE_KEYS = {*READ_KEYS, *REFUSED_KEYS, *IGNORED_KEYS} - {*Service.model_fields}
_COMPOSE_NAME = re.compile(r"(?:^|/)(?:docker-)?compose(?:[.-][^/]*)?\.ya?ml$")
_SAMPLES: Mapping[str, str] = {"boolean": "true", "number": "1", "string": "sample"}
_ELSEWHERE = "is not a step here"
_NOT_SET = re.compile(r"^the variable \S+ is (?:not set at the Compose step|missing)")
_STEP = '  - {name: headway-lint, image: "sample:1", commands: "true"}\n'


def looks_like_fragment(path: str, text: bytes) -> bool:
    """Could no workflow look like this? True for a file with inputs or without steps, and no key of a workflow."""
    root = _root(text)
    if not isinstance(root, MapNode):
        return False
    if _is_compose_file(path, root):
        return True
    keys = root.by_key.keys()
    return keys <= {*FRAGMENT_KEYS} and ("inputs" in keys or ("services" in keys and "steps" not in keys))


def includer_of(path: str, text: bytes, place: str) -> PipelineFile:
    """A workflow at ``place`` that includes the fragment ``path``, which has this text."""
    root = _root(text)
    if _is_compose_file(path, root):
        return PipelineFile(place, f"steps: [{{compose: {json.dumps(path)}, detach: true}}]\n".encode())
    declared = declared_by(root, Diagnostics("")) if isinstance(root, MapNode) else ()
    given = {each.name: _sample(each) for each in declared or () if each.default is None}
    more = f"\n    with: {json.dumps(given)}" if given else ""
    steps = "" if isinstance(root, MapNode) and "steps" in root.by_key else _STEP
    return PipelineFile(place, f"steps:\n  - include: {json.dumps(path)}{more}\n{steps}".encode())


def lint_fragment(path: str, includer: PipelineFile, fragments: Fragments) -> list[Problem]:
    """The problems of the fragment ``path``, and of those that it includes; all of them are among ``fragments``."""
    found = lint_files([includer], fragments=fragments)
    kept = [each for each in found if each.file != includer.path or each.level is Level.ERROR]
    names = {address.name for address in fragments}
    # Which variables a Compose step gives is known where it stands.
    kept = [each for each in kept if not _NOT_SET.match(each.message)]
    return [_of_fragment(each, path, includer.path, names) for each in kept]


def _is_compose_file(path: str, root: Node | None) -> bool:
    """Has it the name of a Compose file, or services with keys that no service of a workflow has?"""
    services = root.by_key.get("services") if isinstance(root, MapNode) else None
    if not isinstance(root, MapNode) or not isinstance(services, MapNode) or "steps" in root.by_key:
        return False
    if _COMPOSE_NAME.search(path):
        return True
    keys = {key for _, service in services.entries if isinstance(service, MapNode) for key in service.by_key}
    return bool(keys & _COMPOSE_KEYS or root.by_key.keys() & {"networks", "volumes"})


def _of_fragment(problem: Problem, path: str, includer: str, names: set[str]) -> Problem:
    """The problem as it is where nothing is known of the file that includes the fragment."""
    if problem.file not in names:  # of the include itself, which stands in no file
        return problem._replace(file=path, line=1, column=1)
    place = rf"{re.escape(includer)}:\d+:\d+"
    message = re.sub(rf" \(included at {place}\)$|, {place}(?=\)$)", "", problem.message)
    if _ELSEWHERE in message and problem.level is Level.ERROR:
        hint = "a file that includes this fragment has to have it"
        return problem._replace(message=message, hint=hint, level=Level.HINT)
    return problem._replace(message=message)


def _root(text: bytes) -> Node | None:
    """What the file is before its variables have values; problems are found again, and reported, when it is linted."""
    unreported = Diagnostics("")
    if len(text) > TEXT_BYTES_MAX:
        return None
    source = Source(text.decode(errors="replace").removeprefix("\ufeff"))
    rendered = render_placeholders(source, parse_template(source, unreported))
    return parse_yaml(rendered.text, unreported, rendered.locate, rendered.finish)


def _sample(declared: DeclaredInput) -> str:
    return declared.choices[0] if declared.choices else _SAMPLES.get(declared.type, "sample")
