"""Puts what a caller gives in place of names such as ``inputs.level``, within a limit of characters."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipelines.importers.github.expressions.parser import (
    Call,
    Lit,
    Not,
    Op,
    Ref,
    Tree,
    UnreadableError,
    parse,
    parse_condition,
    parts_of,
    split,
)
from pipelines.importers.github.expressions.printer import tokens
from pipelines.importers.keys import items_of
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.syntax.yaml import parse_yaml

EXPANDED_CHARACTERS_MAX = 2 * 1024 * 1024
"""How many characters the called files of one imported file may have together, with their values put in."""


NODE_CHARACTERS = 40
"""How many characters a value, a list or a map counts for, besides its text."""


class TooLargeError(Exception):
    """The limit is reached."""


class Budget:
    """The characters that may still be written."""

    def __init__(self, characters_max: int = EXPANDED_CHARACTERS_MAX) -> None:
        self._left = characters_max

    def spend(self, characters: int) -> None:
        """Takes characters from the budget. Raises TooLargeError if there are not so many."""
        self._left -= characters
        if self._left < 0:
            raise TooLargeError


def characters_of(node: Node | None) -> int:
    """What a node counts for."""
    match node:
        case None:
            return 0
        case ScalarNode():
            return len(node.text) + NODE_CHARACTERS
        case ListNode():
            return NODE_CHARACTERS + sum(characters_of(item) for item in node.items)
        case _:
            return NODE_CHARACTERS + sum(len(key.text) + characters_of(value) for key, value in node.entries)


class FreeNames:
    """Gives names that are not taken yet: a taken one gets a number."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def of(self, name: str) -> str:
        """The name, or the first with a number that is free."""
        found, number = name, self._last.get(name, 1)
        while found in self._taken:
            number += 1
            found = f"{name}-{number}"
        self._taken.add(found)
        self._last[name] = number
        return found


class Value(NamedTuple):
    """What a caller gives: a text, perhaps with expressions. ``is_text`` is False for numbers, true and false."""

    text: str
    is_text: bool = True

    @property
    def mistake(self) -> str:
        """What in it cannot be read; empty if there is nothing."""
        try:
            split(self.text)
        except UnreadableError as error:
            return str(error)
        return ""

    @property
    def tree(self) -> Tree:
        """The value as a part of an expression. Raises UnreadableError."""
        parts = split(self.text)
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0]
        if all(isinstance(part, str) for part in parts):
            return Lit(self.text, is_text=self.is_text)
        trees = [part for part in parts if not isinstance(part, str)]
        holes = iter(range(len(trees)))
        texts = [
            part.replace("{", "{{").replace("}", "}}") if isinstance(part, str) else f"{{{next(holes)}}}"
            for part in parts
        ]
        return Call("format", (Lit("".join(texts), is_text=True), *trees))


Replace = Callable[[Ref], Value | None]
"""The value that stands for a name; None for one that stays."""


class Replacer:
    """Replaces names in the nodes of a file."""

    def __init__(self, replace: Replace, budget: Budget) -> None:
        self._replace, self._budget = replace, budget

    def text(self, text: str) -> str:
        """A text with expressions in braces. Raises TooLargeError."""
        found: list[str] = []
        for part, is_expression in parts_of(text):
            made = self._expression(part) if is_expression else part
            self._budget.spend(len(made))
            found.append(made)
        return "".join(found)

    def condition(self, text: str) -> str:
        """A text of ``if``, which is an expression without braces. Raises TooLargeError."""
        try:
            tree = parse_condition(text)
            new = self._tree(tree)
        except UnreadableError:
            return text
        return text if new == tree else self._printed(new)

    def _expression(self, text: str) -> str:
        try:
            tree = parse(text)
            if isinstance(tree, Ref) and (value := self._replace(tree)) is not None:
                return value.text
            new = self._tree(tree)
        except UnreadableError:
            return f"${{{{{text}}}}}"
        return f"${{{{{text}}}}}" if new == tree else f"${{{{ {self._printed(new)} }}}}"

    def _printed(self, tree: Tree) -> str:
        found: list[str] = []
        for token in tokens(tree):
            self._budget.spend(len(token))
            found.append(token)
        return "".join(found)

    def _tree(self, tree: Tree) -> Tree:
        match tree:
            case Ref():
                value = self._replace(tree)
                return tree if value is None else value.tree
            case Not(operand):
                return Not(self._tree(operand))
            case Op(sign, left, right):
                return Op(sign, self._tree(left), self._tree(right))
            case Call(name, arguments):
                return Call(name, tuple(self._tree(each) for each in arguments))
            case _:
                return tree

    def node(self, node: Node) -> Node:
        """A node with all texts in it. Raises TooLargeError."""
        self._budget.spend(NODE_CHARACTERS)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, ListNode):
            return ListNode(node.place, tuple(self.node(item) for item in node.items), node.size, node.height)
        return node.with_entries([(key, self.node(value)) for key, value in node.entries])

    def _scalar(self, node: ScalarNode) -> Node:
        text = self.text(node.text)
        if text == node.text:
            return node
        return _from_json(text, node) or ScalarNode(node.place, text, plain=not text)

    def step(self, node: Node) -> Node:
        """A step: its ``if`` needs no braces. Raises TooLargeError."""
        if not isinstance(node, MapNode):
            return self.node(node)
        return node.with_entries([(key, self._with_if(key.text, value)) for key, value in node.entries])

    def job(self, node: Node) -> Node:
        """A job with its steps. Raises TooLargeError."""
        if not isinstance(node, MapNode):
            return self.node(node)
        return node.with_entries([(key, self._of_job(key.text, value)) for key, value in node.entries])

    def _of_job(self, key: str, value: Node) -> Node:
        if key != "steps":
            return self._with_if(key, value)
        return ListNode(value.place, tuple(self.step(each) for each in items_of(value)))

    def _with_if(self, key: str, value: Node) -> Node:
        if key == "if" and isinstance(value, ScalarNode):
            return ScalarNode(value.place, self.condition(value.text))
        return self.node(value)


def _from_json(text: str, node: ScalarNode) -> Node | None:
    """The node that ``fromJSON`` of a constant is, such as a matrix that a caller gives; None for other texts."""
    try:
        parts = split(text)
    except UnreadableError:
        return None
    match parts:
        case [Call("fromjson", (Lit(json, True),))]:
            place = node.place
            return parse_yaml(json, Diagnostics(""), lambda _: place)
        case _:
            return None
