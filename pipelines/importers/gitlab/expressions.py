"""Conditions of ``rules: if`` as expressions of ``evaluate``."""

import re
from collections.abc import Mapping

from pipelines.environment.variables import OWN_NAMES

_TOKENS = re.compile(
    r"\s*(?:(?P<word>==|!=|=~|!~|&&|\|\||\(|\)|!)|\$\{?(?P<name>\w+)\}?|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<regex>/(?:\\.|[^/\\])*/[imsux]*)|(?P<null>null\b))"
)
_NO_PULL_REQUEST = '(CI_PIPELINE_EVENT == "pull_request" ? "" : CI_COMMIT_BRANCH)'
_OPERANDS = {
    "CI_COMMIT_BRANCH": _NO_PULL_REQUEST,
    "CI_COMMIT_REF_NAME": f'(CI_COMMIT_TAG != "" ? CI_COMMIT_TAG : {_NO_PULL_REQUEST})',
    "CI_DEFAULT_BRANCH": "CI_REPO_DEFAULT_BRANCH",
    "CI_MERGE_REQUEST_IID": "CI_COMMIT_PULL_REQUEST",
    "CI_MERGE_REQUEST_ID": "CI_COMMIT_PULL_REQUEST",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "CI_COMMIT_SOURCE_BRANCH",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "CI_COMMIT_TARGET_BRANCH",
    "CI_PROJECT_PATH": "CI_REPO",
    "CI_PROJECT_NAME": "CI_REPO_NAME",
    "CI_PROJECT_NAMESPACE": "CI_REPO_OWNER",
    "CI_COMMIT_TITLE": "CI_COMMIT_MESSAGE",
    "GITLAB_USER_LOGIN": "CI_PIPELINE_AUTHOR",
    "CI_PIPELINE_SOURCE": "CI_PIPELINE_EVENT",
}
SOURCES: Mapping[str, tuple[str, ...]] = {
    "push": ("push", "tag"),
    "merge_request_event": ("pull_request",),
    "external_pull_request_event": ("pull_request",),
    "schedule": ("cron",),
    "web": ("manual",),
    "api": ("manual",),
    "trigger": ("manual",),
    "pipeline": ("manual",),
    "chat": ("manual",),
    "webide": ("push",),
    "parent_pipeline": ("manual",),
}
"""Values of CI_PIPELINE_SOURCE, and the events here."""

_CLASSES = {"d": "[0-9]", "w": "[A-Za-z0-9_]", "s": "[ ]", "D": "[^0-9]", "W": "[^A-Za-z0-9_]", "b": "", "S": "[^ ]"}


class UnreadableError(Exception):
    """The expression is not one that is known here."""


def expression(text: str, own: Mapping[str, str]) -> str:
    """The expression; variables that are set nowhere are empty. Raises UnreadableError."""
    parts: list[str] = []
    operands: list[str] = []
    pending = ""
    for kind, token in _tokens(text):
        if kind == "word" and token not in {"==", "!=", "=~", "!~"}:
            _end_operand(parts, operands, pending)
            pending = ""
            parts.append(token)
        elif kind == "word":
            pending = token
        else:
            operands.append(_operand(kind, token, own, pending))
            if pending:
                parts.append(_comparison(operands[-2:], pending, kind))
                operands.clear()
                pending = ""
    _end_operand(parts, operands, pending)
    return " ".join(parts).replace("( ", "(").replace(" )", ")").replace("! ", "!")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    end = 0
    while text[end:].strip():
        match = _TOKENS.match(text, end)
        if match is None:
            raise UnreadableError(text[end:].strip()[:20])
        found.append((match.lastgroup or "", match[match.lastgroup or 0]))
        end = match.end()
    return found


def _end_operand(parts: list[str], operands: list[str], pending: str) -> None:
    """A variable alone holds if it is not empty."""
    if pending:
        raise UnreadableError(pending)
    if operands:
        parts.append(f'{operands[-1]} != ""')
        operands.clear()


def _operand(kind: str, token: str, own: Mapping[str, str], pending: str) -> str:
    if kind == "null":
        return '""'
    if kind == "regex":
        return _regex(token)
    if kind == "text":
        inner = token[1:-1]
        if pending in {"=~", "!~"}:
            return _regex(inner if inner.startswith("/") else f"/{inner}/")
        return _quoted(inner)
    if token in own:
        return _quoted(own[token])
    if token in _OPERANDS:
        return _OPERANDS[token]
    return token if token in OWN_NAMES else '""'


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        raise UnreadableError(text)
    return f'"{text}"'


def _comparison(operands: list[str], word: str, kind: str) -> str:
    if len(operands) < 2:  # noqa: PLR2004 - a comparison has two sides
        raise UnreadableError(word)
    left, right = operands
    if left == "CI_PIPELINE_EVENT" and kind == "text" and word in {"==", "!="}:
        events = SOURCES.get(right.strip('"'), (right.strip('"'),))
        listed = ", ".join(f'"{event}"' for event in events)
        return f"CI_PIPELINE_EVENT {'not ' if word == '!=' else ''}in [{listed}]"
    if word in {"==", "!="}:
        return f"{left} {word} {right}"
    return f"{left} matches {right}" if word == "=~" else f"not ({left} matches {right})"


def _regex(token: str) -> str:
    """A regular expression between slashes, without backslashes, which a text here does not have."""
    body, _, flags = token[1:].rpartition("/")
    plain = re.sub(r"\\(.)", lambda found: _CLASSES.get(found[1], _one(found[1])), body)
    if '"' in plain:
        raise UnreadableError(token)
    return f'"{"(?i)" if "i" in flags else ""}{plain}"'


def _one(character: str) -> str:
    return f"[{character}]" if character in ".+*?()|{}$" else character
