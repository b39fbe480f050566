"""Rewrites syntax older than Woodpecker 3.0 to the current one, with warnings, and maps of steps to lists of steps."""

from collections.abc import Callable

from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import LegacySecrets, ListNode, MapNode, Node, ScalarNode
from pipelines.trigger import Event

Entries = list[tuple[ScalarNode, Node]]


def rewrite_legacy_syntax(root: MapNode, diagnostics: Diagnostics) -> MapNode:
    """The workflow in current syntax, with ``steps``, ``services`` and ``clone`` as lists of maps with names."""
    root = _rename_pipeline(root, diagnostics)
    root = _platform_to_label(root, diagnostics)
    root = _branches_to_when(root, diagnostics)
    root = _drop_secrets(root, diagnostics)
    root = change_conditions(root, lambda condition: _list_events(condition, diagnostics))
    entries: Entries = []
    for key, value in root.entries:
        if key.text in {"steps", "services", "clone"}:
            containers = named_list(value)
            entries.append((key, each_map(containers, lambda step: _rewrite_step(step, diagnostics))))
        else:
            entries.append((key, value))
    return root.with_entries(entries)


def named_list(node: Node) -> Node:
    """The steps or services as a list of maps with names, also where they are a map from name to step."""
    if not isinstance(node, MapNode):
        return node
    return ListNode(node.place, tuple(_named(key, value) for key, value in node.entries), node.size, node.height)


def _named(key: ScalarNode, value: Node) -> Node:
    if not isinstance(value, MapNode) or "name" in value.by_key:
        return value
    return value.with_entries([(ScalarNode(key.place, "name"), ScalarNode(key.place, key.text)), *value.entries])


def each_map(node: Node, change: Callable[[MapNode], MapNode]) -> Node:
    """The list with ``change`` applied to every map in it."""
    if not isinstance(node, ListNode):
        return node
    items = tuple(change(item) if isinstance(item, MapNode) else item for item in node.items)
    return ListNode(node.place, items, node.size, node.height)


def _rename_pipeline(root: MapNode, diagnostics: Diagnostics) -> MapNode:
    if "pipeline" not in root.by_key or "steps" in root.by_key:
        return root
    diagnostics.warning(root.key_place("pipeline"), "'pipeline' is an old name", "write 'steps'")
    return root.with_entries(
        [(ScalarNode(key.place, "steps") if key.text == "pipeline" else key, value) for key, value in root.entries]
    )


def _platform_to_label(root: MapNode, diagnostics: Diagnostics) -> MapNode:
    platform = root.by_key.get("platform")
    if platform is None:
        return root
    key = ScalarNode(root.key_place("platform"), "platform")
    others = [entry for entry in root.entries if entry[0].text != "platform"]
    if not isinstance(platform, ScalarNode):
        diagnostics.warning(key.place, "'platform' as a map has no effect", "write labels: {platform: linux/arm64}")
        return root.with_entries(others)
    diagnostics.warning(key.place, "'platform' is an old key", f"write labels: {{platform: {platform.text}}}")
    labels = root.by_key.get("labels")
    given = list(labels.entries) if isinstance(labels, MapNode) else []
    kept = [entry for entry in others if entry[0].text != "labels"]
    merged = MapNode(platform.place, (*given, (key, platform)))
    return root.with_entries([*kept, (ScalarNode(key.place, "labels"), merged)])


def _branches_to_when(root: MapNode, diagnostics: Diagnostics) -> MapNode:
    branches = root.by_key.get("branches")
    if branches is None:
        return root
    place = root.key_place("branches")
    diagnostics.warning(place, "'branches' is an old key", "write when: {branch: ...}")
    when = root.by_key.get("when")
    branch = (ScalarNode(place, "branch"), branches)
    conditions: Node = MapNode(place, (branch,))
    if isinstance(when, ListNode):
        conditions = each_map(when, lambda condition: _with_branch(condition, branch))
    elif isinstance(when, MapNode):
        conditions = _with_branch(when, branch)
    others = [entry for entry in root.entries if entry[0].text not in {"branches", "when"}]
    return root.with_entries([*others, (ScalarNode(place, "when"), conditions)])


def _with_branch(condition: MapNode, branch: tuple[ScalarNode, Node]) -> MapNode:
    return condition if "branch" in condition.by_key else condition.with_entries([*condition.entries, branch])


def _drop_secrets(root: MapNode, diagnostics: Diagnostics) -> MapNode:
    if "secrets" not in root.by_key:
        return root
    diagnostics.warning(root.key_place("secrets"), "'secrets' of a file has no effect", "name them with from_secret")
    return root.with_entries([entry for entry in root.entries if entry[0].text != "secrets"])


