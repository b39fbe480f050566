"""The files that are written: their names, their text, the order of their keys."""

import re
from collections.abc import Mapping, Sequence

from pipelines.context import PipelineFile
from pipelines.importers.yaml_text import Commented, Value, yaml_text

_WORKFLOW = (
    *("when", "depends_on", "labels", "concurrency", "timeout", "inputs", "matrix", "skip_clone", "clone", "workspace"),
    *("artifacts", "variables", "services", "steps"),
)
_STEP = (
    *("name", "image", "build", "push", "pull", "commands", "entrypoint", "settings", "environment", "directory"),
    *("cache", "artifacts", "reports", "ready", "when", "depends_on", "failure", "detach", "retry", "timeout"),
)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


class FileNames:
    """Names of workflows, each once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, name: str) -> str:
        """The name as a file can have it."""
        base = _NOT_IN_NAMES.sub("-", name).strip("-.") or "workflow"
        chosen, number = base, 1
        while chosen.lower() in self._given:
            number += 1
            chosen = f"{base}-{number}"
        self._given.add(chosen.lower())
        return chosen


def workflow_file(name: str, source: str, workflow: Mapping[str, Value], comments: Sequence[str]) -> PipelineFile:
    """The file of a workflow, in the folder ``.headway``."""
    ordered = _in_order(workflow, _WORKFLOW)
    for key in ("services", "steps"):
        items = ordered.get(key)
        if isinstance(items, list):
            ordered[key] = [_step(item) for item in items]
    text = yaml_text(ordered, (f"Imported from {source}.", *comments))
    return PipelineFile(f".headway/{name}.yml", text.encode())


def _step(item: Value) -> Value:
    if isinstance(item, Commented):
        return Commented(item.comments, _step(item.value))
    return _in_order(item, _STEP) if isinstance(item, dict) else item


def _in_order(value: Mapping[str, Value], order: Sequence[str]) -> dict[str, Value]:
    known = {key: value[key] for key in order if key in value}
    return known | {key: item for key, item in value.items() if key not in known}
