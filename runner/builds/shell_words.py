"""Words of a Dockerfile by the rules of BuildKit's lexer (frontend/dockerfile/shell/lex.go), which are not quite a
shell's: quotes, escapes, and variables with their operators.
"""

import re
from collections.abc import Callable

from pipelines.state import Reason
from runner.errors import StepError

REPLACED_CHARS_MAX = 1_000_000
NESTED_COUNT_MAX = 50
"""Variables inside each other."""
SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's ``unicode.IsSpace`` takes as space. Python has more."""
_SPECIAL = frozenset("@*#?-$!0")
_OPERATORS = frozenset("+-?#%")
_LATE_OPERATORS = frozenset("?#%/")
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")
_PATTERN = re.compile(r"[*?\\]")


class WordError(ValueError):
    """BuildKit cannot read this text, or only BuildKit can know what becomes of it."""


def expand(text: str, escape: str, get: Callable[[str], str | None]) -> str:
    """The text with its variables and without its quotes. ``get`` returns None for a variable that is not set.

    Raises WordError for what only BuildKit can evaluate, StepError for variables that are nested too deep.
    """
    return _Lexer(text, escape, get).read()[0]


def raw_words(text: str, *, late_operators: bool = True) -> list[str]:
    """The words of a line, with their quotes and variables; none if BuildKit cannot read it.

    Without ``late_operators`` it is read as by versions that do not know ``${NAME#...}`` and the like.
    """
    lexer = _Lexer(text, "\\", None, late_operators=late_operators)
    lexer.raw_quotes = lexer.raw_escapes = True
    try:
        return lexer.read()[1]
    except WordError:
        return []


def plain_words(text: str) -> list[str]:
    """The words without quotes; variables stay. Raises WordError."""
    return _Lexer(text, "\\", None).read()[1]


class _Words:
    """Collects words. The buffer is shared with those that are read inside: BuildKit empties it for them."""

    def __init__(self, buffer: list[str]) -> None:
        self._buffer = buffer
        self._buffer.clear()
        self._done: list[str] = []

    def add(self, text: str) -> None:
        for char in text:
            if char not in SPACES:
                self._buffer.append(char)
            elif self._buffer:
                self.end()

    def add_raw(self, text: str) -> None:
        if text:
            self._buffer.append(text)

    def end(self) -> list[str]:
        if self._buffer:
            self._done.append("".join(self._buffer))
            self._buffer.clear()
        return self._done


