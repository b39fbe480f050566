"""Whether a shell expects more lines before it runs a command: after ``a |``, in quotes, in ``if`` or a here-document.

Only what decides that is read (POSIX 2.3 and 2.10, and the common words of bash). A wrong guess changes where a trace
line stands, not what the shell runs.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\\\n)|(?P<newline>\n)|(?P<comment>\#[^\n]*)|(?P<escaped>\\.)"""
    r"""|(?P<here><<-?(?!<)[ \t]*(?:'[^'\n]*'|"[^"\n]*"|\\?[^\s'"\\;&|()<>]+))"""
    r"""|(?P<redirection><<<|[<>](?!\()[>&|]?|&>)"""
    r"""|(?P<opens>\$\(\(|\$\(|\$\{|[<>]\(|\$'|[`'"])|(?P<operator>&&|\|\||\|&|;;&|;;|;&|[;&|()])"""
    r"""|(?P<word>[^\s\\'"`$&|;()<>]+|\$)|(?P<other>.)""",
    re.DOTALL,
)
# In quotes and braces only this counts; a `'` between `"` is an ordinary sign.
_IN_QUOTES = {
    '"': re.compile(r"""\\.|\$\(\(|\$\(|\$\{|[`"]""", re.DOTALL),
    "${": re.compile(r"""\\.|\$\(\(|\$\(|\$\{|[`"'}]""", re.DOTALL),
    "`": re.compile(r"\\.|`", re.DOTALL),
    "'": re.compile("'"),
    "$'": re.compile(r"\\.|'", re.DOTALL),
    "((": re.compile(r"[()]"),
}
_CLOSES = {'"': '"', "${": "}", "`": "`", "'": "'", "$'": "'"}
_OPENING_WORDS = {"if": "if", "while": "do", "until": "do", "for": "do", "select": "do", "{": "{", "case": "case"}
_CLOSING_WORDS = {"fi": "if", "done": "do", "}": "{", "esac": "case body"}
_BEFORE_COMMANDS = {"if", "then", "elif", "else", "while", "until", "do", "{", "!", "time"}
_JOINS = {"|", "||", "&&", "|&"}


class _Here(NamedTuple):
    """A here-document: the line that ends it, and whether tabs before that line do not count."""

    end: str
    tabs: bool


class OpenCommands:
    """Reads the lines of a script, and knows what is open at their end."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._here: deque[_Here] = deque()
        self._at_command, self._in_word, self._joins = True, False, False

    def read(self, lines: str) -> bool:
        """Reads the next lines, each with its line end. True if the shell needs more before it runs the last one."""
        at = self._after_here(lines, 0)
        while at < len(lines):
            mode = self._open[-1] if self._open else ""
            at = self._quoted(lines, at, mode) if mode in _IN_QUOTES else self._token(lines, at)
        return bool(self._open or self._here or self._joins)

    def _quoted(self, lines: str, at: int, mode: str) -> int:
        found = _IN_QUOTES[mode].search(lines, at)
        if found is None:
            return len(lines)
        sign = found[0]
        if sign == _CLOSES.get(mode, ")"):
            self._open.pop()
            self._in_word, self._at_command, self._joins = True, False, False
        elif sign == "(":
            self._open.append("((")
        elif sign[0] != "\\" and not (sign == "'" and '"' in self._open):
            self._begin(sign)
        return found.end()

    def _begin(self, sign: str) -> None:
        if sign == "$((":
            self._open += ["((", "(("]
        else:
            self._open.append("$(" if sign in {"<(", ">("} else sign)
            if self._open[-1] == "$(":
                self._at_command, self._in_word = True, False

    def _token(self, lines: str, at: int) -> int:
        found = cast("re.Match[str]", _TOKEN.match(lines, at))  # its last part is any character
        kind, text = str(found.lastgroup), found[0]
        if kind == "comment" and self._in_word:
            kind, text = "word", "#"
        actions: dict[str, Callable[[str], None]] = {
            "blank": self._blank, "newline": self._newline, "here": self._document, "redirection": self._redirection,
            "opens": self._begin_word, "operator": self._operator, "word": self._word, "escaped": self._word,
            "other": self._word,
        }  # fmt: skip
        if kind in actions:
            actions[kind](text)
        end = at + len(text)
        return self._after_here(lines, end) if kind == "newline" else end

    def _blank(self, _: str) -> None:
        self._in_word = False

    def _newline(self, _: str) -> None:
        self._in_word, self._at_command = False, True

    def _redirection(self, _: str) -> None:
        self._in_word = self._joins = False

    def _document(self, text: str) -> None:
        end = text.removeprefix("<<").removeprefix("-").strip(" \t")
        self._here.append(_Here(end.strip("'\"").removeprefix("\\"), tabs=text.startswith("<<-")))

    def _after_here(self, lines: str, at: int) -> int:
        """The end of the here-documents that begin at a line's start."""
        while self._here and at < len(lines):
            end = lines.find("\n", at)
            line = lines[at : end if end >= 0 else len(lines)]
            at += len(line) + 1
            here = self._here[0]
            if (line.lstrip("\t") if here.tabs else line) == here.end:
                self._here.popleft()
        return at

    def _begin_word(self, text: str) -> None:
        self._joins = False
        self._begin(text)

    def _word(self, text: str) -> None:
        self._joins = False
        top = self._open[-1] if self._open else ""
        if self._in_word:
            return
        self._in_word = True
        if top == "case" and text == "in":
            self._open[-1] = "case pattern"
        elif text == "esac" and top == "case pattern":
            self._open.pop()
        elif self._at_command and top != "case pattern":
            self._command_word(text, top)

    def _command_word(self, text: str, top: str) -> None:
        self._at_command = text in _BEFORE_COMMANDS
        if opened := _OPENING_WORDS.get(text):
            self._open.append(opened)
        elif top and _CLOSING_WORDS.get(text) == top:
            self._open.pop()

    def _operator(self, text: str) -> None:
        top = self._open[-1] if self._open else ""
        self._in_word, self._at_command, self._joins = False, True, text in _JOINS
        if text == "(" and top != "case pattern":
            self._open.append("(")
        elif text == ")" and top == "case pattern":
            self._open[-1] = "case body"
        elif text == ")" and top in {"(", "$("}:
            self._open.pop()
            self._at_command = top == "("
            self._in_word = top == "$("
        elif text.startswith(";") and text != ";" and top == "case body":
            self._open[-1] = "case pattern"
