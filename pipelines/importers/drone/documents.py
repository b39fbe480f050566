"""A file of Drone: each pipeline in it is a workflow."""

import re

from pipelines.context import PipelineFile
from pipelines.importers.drone.pipeline import has_trigger, needs_of, needs_of_checkout, workflow_of
from pipelines.importers.keys import text_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.workflow_files import FileNames, workflow_file
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.nodes import MapNode, Node
from pipelines.syntax.yaml import parse_documents

PIPELINES_COUNT_MAX = 256
"""Of a file: as many workflows as a pipeline may have."""
_MARKS = re.compile(r"^(?:kind:|pipeline:)", re.MULTILINE)


def import_drone(path: str, text: str, remarks: Remarks) -> list[PipelineFile]:
    """The workflows of one file; none where ``remarks`` says why."""
    documents = [each for each in parse_documents(text, remarks.diagnostics) if not _empty(each)]
    if remarks.diagnostics.failed:
        return []
    pipelines = [each for each in documents if isinstance(each, MapNode) and _is_pipeline(each, remarks)]
    if not pipelines:
        if not remarks.diagnostics.failed:
            place = documents[0].place if documents else None
            remarks.no_pipeline(place, "this is no file of Drone: it has no 'kind: pipeline', and no map 'pipeline'")
        return []
    if len(pipelines) > PIPELINES_COUNT_MAX:
        message = f"this file has {len(pipelines):,} pipelines, and at most {PIPELINES_COUNT_MAX} are read"
        remarks.error(pipelines[PIPELINES_COUNT_MAX].place, message, "remove some")
        return []
    names, checkout = FileNames(), needs_of_checkout(text)
    of_document = {id(each): names.of(_name(each)) for each in pipelines}
    by_name = {_name(each): each for each in reversed(pipelines)}
    files: list[PipelineFile] = []
    for each in pipelines:
        with remarks.comments() as comments:
            made = workflow_of(each, remarks, checkout)
            needs = _needs(each, by_name, of_document, remarks)
        ordered = {"when": made.pop("when", {}), "depends_on": needs, **made}
        workflow = {key: value for key, value in ordered.items() if value not in ([], {})}
        files.append(workflow_file(of_document[id(each)], path, workflow, comments))
    return files


def _empty(node: Node) -> bool:
    return not isinstance(node, MapNode) and not text_of(node) and not getattr(node, "items", ())


def _name(node: MapNode) -> str:
    return text_of(node.by_key.get("name")) or "default"


def _is_pipeline(node: MapNode, remarks: Remarks) -> bool:
    kind = text_of(node.by_key.get("kind"))
    if kind == "pipeline" or (not kind and node.by_key.keys() & {"pipeline", "steps"}):
        return True
    place = node.key_place("kind")
    if kind == "secret":
        name = _name(node)
        remarks.warning(place, f"the secret '{name}' is kept by the server", f"store it: headway secret set {name}")
    elif kind == "signature":
        remarks.note(place, "a signature is not needed here")
    elif kind:
        remarks.error(place, f"a document of kind '{kind}' is no pipeline; it is left out")
    return False


def _needs(node: MapNode, by_name: dict[str, MapNode], names: dict[int, str], remarks: Remarks) -> list[Value]:
    found: list[Value] = []
    for name in needs_of(node):
        other = by_name.get(name)
        if other is None:
            place = node.key_place("depends_on")
            remarks.warning(place, f"there is no pipeline '{name}' to wait for; it is left out")
            continue
        ours = Raw(names[id(other)])
        found.append({"name": ours, "optional": True} if has_trigger(other) else ours)
    return found
