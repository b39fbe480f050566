"""Parses ``${{ }}`` expressions of GitHub Actions into trees."""

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

LEVELS_MAX = 40
"""How deep an expression may nest."""

TOKENS_COUNT_MAX = 500
"""How long an expression may be: a chain of operators nests too, and is walked by functions that call themselves."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?[0-9][0-9A-Za-z.]*)|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"""
    r"""|(?P<sign>==|!=|<=|>=|&&|\|\||[!<>().,*\[\]]))"""
)
_QUOTE_OR_END = re.compile(r"'|\}\}")
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")


class UnreadableError(Exception):
    """The expression is wrong, or has something that cannot be said here; the text names it."""


class Lit(NamedTuple):
    """A constant. ``is_text`` is False for true, false, null and numbers."""

    text: str
    is_text: bool = False

    @property
    def holds(self) -> bool:
        """Does it count as true?"""
        return self.text not in ({""} if self.is_text else {"", "false", "0"})


class Ref(NamedTuple):
    """A value of a context, such as ``github.event.number``."""

    path: tuple[str, ...]


class Call(NamedTuple):
    """A function."""

    name: str
    arguments: tuple["Tree", ...]


class Not(NamedTuple):
    """A negation."""

    operand: "Tree"


class Op(NamedTuple):
    """A comparison, ``&&`` or ``||``."""

    sign: str
    left: "Tree"
    right: "Tree"


Tree = Lit | Ref | Call | Not | Op
TRUE, FALSE = Lit("true"), Lit("false")


def parse(text: str) -> Tree:
    """The tree of an expression without the braces around it. Raises UnreadableError."""
    return _Parser(text).whole()


def parse_condition(text: str) -> Tree:
    """The tree of an ``if``, whose braces may be left out. Raises UnreadableError."""
    parts = split(text.strip())
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]
    return parse(text)


def split(text: str) -> list[str | Tree]:
    """Texts and the expressions between them. Raises UnreadableError."""
    found: list[str | Tree] = []
    for part, is_expression in parts_of(text):
        if not is_expression and "${{" in part:
            raise UnreadableError("'${{' without '}}'")
        found.append(parse(part) if is_expression else part)
    return [part for part in found if part != ""]


def parts_of(text: str) -> Iterator[tuple[str, bool]]:
    """Texts, and what is in braces between them, of which the second value is True.

    Each character is read once: what follows braces that have no end is text to the last character.
    """
    end = 0
    while (start := text.find("${{", end)) >= 0 and (closed := _closed(text, start + 3)) >= 0:
        yield text[end:start], False
        yield text[start + 3 : closed], True
        end = closed + 2
    yield text[end:], False


def without_expressions(text: str) -> str:
    """The text without all that is in braces."""
    return "".join(part for part, is_expression in parts_of(text) if not is_expression)


def _closed(text: str, start: int) -> int:
    """Where the braces end that are open at ``start``, outside of texts in quotes; -1 if they do not."""
    while found := _QUOTE_OR_END.search(text, start):
        if found[0] == "}}":
            return found.start()
        start = text.find("'", found.end()) + 1
        if not start:
            break
    return -1


def _path(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a reference in lower case where GitHub takes both: not the name of a variable or of an output."""
    context, *rest = names
    as_written = {"env": 0, "secrets": 0, "vars": 0, "steps": 2, "needs": 2, "jobs": 2}.get(context.lower(), len(rest))
    return (context.lower(), *(name.lower() for name in rest[:as_written]), *rest[as_written:])


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._level = 0
        end = 0
        while text[end:].strip():
            match = _TOKEN.match(text, end)
            if match is None:
                raise UnreadableError(text[end:].strip()[:20])
            if len(self._tokens) == TOKENS_COUNT_MAX:
                raise UnreadableError(f"more than {TOKENS_COUNT_MAX} words and signs")
            self._tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
            end = match.end()
        self._tokens.reverse()

    def whole(self) -> Tree:
        tree = self._either()
        if self._tokens:
            raise UnreadableError(self._tokens[-1][1])
        return tree

    def _take(self, *signs: str) -> str:
        if self._tokens and self._tokens[-1][0] == "sign" and self._tokens[-1][1] in signs:
            return self._tokens.pop()[1]
        return ""

    def _want(self, sign: str) -> None:
        if not self._take(sign):
            self._fail()

    def _fail(self) -> NoReturn:
        raise UnreadableError(self._tokens[-1][1] if self._tokens else "the end of the expression")

    def _either(self) -> Tree:
        self._level += 1
        if self._level > LEVELS_MAX:
            raise UnreadableError(f"more than {LEVELS_MAX} levels")
        left = self._both()
        while self._take("||"):
            left = Op("||", left, self._both())
        self._level -= 1
        return left

    def _both(self) -> Tree:
        left = self._comparison()
        while self._take("&&"):
            left = Op("&&", left, self._comparison())
        return left

    def _comparison(self) -> Tree:
        left = self._negation()
        if sign := self._take(*_COMPARISONS):
            return Op(sign, left, self._negation())
        return left

    def _negation(self) -> Tree:
        negations = 0
        while self._take("!"):
            negations += 1
        tree = self._value()
        return Not(tree) if negations % 2 else tree

    def _value(self) -> Tree:
        if self._take("("):
            tree = self._either()
            self._want(")")
            return tree
        if not self._tokens or self._tokens[-1][0] == "sign":
            self._fail()
        kind, token = self._tokens.pop()
        if kind == "text":
            return Lit(token[1:-1].replace("''", "'"), is_text=True)
        if kind == "number" or token in {"true", "false"}:
            return Lit(token)
        if token == "null":  # noqa: S105 - a word of the language
            return Lit("")
        return Call(token.lower(), self._arguments()) if self._take("(") else Ref(_path((token, *self._rest())))

    def _arguments(self) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while not self._take(")"):
            found.append(self._either())
            if not self._take(","):
                self._want(")")
                break
        return tuple(found)

    def _rest(self) -> list[str]:
        """What follows a name: ``.name``, ``.*``, ``['name']`` and ``[0]``."""
        found: list[str] = []
        while sign := self._take(".", "["):
            if self._take("*"):
                found.append("*")
            elif not self._tokens or self._tokens[-1][0] == "sign":
                self._fail()
            else:
                kind, token = self._tokens.pop()
                found.append(token[1:-1].replace("''", "'") if kind == "text" else token)
            if sign == "[":
                self._want("]")
        return found
