"""Writes trees of expressions as the text that they are parsed from."""

import re
from collections.abc import Iterator

from pipelines.importers.github.expressions.parser import Call, Lit, Not, Op, Ref, Tree

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*|\*")
_BINDS = {"||": 0, "&&": 1}
_COMPARISON, _NEGATION, _VALUE = 2, 3, 4


def expression(tree: Tree) -> str:
    """The tree as an expression in its braces."""
    return f"${{{{ {''.join(tokens(tree))} }}}}"


def tokens(tree: Tree, binds: int = 0) -> Iterator[str]:
    """The tree as pieces of text: a reader may stop before they are too many.

    It is in parentheses if its operator binds less than ``binds``.
    """
    if _strength(tree) < binds:
        yield "("
        yield from tokens(tree)
        yield ")"
        return
    match tree:
        case Lit(text, is_text):
            yield _quoted(text) if is_text else text or "null"
        case Ref(path):
            yield path[0]
            yield from (f".{each}" if _NAME.fullmatch(each) else f"[{_quoted(each)}]" for each in path[1:])
        case Call():
            yield from _call(tree)
        case Not(operand):
            yield "!"
            yield from tokens(operand, _VALUE)
        case _:
            strength = _strength(tree)
            yield from tokens(tree.left, strength + (strength == _COMPARISON))
            yield f" {tree.sign} "
            yield from tokens(tree.right, strength + 1)


def _call(tree: Call) -> Iterator[str]:
    yield f"{tree.name}("
    for number, argument in enumerate(tree.arguments):
        if number:
            yield ", "
        yield from tokens(argument)
    yield ")"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _strength(tree: Tree) -> int:
    match tree:
        case Op(sign):
            return _BINDS.get(sign, _COMPARISON)
        case Not():
            return _NEGATION
        case _:
            return _VALUE
