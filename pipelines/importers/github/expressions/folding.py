"""Conditions of GitHub Actions for one event: what the event decides is decided, the rest is left."""

from collections.abc import Mapping

from pipelines.importers.github.expressions.names import Names
from pipelines.importers.github.expressions.parser import FALSE, TRUE, Call, Lit, Not, Op, Ref, Tree

EVENT_NAMES: Mapping[str, str] = {
    "push": "push",
    "tag": "push",
    "pull_request": "pull_request",
    "pull_request_closed": "pull_request",
    "pull_request_metadata": "pull_request",
    "release": "release",
    "deployment": "deployment",
    "cron": "schedule",
    "manual": "workflow_dispatch",
}
"""The events here, and what GitHub calls them."""

_REFS = {"push": "refs/heads/", "cron": "refs/heads/", "tag": "refs/tags/", "release": "refs/tags/"}
_REF_TYPES = {"refs/tags/": "tag"}


def fold(tree: Tree, event: str, names: Names) -> Tree:
    """The condition for runs of ``event``; without an event only what is always so is decided."""
    match tree:
        case Ref():
            return _reference(tree, event, names)
        case Not(operand):
            return negated(fold(operand, event, names))
        case Op("&&" | "||" as sign, left, right):
            return both_or_either(sign, fold(left, event, names), fold(right, event, names))
        case Op(sign, left, right):
            return _comparison(sign, fold(left, event, names), fold(right, event, names), event)
        case Call(name, arguments):
            return _call(name, [fold(each, event, names) for each in arguments], event)
        case _:
            return tree


def _reference(ref: Ref, event: str, names: Names) -> Tree:
    path = ".".join(ref.path)
    if event and path == "github.event_name":
        return Lit(EVENT_NAMES[event], is_text=True)
    if event not in {"", "manual"} and path.startswith(("inputs.", "github.event.inputs.")):
        return Lit("")
    if event in _REFS and path == "github.ref_type":
        return Lit(_REF_TYPES.get(_REFS[event], "branch"), is_text=True)
    meaning = names.meaning(ref)
    return meaning if isinstance(meaning, Lit) else ref


def negated(tree: Tree) -> Tree:
    """What holds where the condition does not."""
    return (FALSE if tree.holds else TRUE) if isinstance(tree, Lit) else Not(tree)


def both_or_either(sign: str, left: Tree, right: Tree) -> Tree:
    """Two conditions with ``&&`` or ``||``; one that always or never holds is left out."""
    if isinstance(left, Lit):
        return right if left.holds == (sign == "&&") else left
    if isinstance(right, Lit) and right in {TRUE, FALSE}:
        return left if right.holds == (sign == "&&") else right
    return Op(sign, left, right)


def _is_ref(tree: Tree) -> bool:
    return tree == Ref(("github", "ref"))


def _comparison(sign: str, left: Tree, right: Tree, event: str) -> Tree:
    if sign not in {"==", "!="}:
        return Op(sign, left, right)
    same: bool | None = None
    if isinstance(left, Lit) and isinstance(right, Lit):
        same = left.text.lower() == right.text.lower()
    elif _is_ref(left) and isinstance(right, Lit) and _other_kind(right.text, event):
        same = False
    if same is None:
        return Op(sign, left, right)
    return TRUE if same == (sign == "==") else FALSE


def _other_kind(text: str, event: str) -> bool:
    """Is it a ref that no run of this event can have?"""
    if event.startswith("pull_request"):
        return not text.startswith("refs/pull/")
    return event in _REFS and not text.startswith(_REFS[event])


def _call(name: str, arguments: list[Tree], event: str) -> Tree:
    if name == "startswith" and len(arguments) == 2 and _is_ref(arguments[0]) and isinstance(arguments[1], Lit):  # noqa: PLR2004
        start = arguments[1].text
        kind = "refs/pull/" if event.startswith("pull_request") else _REFS.get(event, "")
        if kind.startswith(start) and kind:
            return TRUE
        if kind and not start.startswith(kind):
            return FALSE
    if all(isinstance(each, Lit) for each in arguments):
        return _constant(name, [each.text.lower() for each in arguments if isinstance(each, Lit)]) or Call(
            name, tuple(arguments)
        )
    return Call(name, tuple(arguments))


def _constant(name: str, texts: list[str]) -> Lit | None:
    tests = {"contains": str.__contains__, "startswith": str.startswith, "endswith": str.endswith}
    if name in tests and len(texts) == 2:  # noqa: PLR2004 - a text and its part
        return TRUE if tests[name](*texts) else FALSE
    return None
