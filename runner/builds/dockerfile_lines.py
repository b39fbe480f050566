"""The instructions of a Dockerfile, as BuildKit's parser finds them (frontend/dockerfile/parser).

The versions of BuildKit differ in which documents (``<<EOF``) they know. A Dockerfile has a reading for each kind.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from runner.builds.shell_words import SPACES, WordError, plain_words, raw_words

SPACE = re.compile(r"[\t\v\f\r ]+")
"""What separates the words of an instruction."""
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"([0-9]*)<<(-?)(\s*)([^<]*)", re.DOTALL)
_SPACED = re.compile(r"<<-?[\t\r ]")
_WITH_DOCUMENTS = frozenset({"RUN", "COPY", "ADD"})
_INSTRUCTIONS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"}
    | {"ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)


@dataclass(frozen=True)
class Documents:
    """Which documents a version of BuildKit knows: none, those with space after ``<<``, those in a line with
    ``${NAME#...}``.
    """

    known: bool = True
    spaced: bool = True
    late_operators: bool = True


@dataclass(frozen=True)
class Instruction:
    """An instruction, or the one that ONBUILD stores: a ``trigger``. ``rest`` is what follows its flags.

    ``documents`` are those that COPY and ADD write to files.
    """

    name: str
    flags: tuple[str, ...]
    rest: str
    trigger: bool = False
    documents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """The instructions as a version reads them. One that is not ``valid`` ends the build with a syntax error."""

    instructions: tuple[Instruction, ...]
    escape: str
    valid: bool = True


@dataclass
class _Lines:
    lines: list[str]
    escape: str
    at: int = 0
    valid: bool = True
    continued: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        mark = re.escape(self.escape)
        self.continued = re.compile(rf"(?:(?<=[^{mark}])|\A){mark}[ \t]*\Z")


def readings(text: str) -> list[Reading]:
    """How the versions of BuildKit read the Dockerfile, each reading once; only those without a syntax error, if any
    has none.
    """
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    versions = _versions(text)
    escapes = dict.fromkeys((_escape(lines, strict=True), _escape(lines, strict=False)))
    found = dict.fromkeys(_reading(lines, escape, version) for escape in escapes for version in versions)
    return [reading for reading in found if reading.valid] or list(found)


def _versions(text: str) -> list[Documents]:
    """The kinds of versions that can read this text differently."""
    if "<<" not in text:
        return [Documents()]
    spaced = (True, False) if _SPACED.search(text) else (True,)
    late = (True, False) if "${" in text else (True,)
    return [*(Documents(spaced=one, late_operators=two) for one in spaced for two in late), Documents(known=False)]


def _escape(lines: list[str], *, strict: bool) -> str:
    """The escape character. Newer versions, which are ``strict``, stop at the first comment that sets nothing."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.lstrip(SPACES))
        if match is None or (strict and match[1].lower() not in {"syntax", "escape", "check"}):
            break
        if match[1].lower() == "escape":
            return "`" if match[2] == "`" else "\\"
    return "\\"


def _reading(lines: list[str], escape: str, documents: Documents) -> Reading:
    source = _Lines(lines, escape)
    found = tuple(_instructions(source, documents))
    begins = next((each.name for each in found if each.name != "ARG"), "")
    known = all(each.trigger or each.name in _INSTRUCTIONS for each in found)
    return Reading(found, escape, source.valid and known and begins == "FROM")


def _instructions(source: _Lines, documents: Documents) -> Iterator[Instruction]:
    while line := _next_line(source):
        instruction = parsed(line, source.escape)
        if "<<" in line and instruction.name in _WITH_DOCUMENTS and not _is_json(instruction.rest):
            found = [_document(source, end, indented=bool(dash)) for dash, end in _documents(line, documents)]
            instruction = replace(instruction, documents=() if instruction.name == "RUN" else tuple(found))
        yield instruction


def _next_line(source: _Lines) -> str:
    """The next instruction as one line; empty at the end. Comments and empty lines may stand between its parts."""
    parts: list[str] = []
    while source.at < len(source.lines):
        line = source.lines[source.at]
        source.at += 1
        bare = line.lstrip(SPACES)
        if not bare or bare.startswith("#"):
            continue
        line = line if parts else bare
        match = source.continued.search(line)
        parts.append(line[: match.start()] if match else line)
        # A line of nothing but the escape character is continued, too: what follows is not its own instruction.
        if match is None and (joined := "".join(parts).strip(SPACES)):
            return joined
    return "".join(parts).strip(SPACES)


def parsed(line: str, escape: str) -> Instruction:
    """The instruction of a line."""
    trigger = False
    while True:
        word, *rest = SPACE.split(line.strip(SPACES), maxsplit=1)
        flags, line = _flags("".join(rest), escape)
        if word.upper() != "ONBUILD" or not line:
            return Instruction(word.upper(), tuple(flags), line, trigger)
        trigger = True


def _flags(text: str, escape: str) -> tuple[list[str], str]:
    """The words at the front that begin with ``--``, without quotes and escapes, and what follows them.

    BuildKit takes each byte for a character here: two bytes that are parts of others count as space.
    """
    text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    flags: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in SPACES:
            at += 1
        elif not text.startswith("--", at):
            break
        else:
            flag, at = _flag(text, at, escape)
            if flag == "--":
                break
            flags.append(flag)
    return flags, text[at:].encode("latin-1").decode("utf-8", "surrogateescape").strip(SPACES)


def _flag(text: str, at: int, escape: str) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while at < len(text) and (quote or text[at] not in SPACES):
        char = text[at]
        at += 1
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape:
            word.append(text[at : at + 1])
            at += 1
        else:
            word.append(char)
    return "".join(word), at


def words_of(text: str, escape: str) -> list[str]:
    """The words of ARG, with their quotes and escapes."""
    words: list[str] = []
    word, quote, at = "", "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if not quote and char in SPACES:
            words += [word] if word else []
            word = ""
            continue
        if char == escape and quote != "'":
            char = text[at - 1 : at + 1] if at < len(text) else ""
            at += 1
        elif not quote and char in "'\"":
            quote = char
        elif char == quote:
            quote = ""
        word += char
    return [*words, word] if word else words


def _is_json(text: str) -> bool:
    """True for the form of an instruction that is a JSON list of texts: it has no documents."""
    if not text.startswith("["):
        return False
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


def _documents(line: str, documents: Documents) -> Iterator[tuple[str, str]]:
    """The dash and the end mark of each document. The word begins with it: ``a<<EOF`` is none."""
    for word in raw_words(line, late_operators=documents.late_operators) if documents.known else []:
        match = _HEREDOC.fullmatch(word)
        if match is None or not match[4] or (match[3] and not documents.spaced):
            continue
        try:
            ends = plain_words(match[4])
        except WordError:
            continue
        if len(ends) == 1:
            yield match[2], ends[0]


def _document(source: _Lines, end: str, *, indented: bool) -> str:
    """The lines up to the one that ends the document."""
    start = source.at
    while source.at < len(source.lines):
        line = source.lines[source.at]
        source.at += 1
        if (line.lstrip("\t") if indented else line) == end:
            return "\n".join(source.lines[start : source.at - 1])
    source.valid = False
    return "\n".join(source.lines[start:])