class _Lexer:
    """Reads one text. Without ``get`` no variable is set, and all keep their text."""

    def __init__(
        self, text: str, escape: str, get: Callable[[str], str | None] | None, *, late_operators: bool = True
    ) -> None:
        # Go's scanner skips a mark of the byte order, and has this character for each byte that is not UTF-8.
        self._text = _NOT_UTF_8.sub("\ufffd", text.removeprefix("\ufeff"))
        self._at = 0
        self._escape = escape
        self._get = get
        self._late_operators = late_operators
        self._buffer: list[str] = []
        self._depth = 0
        self.raw_quotes = self.raw_escapes = False

    def read(self) -> tuple[str, list[str]]:
        """The whole text and its words. Raises WordError."""
        return self._until("", raw_escapes=self.raw_escapes)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _until(self, stop: str, *, raw_escapes: bool) -> tuple[str, list[str]]:
        self._depth += 1
        if self._depth > NESTED_COUNT_MAX + 1:
            message = f"a line of the Dockerfile has more than {NESTED_COUNT_MAX} variables inside each other"
            raise StepError(Reason.INVALID_PIPELINE, f"{message}; write it with fewer")
        before, self.raw_escapes = self.raw_escapes, raw_escapes
        result: list[str] = []
        words = _Words(self._buffer)
        try:
            while char := self._peek():
                if char == stop:
                    self._at += 1
                    return "".join(result), words.end()
                result.append(self._part(char, words))
        finally:
            self.raw_escapes = before
            self._depth -= 1
        if stop:
            raise WordError(f"there is no {stop}")
        return "".join(result), words.end()

    def _part(self, char: str, words: _Words) -> str:
        if char == "$":
            part = self._variable()
            words.add(part)
            return part
        if char in "'\"":
            part = self._single_quoted() if char == "'" else self._double_quoted()
        elif char == "<":
            part = self._arrow()
        elif self._next() == self._escape:
            part = (char if self.raw_escapes else "") + self._next()
        else:
            words.add(char)
            return char
        words.add_raw(part)
        return part

    def _arrow(self) -> str:
        """Two arrows and the space behind them, which may begin a document; else one arrow."""
        start = self._at
        self._at += 1
        if self._peek() == "<":
            self._at += 1
            while self._peek() and self._peek() in "\t\r ":
                self._at += 1
        return self._text[start : self._at]

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise WordError("a single quote is missing")
        start, self._at = self._at, end + 1
        return self._text[start : end + 1] if self.raw_quotes else self._text[start + 1 : end]

    def _double_quoted(self) -> str:
        self._at += 1
        result: list[str] = []
        while char := self._peek():
            if char == '"':
                self._at += 1
                text = "".join(result)
                return f'"{text}"' if self.raw_quotes else text
            if char == "$":
                result.append(self._variable())
                continue
            if self._next() == self._escape:
                if self.raw_escapes:
                    result.append(char)
                if not self._peek():
                    break
                if self._peek() in {'"', "$", self._escape}:
                    char = self._next()
            result.append(char)
        raise WordError("a double quote is missing")

    def _name(self) -> str:
        start = self._at
        if self._peek().isdecimal():
            while self._peek().isdecimal():
                self._at += 1
        elif self._peek() in _SPECIAL:
            self._at += 1
        else:
            while self._peek() == "_" or self._peek().isalpha() or self._peek().isdecimal():
                self._at += 1
        return self._text[start : self._at]

    def _value(self, name: str) -> str | None:
        return self._get(name) if self._get else None

    def _variable(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            value = self._value(name) if name else "$"
            return f"${name}" if value is None and not self._get else value or ""
        self._at += 1
        if not self._peek() or self._peek() in "{}:":
            raise WordError("bad substitution")
        name = self._name()
        how = self._next()
        if how == "}":
            value = self._value(name)
            return f"${{{name}}}" if value is None and not self._get else value or ""
        return self._with_operator(name, how)

    def _with_operator(self, name: str, how: str) -> str:
        null_is_unset = how == ":"
        operator = self._next() if null_is_unset else how
        if operator in _LATE_OPERATORS and not self._late_operators:
            raise WordError(f"unsupported operator {operator}")
        if operator == "/" and not null_is_unset:
            return self._replaced(name)
        if operator not in _OPERATORS or not operator or (null_is_unset and operator in "#%"):
            raise WordError(f"unsupported operator {operator}")
        word, _ = self._until("}", raw_escapes=operator in "#%")
        value = self._value(name)
        if value is None and not self._get:
            return f"${{{name}{how}{operator if null_is_unset else ''}{word}}}"
        if operator in "#%":
            return _trimmed(value or "", operator, word)
        is_set = value is not None and bool(value or not null_is_unset)
        if operator == "+":
            return word if is_set else ""
        if operator == "?" and not is_set:
            raise WordError(f"{name} is not set")
        return value or "" if is_set else word

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        self._at += everywhere
        pattern, _ = self._until("/", raw_escapes=True)
        new, _ = self._until("}", raw_escapes=True)
        value = self._value(name)
        if value is None and not self._get:
            return f"${{{name}/{pattern}/{new}}}"
        if not pattern or _PATTERN.search(pattern) or re.search(r"[$\\]", new):
            raise WordError("only BuildKit knows what this pattern means")
        if len(value or "") * len(new) > REPLACED_CHARS_MAX:
            raise WordError("the text would become too long")
        return (value or "").replace(pattern, new, -1 if everywhere else 1)


def _trimmed(value: str, operator: str, pattern: str) -> str:
    pattern = pattern.removeprefix(operator)
    if _PATTERN.search(pattern):
        raise WordError("only BuildKit knows what this pattern means")
    return value.removeprefix(pattern) if operator == "#" else value.removesuffix(pattern)
