"""``build`` of a Compose service, as the keys of a build step. Its paths stay in the checkout."""

from collections.abc import Mapping
from posixpath import join, normpath

from pipelines.compose.report import Report, shown
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

BUILD_KEYS = ("context", "dockerfile", "dockerfile_inline", "target", "args", "no_cache", "pull")
_HINT = "it is not read here; write this build as a step, and name it: compose: {images: {SERVICE: {build: STEP}}}"
_INSIDE = "name a folder of the repository"


def read_build(
    node: Node, label: str, folder: str, environment: Mapping[str, Node], report: Report
) -> MapNode:  # fmt: skip
    """The keys of the build step. ``folder`` is that of the Compose file."""
    what = f"'build' of {label}"
    fields = {"context": node} if isinstance(node, ScalarNode) else report.only(node, BUILD_KEYS, what, _HINT)
    context_node = fields.get("context", ScalarNode(node.place, "."))
    context = _context(context_node, what, folder, report)
    entries = [_entry("context", context_node, context)]
    for key in ("dockerfile", "dockerfile_inline", "target"):
        if key in fields and (text := report.text(fields[key], f"'{key}' in {what}")):
            entries.append(_entry(key, fields[key], text))
            if key == "dockerfile" and not _is_inside(join(context, text)):
                report.error(fields[key].place, f"the Dockerfile of {label} is not in the repository", _INSIDE)
    for key in ("no_cache", "pull"):
        if key in fields and report.flag(fields[key], f"'{key}' in {what}"):
            entries += [_entry(key, fields[key], "true")]
    if "args" in fields:
        place = fields["args"].place
        entries.append((ScalarNode(place, "args"), _arguments(fields["args"], what, environment, report)))
    return MapNode(node.place, tuple(entries))


def _entry(key: str, node: Node, text: str) -> tuple[ScalarNode, Node]:
    return ScalarNode(node.place, key), ScalarNode(node.place, text)


def _context(node: Node, what: str, folder: str, report: Report) -> str:
    """The context from the root of the repository."""
    text = report.text(node, f"'context' in {what}")
    if ":" in text or text.endswith(".git"):
        report.error(node.place, f"{what} takes its context from '{shown(text)}', which is not a folder", _INSIDE)
        return "."
    if not _is_inside(join(folder, text)):
        report.error(node.place, f"the context in {what} is not in the repository: '{shown(text)}'", _INSIDE)
        return "."
    return normpath(join(folder, text))


def _is_inside(path: str) -> bool:
    found = normpath(path)
    return not found.startswith("/") and found != ".." and not found.startswith("../")


def _arguments(node: Node, what: str, environment: Mapping[str, Node], report: Report) -> MapNode:
    """Build arguments; a name alone has the value of the step, unless that is a secret: they are kept in the image."""
    entries: list[tuple[ScalarNode, Node]] = []
    for key, value in report.pairs(node, f"'args' in {what}"):
        given: Node | None = value if value is not None else environment.get(key.text)
        if not key.text:
            report.error(key.place, f"an argument in {what} has no name", "write NAME: value")
        elif isinstance(given, ScalarNode):
            entries.append((key, ScalarNode(given.place, given.text)))
        elif given is not None:
            hint = "write this build as a step with 'secrets', and name it: compose: {images: {SERVICE: {build: STEP}}}"
            report.error(
                key.place, f"the argument {shown(key.text)} in {what} is a secret, and would be kept in the image", hint
            )
    return MapNode(node.place, tuple(entries))
