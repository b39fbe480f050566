"""Warns of patterns in conditions that can match nothing, or that are meant as a regular expression or as a list.

A pattern that might match is left alone, also where that is unlikely: a warning must be worth reading. With a backslash
before it a character is meant as it is, and nothing is said of it.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipelines.compiler.job_input import JobInput
from pipelines.images.platforms import canonical
from pipelines.model.conditions import Condition
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.trigger import Event
from pipelines.visible import visible_line

_PATTERNS = ("branch", "ref", "repo", "instance", "platform", "cron", "path")
_ESCAPED_OR_SET = re.compile(r"\\.|\[[!^]?\]?[^\]]*\]", re.DOTALL)
_PLAIN_IN_YAML = re.compile(r"[\w./$][^:#,{}\[\]\"'\x00-\x1f]*")
_COMMA = re.compile(r",\s+")
_SEPARATOR = re.compile(r"\s*[|,]\s*|\s+")
_REGEX = re.compile(r"/?\^.*|.*\$/?", re.DOTALL)
# What `git check-ref-format` refuses, besides what has a rule of its own here.
_NO_BRANCH = re.compile(r"[~^:\x00-\x1f\x7f]|\.\.|//|(?:^|/)\.|\.(?:/|$)|^-|\.lock(?:/|$)")
_TIMES = re.compile(r"(?:[\d*][\d*/,-]*\s+){3}[\w*/,-]+\s+[\w*/,#-]+|@(?:hourly|daily|midnight|weekly|monthly|yearly)")
_GLOBS = "* is any text without a /, ** is any text, and {a,b} is a or b"
_OF_TAGS = frozenset({Event.TAG, Event.RELEASE})


class _Pattern(NamedTuple):
    """A pattern of ``key``, in the list ``list_key``. ``bare`` is its text without sets and escaped characters."""

    key: str
    text: str
    bare: str
    list_key: str
    condition: Condition

    @property
    def excludes(self) -> bool:
        """True below ``exclude``."""
        return self.list_key == "exclude"


_Said = tuple[str, str] | None
"""A message and what to do, or None."""


def warn_of_patterns(job: JobInput, where: tuple[str | int, ...], conditions: Iterable[Condition]) -> None:
    """Warns of patterns in the conditions at ``where``."""
    for index, condition in enumerate(conditions):
        for key in _PATTERNS:
            if getattr(condition, key) != getattr(Condition(), key):
                _key(job, job.located.node(*where, index, key), key, condition)


def _key(job: JobInput, written: Node, key: str, condition: Condition) -> None:
    for node, list_key in _scalars(written, key):
        pattern = _Pattern(key, node.text, _ESCAPED_OR_SET.sub("x", node.text), list_key, condition)
        if said := _said(pattern):
            job.diagnostics.warning(node.place, *said)


def _scalars(node: Node | None, key: str) -> Iterator[tuple[ScalarNode, str]]:
    """Every pattern, and the key of its list."""
    match node:
        case ScalarNode():
            yield node, key
        case ListNode():
            for item in node.items:
                yield from _scalars(item, key)
        case MapNode():
            for part in ("include", "exclude"):
                yield from _scalars(node.by_key.get(part), part)
        case _:
            return


def _said(pattern: _Pattern) -> _Said:
    return next((said for rule in _RULES.get(pattern.key, (_comma,)) if (said := rule(pattern))), None)


def _shown(pattern: _Pattern) -> str:
    return f"'{visible_line(pattern.text)}'"


def _yaml(text: str) -> str:
    return text if _PLAIN_IN_YAML.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _regex(pattern: _Pattern) -> _Said:
    # A path may end with a $: the class files of Scala do.
    if not _REGEX.fullmatch(pattern.bare) or (pattern.key == "path" and "^" not in pattern.bare[:2]):
        return None
    return f"{_shown(pattern)} is a regular expression, and matches nothing: patterns are globs", _GLOBS


def _negated(pattern: _Pattern) -> _Said:
    if not pattern.bare.startswith("!"):
        return None
    rest = _yaml(pattern.text[1:])
    hint = f"write exclude: {rest}" if pattern.excludes else f"write {pattern.key}: {{exclude: {rest}}}"
    return f"{_shown(pattern)} negates nothing: a '!' at the start of a pattern is part of the name", hint


def _ref_as_branch(pattern: _Pattern) -> _Said:
    text = pattern.text
    if text.startswith("refs/heads/"):
        hint = f"write {pattern.list_key}: {_yaml(text.removeprefix('refs/heads/'))}"
        return f"{_shown(pattern)} is a ref, and 'branch' is the name of the branch alone", hint
    if text.startswith("refs/"):
        return f"{_shown(pattern)} is a ref, and no branch is named so", f"write ref: {_yaml(text)}"
    if text.startswith("origin/"):
        hint = f"write {pattern.list_key}: {_yaml(text.removeprefix('origin/'))}"
        return f"{_shown(pattern)} is what a clone calls the branch, and 'branch' is its name at the forge", hint
    return None


def _separated(pattern: _Pattern) -> _Said:
    found = _SEPARATOR.search(pattern.bare)
    if not found:
        return None
    if "{" in pattern.bare:
        if found[0].strip() == found[0]:
            return None
        together = "".join(pattern.text.split())
        hint = f'write {pattern.list_key}: "{together}"'
        return f"{_shown(pattern)} has a space in it, and no {pattern.key} has one", hint
    return _listed(pattern, _SEPARATOR.split(pattern.text.strip("() ")), found[0].strip())


def _comma(pattern: _Pattern) -> _Said:
    if _COMMA.search(pattern.bare) and "{" not in pattern.bare:
        return _listed(pattern, _COMMA.split(pattern.text), ",")
    return None


def _listed(pattern: _Pattern, words: Iterable[str], separator: str) -> _Said:
    name = {",": "comma", "": "space"}.get(separator, f"'{separator}'")
    listed = ", ".join(_yaml(word) for word in words if word)
    return f"{_shown(pattern)} is one pattern with a {name} in it", f"write {pattern.list_key}: [{listed}]"


def _no_branch(pattern: _Pattern) -> _Said:
    trimmed = pattern.text.lstrip("/")
    trimmed = f"{trimmed}**" if trimmed.endswith("/") else trimmed
    if trimmed != pattern.text:
        message = f"{_shown(pattern)} matches no branch: no name begins or ends with a '/'"
        return message, f"write {pattern.list_key}: {_yaml(trimmed)}"
    if _NO_BRANCH.search(pattern.bare):
        return f"{_shown(pattern)} matches no branch: git does not allow such a name", f"patterns are globs: {_GLOBS}"
    return None


def _no_ref(pattern: _Pattern) -> _Said:
    """Every ref begins with refs/, and has two of the slashes that ``*`` does not match."""
    literal = re.split(r"[*?\[{\\]", pattern.text, maxsplit=1)[0]
    has_slashes = pattern.bare.count("/") > 1 or "**" in pattern.bare or re.search(r"[{\[\\]", pattern.text)
    if has_slashes and (literal.startswith("refs/") or "refs/".startswith(literal)):
        return None
    events = frozenset(pattern.condition.event)
    name = re.sub(r"^(?:refs/)?(?:heads/|tags/)?", "", pattern.text)
    tag, branch = _yaml(f"refs/tags/{name}"), _yaml(f"refs/heads/{name}")
    hint = f"write {pattern.list_key}: {tag} for tags, or {pattern.list_key}: {branch} for branches"
    if (events and events <= _OF_TAGS) or "tags/" in pattern.text:
        hint = f"write {pattern.list_key}: {tag}"
    elif (events and not events & _OF_TAGS) or "heads/" in pattern.text:
        hint = f"write {pattern.list_key}: {branch}"
    return f"{_shown(pattern)} matches no ref: each is written in full, with refs/ at its start", hint


def _no_path(pattern: _Pattern) -> _Said:
    below = re.sub(r"^(?:\.?/)+", "", pattern.text) if pattern.text != "." else ""
    below = below + "**" if below.endswith("/") or not below else below
    if below == pattern.text:
        return None
    message = f"{_shown(pattern)} matches no file: paths are from the top of the repository, without a '/' at the ends"
    return message, f"write {pattern.list_key}: {_yaml(below)}"


def _no_platform(pattern: _Pattern) -> _Said:
    """A worker's platform is linux/MACHINE. Only for the usual two machines it is another word than the kernel's."""
    right = "" if re.search(r"[*?\[{\\]", pattern.text) else canonical(pattern.text)
    if right in {"linux/amd64", "linux/arm64"} and right != pattern.text:
        return f"{_shown(pattern)} is the platform of no worker", f"write {pattern.list_key}: {right}"
    return None


def _times(pattern: _Pattern) -> _Said:
    if not _TIMES.fullmatch(pattern.text.strip()):
        return None
    message = f"{_shown(pattern)} is a time, and 'cron' is the name of a cron job"
    return message, "write its name; the times are set where the cron job is added, in the settings of the repository"


_RULES: dict[str, tuple[Callable[[_Pattern], _Said], ...]] = {
    "branch": (_regex, _negated, _ref_as_branch, _separated, _no_branch),
    "ref": (_regex, _negated, _separated, _no_ref),
    "path": (_regex, _negated, _comma, _no_path),
    "platform": (_comma, _no_platform),
    "cron": (_comma, _times),
}
