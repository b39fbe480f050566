"""The server: documents that are open in an editor, and its requests about them."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pipelines.parser.excerpts import end_of_word
from pipelines.problem import Level, Problem
from pipelines.syntax.yaml import TEXT_BYTES_MAX
from runner.cli.language_server.cursor import ITEM, cursor_at
from runner.cli.language_server.messages import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Message
from runner.cli.language_server.problems import is_workflow, problems_of
from runner.cli.language_server.schema import description, keys_at, values_at
from runner.cli.lint import UsageError
from runner.errors import StepError

DOCUMENTS_COUNT_MAX = 200

_SEVERITIES = {Level.ERROR: 1, Level.WARNING: 2, Level.HINT: 4}
_KEY, _VALUE, _DEPRECATED = 10, 12, 1
_CAPABILITIES = {
    "positionEncoding": "utf-16",
    "textDocumentSync": {"openClose": True, "change": 1, "save": True},
    "completionProvider": {"triggerCharacters": [" ", ":"]},
    "hoverProvider": True,
}


class _Document(NamedTuple):
    path: Path
    version: int | None
    text: str

    @property
    def lines(self) -> list[str]:
        return [line.removesuffix("\r") for line in self.text.split("\n")]


class LanguageServer:
    """Answers the messages of one editor through ``send``. ``exit_code`` is set when it shall end."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._documents: dict[str, _Document] = {}
        self._ours: set[str] = set()
        self._is_shut_down = False
        self.changed: dict[str, None] = {}
        self.exit_code: int | None = None

    def handle(self, message: Message) -> None:
        """Answers a request, or takes note of what a notification says."""
        method, params = message.get("method"), message.get("params")
        answer: Message
        try:
            if "id" not in message:
                self._notice(method, params)
                return
            if self._is_shut_down:
                answer = {"error": {"code": INVALID_REQUEST, "message": "the server has been shut down"}}
            else:
                answer = self._answer(method, params)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            answer = {"error": {"code": INVALID_PARAMS, "message": f"wrong parameters: {error!r}"[:300]}}
        if method is not None and "id" in message:  # one without a method is the answer to a request, and we make none
            self._send({"id": message["id"], **answer})

    def _answer(self, method: object, params: Any) -> Message:  # noqa: ANN401 - JSON
        match method:
            case "initialize":
                return {"result": {"capabilities": _CAPABILITIES, "serverInfo": {"name": "headway"}}}
            case "shutdown":
                self._is_shut_down = True
                return {"result": None}
            case "textDocument/completion":
                return {"result": self._completion(*self._place(params))}
            case "textDocument/hover":
                return {"result": self._hover(*self._place(params))}
            case _:
                return {"error": {"code": METHOD_NOT_FOUND, "message": f"there is no method {method!r}"[:300]}}

    def _notice(self, method: object, params: Any) -> None:  # noqa: ANN401 - JSON
        match method:
            case "exit":
                self.exit_code = 0 if self._is_shut_down else 1
            case "textDocument/didOpen":
                self._set(params["textDocument"], params["textDocument"]["text"])
            case "textDocument/didChange":
                self._set(params["textDocument"], params["contentChanges"][-1]["text"])
            case "textDocument/didSave":  # others may include it
                self.changed |= dict.fromkeys(self._documents)
            case "textDocument/didClose":
                uri = params["textDocument"]["uri"]
                self.changed.pop(uri, None)
                self._ours.discard(uri)
                if self._documents.pop(uri, None):
                    self._publish(uri, None, [])
            case _:
                pass

    def _set(self, document: Any, text: str) -> None:  # noqa: ANN401 - JSON
        uri = document["uri"]
        path = Path(os.fsdecode(os.fsencode(unquote(urlsplit(uri).path))))  # raises ValueError for no possible path
        is_full = len(self._documents) >= DOCUMENTS_COUNT_MAX and uri not in self._documents
        if uri.startswith("file:") and path.is_absolute() and "\0" not in path.name and not is_full:
            self._documents[uri] = _Document(path, document.get("version"), str(text)[: TEXT_BYTES_MAX + 1])
            self.changed[uri] = None

    def check(self) -> None:
        """Publishes the problems of one document that has changed."""
        uri = next(iter(self.changed))
        del self.changed[uri]
        document = self._documents[uri]
        opened = {each.path: each.text.encode(errors="replace") for each in self._documents.values()}
        try:
            found = problems_of(document.path, opened)
        except (UsageError, StepError, OSError) as error:
            found = [Problem(document.path.as_posix(), 1, 1, str(error))]
        if found is not None:
            self._ours.add(uri)
            lines = document.lines
            self._publish(uri, document.version, [_diagnostic(each, lines) for each in found])

    def _publish(self, uri: str, version: int | None, diagnostics: Sequence[Message]) -> None:
        params = {"uri": uri, "diagnostics": diagnostics} | ({} if version is None else {"version": version})
        self._send({"method": "textDocument/publishDiagnostics", "params": params})

    def _place(self, params: Any) -> tuple[list[str], int, int]:  # noqa: ANN401 - JSON
        """The lines of a document, and line and column in them; no lines where there is nothing to say."""
        uri = params["textDocument"]["uri"]
        document = self._documents.get(uri)
        line, units = int(params["position"]["line"]), int(params["position"]["character"])
        if document is None or not (uri in self._ours or is_workflow(document.path)):
            return [], 0, 0
        lines = document.lines
        if not 0 <= line < len(lines) or units < 0:
            return [], 0, 0
        return lines, line, _characters(lines[line], units)

    def _completion(self, lines: list[str], line: int, column: int) -> list[Message]:
        cursor = cursor_at(lines, line, column) if lines else None
        if cursor is None:
            return []
        start = {"line": line, "character": _units(lines[line][: column - len(cursor.word)])}
        replaced = {"start": start, "end": {"line": line, "character": _units(lines[line][:column])}}
        items: list[Message] = []
        if not cursor.is_value:
            colon = "" if re.match(r"[\w$-]*:", lines[line][column:]) else ": "
            for key, values in keys_at(cursor).items():
                if key not in cursor.present:
                    edit = {"range": replaced, "newText": key + colon}
                    tags = [_DEPRECATED] if any(each.get("deprecated") for each in values) else []
                    about = {"kind": "markdown", "value": description(values)}
                    items.append({"label": key, "kind": _KEY, "tags": tags, "documentation": about, "textEdit": edit})
        if cursor.is_value or cursor.path[-1:] == (ITEM,):
            for text, detail in values_at(cursor).items():
                edit = {"range": replaced, "newText": text}
                items.append({"label": text, "kind": _VALUE, "detail": detail, "textEdit": edit})
        return items

    def _hover(self, lines: list[str], line: int, column: int) -> Message | None:
        word = re.compile(r"[\w$.-]*").match(lines[line], column) if lines else None
        cursor = cursor_at(lines, line, word.end()) if word else None
        if cursor is None:
            return None
        if cursor.is_value:
            *path, key = cursor.path
            cursor = cursor._replace(path=tuple(path), word=key)
        text = description(keys_at(cursor).get(cursor.word, ()))
        return {"contents": {"kind": "markdown", "value": text}} if text else None


def _diagnostic(problem: Problem, lines: Sequence[str]) -> Message:
    line = min(problem.line, len(lines)) - 1
    start = min(problem.column - 1, len(lines[line]))
    end = min(end_of_word(lines[line], start), len(lines[line]))
    text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
    places = [{"line": line, "character": _units(lines[line][:each])} for each in (start, end)]
    severity = _SEVERITIES[problem.level]
    return {"range": dict(zip(("start", "end"), places, strict=True)), "severity": severity, "source": "headway",
            "message": text}  # fmt: skip


def _units(text: str) -> int:
    """The length in UTF-16 code units, in which the protocol counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _characters(text: str, units: int) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")[: units * 2].decode("utf-16-le", "ignore"))
