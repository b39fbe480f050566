"""The order of the steps of a Drone pipeline, and the list of them."""

from collections.abc import Sequence

from pipelines.importers.drone.caches import folders_of, is_cache_plugin, is_clone
from pipelines.importers.drone.containers import Scope, container
from pipelines.importers.keys import entries_of, items_of, text_of, texts_of
from pipelines.importers.yaml_text import Commented, Raw, Value
from pipelines.syntax.nodes import MapNode, Node

Named = list[tuple[str, Node]]


def named(node: Node | None) -> Named:
    """Steps or services with their names: a list, or in version 0.8 a map."""
    if isinstance(node, MapNode):
        return [(key.text, value) for key, value in entries_of(node)]
    return [
        ((text_of(item.by_key.get("name")) if isinstance(item, MapNode) else "") or f"step-{number}", item)
        for number, item in enumerate(items_of(node))
    ]


def steps_of(steps: Named, scope: Scope) -> list[Value]:
    """The steps without those that only keep a cache, or make the checkout."""
    maps = {name: step for name, step in steps if isinstance(step, MapNode)}
    plugins = {name: step for name, step in maps.items() if is_cache_plugin(step) or is_clone(step)}
    for name, plugin in plugins.items():
        if is_clone(plugin):
            scope.remarks.note(plugin.place, f"step '{name}' makes the checkout: here 'clone' does")
            continue
        folders = folders_of(plugin)
        scope.cache.extend(folder for folder in folders if folder not in scope.cache)
        text = f"step '{name}' keeps {', '.join(folders) or 'nothing'}: here 'cache' of the steps with commands does"
        scope.remarks.note(plugin.place, text)
    kept = [(name, step) for name, step in steps if name not in plugins]
    needs = _needs(steps, plugins)
    optional = {name for name, step in kept if isinstance(step, MapNode) and "when" in step.by_key}
    found: list[Value] = []
    for name, step in kept:
        made = container(step, name, scope)
        if isinstance(step, MapNode):
            _take_order(made, needs.get(name), optional)
        found.append(made)
    return found


def _needs(steps: Named, plugins: dict[str, MapNode]) -> dict[str, list[str]]:
    """What each step waits for, where not all run one after the other."""
    written = {
        name: texts_of(step.by_key["depends_on"])
        for name, step in steps
        if isinstance(step, MapNode) and "depends_on" in step.by_key
    }
    if not written:
        return _groups([(name, step) for name, step in steps if name not in plugins])
    return {name: _without(needs, plugins, written) for name, needs in written.items()}


def _without(needs: Sequence[str], plugins: dict[str, MapNode], written: dict[str, list[str]]) -> list[str]:
    """The needs; in place of a step that is left out, what that one waits for. ``clone`` comes before every step."""
    found: dict[str, None] = {}
    waiting, seen = list(reversed(needs)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in plugins and name not in seen:
            seen.add(name)
            waiting += reversed(written.get(name, []))
        elif name not in plugins and name != "clone":
            found[name] = None
    return list(found)


def _groups(steps: Named) -> dict[str, list[str]]:
    """In version 0.8, steps of one ``group`` that follow each other run side by side."""
    groups = [text_of(step.by_key.get("group")) if isinstance(step, MapNode) else "" for _, step in steps]
    if not any(groups):
        return {}
    needs: dict[str, list[str]] = {}
    before: list[str] = []
    now: list[str] = []
    for number, (name, _) in enumerate(steps):
        if now and not (groups[number] and groups[number] == groups[number - 1]):
            before, now = now, []
        needs[name] = before
        now.append(name)
    return needs


def _take_order(made: Value, needs: list[str] | None, optional: set[str]) -> None:
    step = made.value if isinstance(made, Commented) else made
    if needs is not None and isinstance(step, dict):
        names = ((Raw(each), each in optional) for each in needs)
        step["depends_on"] = [{"name": name, "optional": True} if may_miss else name for name, may_miss in names]