def change_conditions(holder: MapNode, change: Callable[[MapNode], MapNode]) -> MapNode:
    """The workflow or step with ``change`` applied to every condition of its ``when``."""
    when = holder.by_key.get("when")
    changed = change(when) if isinstance(when, MapNode) else each_map(when, change) if when else None
    return holder.with_entries(
        [(key, changed if changed and key.text == "when" else value) for key, value in holder.entries]
    )


def _list_events(condition: MapNode, diagnostics: Diagnostics) -> MapNode:
    """Rewrites ``event: {include: ..., exclude: ...}`` to a list of events."""
    event = condition.by_key.get("event")
    if not isinstance(event, MapNode) or not event.by_key.keys() <= {"include", "exclude"}:
        return condition
    included, excluded = (_scalars(event.by_key.get(key)) for key in ("include", "exclude"))
    given = included or [ScalarNode(event.place, name) for name in Event]
    names = {scalar.text for scalar in excluded}
    events = tuple(scalar for scalar in given if scalar.text not in names)
    if not events:
        return condition
    listed = ", ".join(scalar.text for scalar in events)
    diagnostics.warning(event.place, "'event' with include and exclude is an old spelling", f"write event: [{listed}]")
    found = ListNode(event.place, events, event.size, event.height)
    return condition.with_entries([(key, found if key.text == "event" else value) for key, value in condition.entries])


def _scalars(node: Node | None) -> list[ScalarNode]:
    items = node.items if isinstance(node, ListNode) else (node,)
    return [item for item in items if isinstance(item, ScalarNode) and not item.is_null]


def _rewrite_step(step: MapNode, diagnostics: Diagnostics) -> MapNode:
    step = change_conditions(step, lambda condition: _list_events(condition, diagnostics))
    if "group" in step.by_key:
        diagnostics.warning(
            step.key_place("group"), "'group' is an old key", "write depends_on to run steps side by side"
        )
    if isinstance(step.by_key.get("environment"), ListNode):
        place = step.key_place("environment")
        diagnostics.warning(place, "'environment' as a list is an old spelling", 'write a map: NAME: "value"')
    return _secrets_to_environment(step, diagnostics)


def _secrets_to_environment(step: MapNode, diagnostics: Diagnostics) -> MapNode:
    secrets = step.by_key.get("secrets")
    files = tuple(item for item in secrets.items if _is_file(item)) if isinstance(secrets, ListNode) else ()
    if not isinstance(secrets, ListNode) or (files and len(files) == len(secrets.items)):
        return step
    place = step.key_place("secrets")
    hint = "write environment: {NAME: {from_secret: name}}"
    if not step.by_key.keys() & {"commands", "environment", "entrypoint"}:  # a plugin, until it has an environment
        hint = f"{hint}; a plugin with it gets no DRONE_* variables, so where it can, use settings"
    diagnostics.warning(place, "'secrets' is an old key", hint)
    environment = _environment_entries(step.by_key.get("environment"))
    names = {key.text for key, _ in environment}
    for item in secrets.items:
        if item in files:
            continue
        entry = _secret_entry(item)
        if entry is None:
            diagnostics.error(item.place, "an item of 'secrets' is a name, or {source: name, target: NAME}")
        elif entry[0].text not in names:
            environment.append(entry)
    others = [entry for entry in step.entries if entry[0].text not in {"secrets", "environment"}]
    if files:
        others.append((ScalarNode(place, "secrets"), ListNode(secrets.place, files)))
    kind = MapNode if "environment" in step.by_key else LegacySecrets
    return step.with_entries([*others, (ScalarNode(place, "environment"), kind(place, tuple(environment)))])


def _is_file(item: Node) -> bool:
    """Is it a secret as a file, and no old spelling?"""
    return isinstance(item, MapNode) and "file" in item.by_key


def _environment_entries(node: Node | None) -> Entries:
    if isinstance(node, MapNode):
        return list(node.entries)
    items = node.items if isinstance(node, ListNode) else ()
    pairs = [(item.place, item.text.partition("=")) for item in items if isinstance(item, ScalarNode)]
    return [(ScalarNode(place, name), ScalarNode(place, value)) for place, (name, _, value) in pairs]


def _secret_entry(item: Node) -> tuple[ScalarNode, Node] | None:
    source = target = item
    if isinstance(item, MapNode):
        source, target = item.by_key.get("source", item), item.by_key.get("target", item.by_key.get("source", item))
    if not isinstance(source, ScalarNode) or not isinstance(target, ScalarNode):
        return None
    reference = MapNode(item.place, ((ScalarNode(item.place, "from_secret"), ScalarNode(item.place, source.text)),))
    return ScalarNode(item.place, target.text.upper()), reference
