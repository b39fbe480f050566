"""Conditions of a caller and of what it calls as one."""

from collections.abc import Iterable

from pipelines.importers.github.expressions import statuses
from pipelines.importers.github.expressions.names import Names
from pipelines.importers.github.expressions.parser import TRUE, Op, Tree, UnreadableError, parse_condition
from pipelines.importers.github.expressions.printer import tokens

_SUCCESS = "success()"


def both(caller: str, own: str) -> str:
    """The condition that holds where both do, for the statuses of both. What asks for none has those of its caller."""
    if asks_for_status(own) and not asks_for_status(caller):
        caller = joined(_SUCCESS, caller)
    return joined(caller, own)


def joined(caller: str, own: str) -> str:
    """The condition that holds where both do. An empty text always holds."""
    if not caller or not own:
        return caller or own
    try:
        return _printed(Op("&&", parse_condition(caller), parse_condition(own)))
    except UnreadableError:
        return f"({caller}) && ({own})"  # which the conversion reports


def asks_for_status(text: str) -> bool:
    """Has it ``always()``, ``failure()`` or the like?"""
    try:
        return statuses.asks_for_status(parse_condition(text or "true"))
    except UnreadableError:
        return False


def runs_after_failure(text: str) -> bool:
    """May it run after another status than success?"""
    try:
        found = statuses.by_status(parse_condition(text or "true"), Names(after_failure=False))
    except UnreadableError:
        return False
    return any(each.statuses != ("success",) for each in found)


def stripped(text: str, needs: Iterable[str] = ()) -> str:
    """The condition without what asks for a status, where it is the same after each for which it holds."""
    try:
        tree = parse_condition(text or "true")
        found = statuses.by_status(tree, Names(needs=frozenset(needs)))
    except UnreadableError:
        return text
    rest = found[0].tree if len(found) == 1 else TRUE
    if rest == tree:
        return text
    return "" if rest == TRUE else _printed(rest)


def _printed(tree: Tree) -> str:
    return "".join(tokens(tree))
