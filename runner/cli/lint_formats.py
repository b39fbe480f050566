"""Formats problems as text with an excerpt of the source, as JSON, as GitHub workflow commands, or as SARIF."""

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from pipelines.parser.excerpts import excerpt, lines_of
from pipelines.problem import Level, Problem
from pipelines.visible import visible_line

FORMATS = ("text", "json", "github", "sarif")

_COLOURS = {Level.ERROR: "31", Level.WARNING: "33", Level.HINT: "36"}
_SARIF_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.HINT: "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(name: str, problems: Sequence[Problem], texts: Mapping[str, bytes], *, colour: bool = False) -> str:
    """The problems in one of FORMATS. ``texts`` are the contents of the files, by their names in the problems."""
    match name:
        case "json":
            return _json(problems, texts)
        case "github":
            return "".join(f"{_github(problem)}\n" for problem in problems)
        case "sarif":
            return _sarif(problems)
        case _:
            lines = {file: lines_of(text) for file, text in texts.items()}
            return "".join(_text(problem, lines.get(problem.file, []), colour=colour) for problem in problems)


def _text(problem: Problem, lines: Sequence[str], *, colour: bool) -> str:
    line = visible_line(str(problem))
    if colour:
        code = _COLOURS[problem.level]
        line = line.replace(f" {problem.level}: ", f" \x1b[{code};1m{problem.level}:\x1b[0m ", 1)
    return "".join(f"{part}\n" for part in (line, *_excerpt(problem, lines, colour=colour)))


def _excerpt(problem: Problem, lines: Sequence[str], *, colour: bool) -> tuple[str, ...]:
    shown = excerpt(problem, lines)
    if not shown or not colour:
        return shown
    source, marks = shown
    margin = marks.rstrip("^")
    return source, f"{margin}\x1b[{_COLOURS[problem.level]};1m{marks.removeprefix(margin)}\x1b[0m"


def _json(problems: Sequence[Problem], texts: Mapping[str, bytes]) -> str:
    found = [
        {
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "level": problem.level.value,
            "message": problem.message,
            "hint": problem.hint,
            "text": str(problem),
        }
        for problem in problems
    ]
    counts = {f"{level}s": sum(problem.level is level for problem in problems) for level in Level}
    return json.dumps({"files": sorted(texts), **counts, "problems": found}, ensure_ascii=False, indent=2) + "\n"


def _github(problem: Problem) -> str:
    """A workflow command, which GitHub shows as an annotation at the line."""
    name = {Level.ERROR: "error", Level.WARNING: "warning", Level.HINT: "notice"}[problem.level]
    place = {"file": problem.file}
    if problem.line:
        place |= {"line": str(problem.line), "col": str(problem.column)}
    properties = ",".join(f"{key}={_escaped(value, property_=True)}" for key, value in place.items())
    return f"::{name} {properties}::{_escaped(_sentence(problem))}"


def _sentence(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def _escaped(text: str, *, property_: bool = False) -> str:
    for char in "%\r\n" + (":," if property_ else ""):
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _sarif(problems: Sequence[Problem]) -> str:
    rules = sorted({rule_of(problem) for problem in problems})
    driver = {"name": "headway lint", "rules": [{"id": rule} for rule in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, rules) for problem in problems],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2) + "\n"


def _result(problem: Problem, rules: list[str]) -> dict[str, object]:
    rule = rule_of(problem)
    place: dict[str, object] = {"artifactLocation": {"uri": quote(problem.file)}}
    if problem.line:
        place["region"] = {"startLine": problem.line, "startColumn": problem.column}
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": _SARIF_LEVELS[problem.level],
        "message": {"text": _sentence(problem)},
        "locations": [{"physicalLocation": place}],
    }


RULE_WORDS_COUNT_MAX = 6


def rule_of(problem: Problem) -> str:
    """A rule name for this kind of problem: the words of its message without the values in it."""
    text = re.sub(r"'[^']*'|\$\{[^}]*\}|[0-9]+", " ", problem.message)
    words = re.findall(r"[A-Za-z_]+", text.split(":")[0]) or re.findall(r"[A-Za-z_]+", text)
    return "-".join(words[:RULE_WORDS_COUNT_MAX]).lower() or problem.level.value
