"""Conditions of a caller and of what it calls as one."""

from pipelines.importers.github.expressions.folding import without_status
from pipelines.importers.github.expressions.parser import TRUE, Op, Tree, UnreadableError, parse_condition
from pipelines.importers.github.expressions.printer import tokens


def both(caller: str, own: str) -> str:
    """The condition that holds where both do. An empty text always holds."""
    if not caller or not own:
        return caller or own
    try:
        return _printed(Op("&&", parse_condition(caller), parse_condition(own)))
    except UnreadableError:
        return f"({caller}) && ({own})"  # which the conversion reports


def asks_for_status(text: str) -> bool:
    """Has it ``always()``, ``failure()`` or the like?"""
    return bool(text) and stripped(text) != text


def stripped(text: str) -> str:
    """The condition without the functions that ask for a status."""
    try:
        tree = parse_condition(text or "true")
        rest = without_status(tree).tree
    except UnreadableError:
        return text
    if rest == tree:
        return text
    return "" if rest == TRUE else _printed(rest)


def _printed(tree: Tree) -> str:
    return "".join(tokens(tree))
