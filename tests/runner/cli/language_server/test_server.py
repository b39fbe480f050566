"""What the language server does with messages, one by one."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.problem import Level
from runner.cli.language_server import server as module
from runner.cli.language_server.messages import Message
from runner.cli.language_server.problems import problems_of
from runner.cli.language_server.server import LanguageServer

OTHER = "https://git.example.org/team/ci.git"


class Sent(list[Message]):
    """A server, and what it has sent."""

    def __init__(self) -> None:
        super().__init__()
        self.server = LanguageServer(self.append)

    def notify(self, method: str, params: object) -> None:
        self.server.handle({"method": method, "params": params})

    def open(self, uri: object, text: object = "steps: []") -> None:
        self.notify("textDocument/didOpen", {"textDocument": {"uri": uri, "text": text}})

    def published(self) -> list[Any]:
        """The documents whose problems are published when all changed ones have been checked."""
        while self.server.changed:
            self.server.check()
        return [each["params"]["uri"] for each in self if each.get("method") == "textDocument/publishDiagnostics"]


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_several_changes_are_checked_once(sent: Sent, tmp_path: Path) -> None:
    uri = (tmp_path / ".headway.yml").as_uri()
    sent.open(uri)
    for version in (2, 3):
        change = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": "steps: x"}]}
        sent.notify("textDocument/didChange", change)
    assert sent.published() == [uri]
    assert sent[0]["params"]["version"] == 3


def test_so_many_documents_are_open_and_no_more(sent: Sent, tmp_path: Path) -> None:
    uris = [(tmp_path / f"{index}" / ".headway.yml").as_uri() for index in range(module.DOCUMENTS_COUNT_MAX + 1)]
    for uri in uris:
        sent.open(uri)
    sent.open(uris[0])
    assert list(sent.server.changed) == uris[:-1]
    sent.notify("textDocument/didClose", {"textDocument": {"uri": uris[0]}})
    assert uris[0] not in sent.server.changed
    sent.open(uris[-1])
    assert uris[-1] in sent.server.changed


@pytest.mark.parametrize(
    "uri",
    ["untitled:1", "http://x/.headway.yml", "file:.headway.yml", "file:///a%00/b", "file:///\ud800", 7, {}, "http://["],
)
def test_what_is_no_file_is_left_alone(sent: Sent, uri: object) -> None:
    sent.open(uri)
    assert sent.published() == []
    assert sent == []


@pytest.mark.parametrize("text", [7, None, ["a"], "\ud800: [", "\0"])
def test_any_text_can_be_opened(sent: Sent, tmp_path: Path, text: object) -> None:
    uri = (tmp_path / ".headway.yml").as_uri()
    sent.open(uri, text)
    assert sent.published() == [uri]
    assert len(sent[0]["params"]["diagnostics"]) == 1


@pytest.mark.parametrize(
    "place",
    [
        {"line": 1e999, "character": 0},
        {"line": "x", "character": 0},
        {"line": None},
        {},
        None,
    ],
)
def test_a_wrong_place_is_an_error(sent: Sent, tmp_path: Path, place: object) -> None:
    uri = (tmp_path / ".headway.yml").as_uri()
    sent.open(uri)
    params = {"textDocument": {"uri": uri}, "position": place}
    sent.server.handle({"id": 1, "method": "textDocument/hover", "params": params})
    assert sent[0]["error"]["code"] == -32602


@pytest.mark.parametrize(("line", "character"), [(-1, 0), (1, 0), (0, -1), (0, 10**9)])
def test_a_place_outside_has_no_help(sent: Sent, tmp_path: Path, line: int, character: int) -> None:
    uri = (tmp_path / ".headway.yml").as_uri()
    sent.open(uri, "# x")
    params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
    sent.server.handle({"id": 1, "method": "textDocument/hover", "params": params})
    sent.server.handle({"id": 2, "method": "textDocument/completion", "params": params})
    assert list(sent) == [{"id": 1, "result": None}, {"id": 2, "result": []}]


def test_hover_explains_a_key_and_that_of_a_value(sent: Sent, tmp_path: Path) -> None:
    uri = (tmp_path / ".headway.yml").as_uri()
    sent.open(uri, "steps:\n  test:\n    image: golang\n    failure: ignore\n")
    texts = []
    for line, character in ((2, 4), (3, 15), (1, 3)):
        params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        sent.server.handle({"id": 1, "method": "textDocument/hover", "params": params})
        texts.append((sent[-1]["result"] or {"contents": {"value": ""}})["contents"]["value"])
    assert texts[0].startswith("The image to run in")
    assert texts[1].startswith("What its failing means")
    assert "Default: `fail`" in texts[1]
    assert texts[2] == "", "the name of a step is no key of the language"


def test_the_session_ends_in_order(sent: Sent) -> None:
    sent.server.handle({"id": 1, "method": "shutdown"})
    sent.server.handle({"id": 2, "method": "textDocument/hover"})
    assert sent[0] == {"id": 1, "result": None}
    assert sent[1]["error"]["code"] == -32600
    sent.notify("exit", None)
    assert sent.server.exit_code == 0


def test_an_end_without_a_shutdown_is_a_failure(sent: Sent) -> None:
    sent.server.handle({"id": 7, "result": None})
    sent.notify("$/setTrace", {"value": "off"})
    sent.notify("exit", None)
    assert (sent.server.exit_code, list(sent)) == (1, [])


def test_a_file_that_no_pipeline_includes_gets_nothing(sent: Sent, tmp_path: Path) -> None:
    (tmp_path / ".headway").mkdir()
    (tmp_path / ".headway" / "b.yml").write_text("steps: []")
    sent.open((tmp_path / "c.yml").as_uri(), "services: [")
    assert sent.published() == []


def test_no_other_repository_is_read_and_a_hint_says_so(tmp_path: Path) -> None:
    file = tmp_path / ".headway.yml"
    include = f"{{include: {{repo: '{OTHER}', sha: {'a' * 40}, path: a.yml}}}}"
    found = problems_of(file, {file: f"steps: [{include}, {{name: t, image: 'i:1', commands: x}}]\n".encode()})
    assert found is not None
    assert [(each.level, each.line) for each in found] == [(Level.HINT, 1)]
    assert "`headway lint` reads them" in found[0].message
