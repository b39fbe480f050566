"""The expressions of ``when.evaluate``, which compare CI_* variables, in the language that Woodpecker uses for them."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple, NoReturn

from pipelines.matching.regex import BadRegexError, search
from pipelines.syntax.diagnostics import did_you_mean

EXPRESSION_CHARACTERS_MAX = 2000
NESTING_LEVELS_MAX = 40
EXAMPLE = 'write for example CI_COMMIT_BRANCH == "main"'

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_$][A-Za-z0-9_]*)"""
    r"""|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
    r"""|(?P<sign>==|!=|<=|>=|&&|\|\||\?\?|[-+*/%<>!?:()\[\],]))""",
    re.DOTALL,
)
_WORDS = frozenset({"and", "or", "not", "in", "contains", "startsWith", "endsWith", "matches", "true", "false", "nil"})
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

Value = object


class ExpressionError(ValueError):
    """The expression cannot be evaluated; the text says why."""


def evaluate(expression: str, variables: Mapping[str, str]) -> bool:
    """True if the expression holds. A variable without a value is nil, which equals an empty text.

    Raises ExpressionError.
    """
    if len(expression) > EXPRESSION_CHARACTERS_MAX:
        raise ExpressionError(f"an expression has at most {EXPRESSION_CHARACTERS_MAX} characters")
    try:
        result = _Evaluator(_tokens(expression), variables).whole()
    except BadRegexError as error:
        raise ExpressionError(str(error)) from error
    if not isinstance(result, bool):
        raise ExpressionError(f"the result must be true or false, but it is {_shown(result)}")
    return result


def names_in(expression: str) -> set[str]:
    """The names of variables in an expression. Raises ExpressionError."""
    tokens = [*_tokens(expression), _Token("sign", "")]
    return {
        token.text for token, following in pairwise(tokens) if token.kind == "name" and following != _Token("sign", "(")
    }


class _Token(NamedTuple):
    kind: str
    text: str


def _tokens(expression: str) -> list[_Token]:
    tokens: list[_Token] = []
    index, end = 0, len(expression.rstrip())
    while index < end:
        found = _TOKEN.match(expression, index)
        if found is None or found.lastgroup is None:
            raise ExpressionError(f"'{expression[index:].strip()[:20]}' is not understood")
        kind, text = found.lastgroup, found[found.lastgroup]
        tokens.append(_Token("sign" if kind == "name" and text in _WORDS else kind, text))
        index = found.end()
    return tokens


def _shown(value: Value) -> str:
    return "nil" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _text(value: Value) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise ExpressionError(f"a text is wanted, not {_shown(value)}")


def _truth(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"true or false is wanted, not {_shown(value)}; compare it with something")


def _equal(left: Value, right: Value) -> bool:
    return ("" if left is None else left) == ("" if right is None else right)


def _is_in(left: Value, right: Value) -> bool:
    if not isinstance(right, list):
        raise ExpressionError(f'behind \'in\' a list such as ["a", "b"] is wanted, not {_shown(right)}')
    return any(_equal(left, item) for item in right)


def _ordered(compare: Callable[[float | str, float | str], bool]) -> Callable[[Value, Value], bool]:
    def ordered(left: Value, right: Value) -> bool:
        numbers = [value for value in (left, right) if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) == 1:
            raise ExpressionError(
                f"{_shown(left)} and {_shown(right)} cannot be compared; int(NAME) makes a number of a text"
            )
        return compare(*numbers) if numbers else compare(_text(left), _text(right))

    return ordered


_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: left < right),  # type: ignore[operator]
    "<=": _ordered(lambda left, right: left <= right),  # type: ignore[operator]
    ">": _ordered(lambda left, right: left > right),  # type: ignore[operator]
    ">=": _ordered(lambda left, right: left >= right),  # type: ignore[operator]
    "in": _is_in,
    "contains": lambda left, right: _text(right) in _text(left),
    "startsWith": lambda left, right: _text(left).startswith(_text(right)),
    "endsWith": lambda left, right: _text(left).endswith(_text(right)),
    "matches": lambda left, right: search(_text(right), _text(left)),
}


def _int(value: Value) -> Value:
    try:
        return int(_text(value)) if not isinstance(value, int | float) else int(value)
    except ValueError:
        raise ExpressionError(f"{_shown(value)} is not a number") from None


_FUNCTIONS: dict[str, Callable[[list[Value]], Value]] = {
    "len": lambda args: len(args[0]) if isinstance(args[0], list) else len(_text(args[0])),
    "lower": lambda args: _text(args[0]).lower(),
    "upper": lambda args: _text(args[0]).upper(),
    "trim": lambda args: _text(args[0]).strip(),
    "trimPrefix": lambda args: _text(args[0]).removeprefix(_text(args[1])),
    "trimSuffix": lambda args: _text(args[0]).removesuffix(_text(args[1])),
    "hasPrefix": lambda args: _text(args[0]).startswith(_text(args[1])),
    "hasSuffix": lambda args: _text(args[0]).endswith(_text(args[1])),
    "split": lambda args: list(_text(args[0]).split(_text(args[1]) or None)),
    "int": lambda args: _int(args[0]),
    "string": lambda args: _text(args[0]) if not isinstance(args[0], int | float) else str(args[0]).lower(),
}


class _Evaluator:
    """Parses and evaluates in one pass: the language has no loops, so nothing is evaluated twice."""

    def __init__(self, tokens: list[_Token], variables: Mapping[str, str]) -> None:
        self.tokens, self.variables = tokens, variables
        self.index, self.level = 0, 0

    def whole(self) -> Value:
        value = self.expression()
        if self.index < len(self.tokens):
            self.refuse()
        return value

    def refuse(self) -> NoReturn:
        rest = self.tokens[self.index].text if self.index < len(self.tokens) else ""
        raise ExpressionError(f"'{rest}' cannot stand there" if rest else "something is missing at the end")

    def take(self, *signs: str) -> str:
        """Consumes the next token if it is one of ``signs``, and returns its text; else returns an empty text."""
        token = self.tokens[self.index] if self.index < len(self.tokens) else None
        if token is None or token.kind != "sign" or token.text not in signs:
            return ""
        self.index += 1
        return token.text

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            self.refuse()

    def expression(self) -> Value:
        self.level += 1
        if self.level > NESTING_LEVELS_MAX:
            raise ExpressionError(f"this is nested deeper than {NESTING_LEVELS_MAX} levels")
        value = self.either()
        if self.take("?"):
            yes = self.expression()
            self.expect(":")
            no = self.expression()
            value = yes if _truth(value) else no
        self.level -= 1
        return value

    def either(self) -> Value:
        value = self.both()
        while self.take("||", "or"):
            other = self.both()
            value = _truth(value) or _truth(other)
        return value

    def both(self) -> Value:
        value = self.negated()
        while self.take("&&", "and"):
            other = self.negated()
            value = _truth(value) and _truth(other)
        return value

    def negated(self) -> Value:
        negations = 0
        while self.take("not", "!"):
            negations += 1
        value = self.comparison()
        return _truth(value) ^ (negations % 2 == 1) if negations else value

    def comparison(self) -> Value:
        value = self.default()
        while True:
            negative = bool(self.take("not"))
            sign = self.take(*_COMPARISONS)
            if not sign:
                if negative:
                    self.refuse()
                return value
            value = _COMPARISONS[sign](value, self.default()) ^ negative

    def default(self) -> Value:
        value = self.sum()
        while self.take("??"):
            other = self.sum()
            value = other if value is None else value
        return value

    def sum(self) -> Value:
        value = self.primary()
        while sign := self.take("+", "-"):
            other = self.primary()
            if isinstance(value, int | float) and isinstance(other, int | float):
                value = value + other if sign == "+" else value - other
            elif sign == "+":
                value = _text(value) + _text(other)
            else:
                raise ExpressionError(f"{_shown(value)} - {_shown(other)} has no value")
        return value

    def primary(self) -> Value:
        if self.take("("):
            value = self.expression()
            self.expect(")")
            return value
        if self.take("["):
            return self.listed("]")
        if word := self.take("true", "false", "nil"):
            return {"true": True, "false": False, "nil": None}[word]
        if self.take("-"):
            return -_number(self.primary())
        if self.index >= len(self.tokens) or self.tokens[self.index].kind == "sign":
            self.refuse()
        token = self.tokens[self.index]
        self.index += 1
        match token.kind:
            case "text":
                return _unquoted(token.text)
            case "number":
                return float(token.text) if "." in token.text else int(token.text)
            case _:
                return self.call(token.text) if self.take("(") else self.variables.get(token.text)

    def call(self, name: str) -> Value:
        function = _FUNCTIONS.get(name)
        if function is None:
            hint = did_you_mean(name, _FUNCTIONS) or "the functions are " + ", ".join(_FUNCTIONS)
            raise ExpressionError(f"there is no function '{name}' here; {hint}")
        args = self.listed(")")
        try:
            return function(args)
        except IndexError:
            raise ExpressionError(f"the function '{name}' is given too few values") from None

    def listed(self, end: str) -> list[Value]:
        values: list[Value] = []
        while not self.take(end):
            if values:
                self.expect(",")
            values.append(self.expression())
        return values


def _number(value: Value) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"a number is wanted, not {_shown(value)}")


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1], flags=re.DOTALL)
