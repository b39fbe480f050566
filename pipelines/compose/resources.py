"""The limits of a Compose service, as ``resources`` of a step."""

from collections.abc import Mapping

from pipelines.compose.report import Report
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

_ALONE = "it is not read here: remove it"
_LIMITS = {"memory": "memory", "cpus": "cpus", "pids": "pids"}
_OWN = {"mem_limit": "memory", "cpus": "cpus", "pids_limit": "pids"}


def read_resources(fields: Mapping[str, Node], place: Place, label: str, report: Report) -> MapNode | None:
    """What a service may use at most. Whether the server allows it is found when the job is planned."""
    found = {ours: fields[theirs] for theirs, ours in _OWN.items() if theirs in fields}
    if "deploy" in fields:
        what = f"'deploy' of {label}"
        deploy = report.only(fields["deploy"], ("replicas", "resources"), what, _ALONE)
        if "replicas" in deploy and report.text(deploy["replicas"], f"'replicas' in {what}") != "1":
            report.error(deploy["replicas"].place, f"{label} runs once here", "remove 'replicas'")
        if "resources" in deploy:
            resources = report.only(deploy["resources"], ("limits",), what, _ALONE)
            if "limits" in resources:
                found |= report.only(resources["limits"], tuple(_LIMITS), what, _ALONE)
    texts = {
        key: ScalarNode(node.place, report.text(node, f"'{key}' of {label}"), plain=True) for key, node in found.items()
    }
    if not texts:
        return None
    return MapNode(place, tuple((ScalarNode(node.place, key), node) for key, node in texts.items()))
