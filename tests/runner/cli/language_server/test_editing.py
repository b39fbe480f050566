"""``headway language-server`` as an editor uses it: a process, and messages through its pipes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.cli.language_server.messages import HEADER_BYTES_MAX, MESSAGE_BYTES_MAX, read_message, write_message

HEADWAY = str(Path(sys.executable).with_name("headway"))
pytestmark = pytest.mark.slow
Diagnostics = list[dict[str, Any]]


class Editor:
    """A client: it sends messages, and reads the server's."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.input, self.output = process, process.stdin, process.stdout
        self.count = 0
        self.published: dict[str, tuple[int | None, Diagnostics]] = {}

    def read(self) -> dict[str, Any]:
        """The next message; problems are kept too."""
        message = read_message(self.output)
        assert message is not None, "the server has ended"
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            self.published[params["uri"]] = (params.get("version"), params["diagnostics"])
        return dict(message)

    def notify(self, method: str, **params: object) -> None:
        write_message(self.input, {"method": method, "params": params})

    def request(self, method: str, **params: object) -> Any:
        """The result of a request."""
        self.count += 1
        write_message(self.input, {"id": self.count, "method": method, "params": params})
        while (message := self.read()).get("id") != self.count:
            pass
        return message["result"]

    def open(self, path: Path, text: str) -> None:
        document = {"uri": path.as_uri(), "version": 1, "languageId": "yaml", "text": text}
        self.notify("textDocument/didOpen", textDocument=document)

    def change(self, path: Path, version: int, text: str) -> None:
        document = {"uri": path.as_uri(), "version": version}
        self.notify("textDocument/didChange", textDocument=document, contentChanges=[{"text": text}])

    def problems(self, path: Path, version: int | None) -> Diagnostics:
        """The problems of this version of a document, when they are there."""
        while self.published.get(path.as_uri(), (0, []))[0] != version:
            self.read()
        return self.published[path.as_uri()][1]

    def ask(self, method: str, path: Path, line: int, character: int) -> Any:
        place = {"line": line, "character": character}
        return self.request(f"textDocument/{method}", textDocument={"uri": path.as_uri()}, position=place)


@pytest.fixture
def editor() -> Iterator[Editor]:
    with subprocess.Popen([HEADWAY, "language-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        client = Editor(process)
        client.request("initialize", processId=None, rootUri=None, capabilities={})
        client.notify("initialized")
        yield client
        if process.poll() is None:
            client.request("shutdown")
            client.notify("exit")
            assert process.wait() == 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".headway.yml"


def test_problems_come_when_a_file_is_opened_and_go_when_it_is_right(editor: Editor, file: Path) -> None:
    editor.open(file, "steps:\n  - image: a:1\n    comands: x\n")
    [problem] = editor.problems(file, 1)
    assert problem["range"] == {"start": {"line": 2, "character": 4}, "end": {"line": 2, "character": 11}}
    assert problem["message"].startswith("unknown key 'comands'")
    assert "did you mean 'commands'?" in problem["message"]
    assert (problem["severity"], problem["source"]) == (1, "headway")
    editor.change(file, 2, "steps:\n  - image: a:1\n    commands: x\n")
    assert editor.problems(file, 2) == []
    editor.change(file, 3, "steps: [")
    assert "this is not YAML" in editor.problems(file, 3)[0]["message"]
    editor.notify("textDocument/didClose", textDocument={"uri": file.as_uri()})
    assert editor.problems(file, None) == []


def test_places_are_utf_16_code_units(editor: Editor, file: Path) -> None:
    editor.open(file, "steps: [{name: '🚢🚢é', image: 'a:1', comands: x}]\r\n")
    [problem] = editor.problems(file, 1)
    assert problem["range"]["start"] == {"line": 0, "character": 38}
    assert problem["range"]["end"]["character"] == 45
    hover = editor.ask("hover", file, 0, 26)
    assert "The image to run in" in hover["contents"]["value"]
    [first, *_] = editor.ask("completion", file, 0, 39)
    assert first["textEdit"]["range"] == {"start": {"line": 0, "character": 38}, "end": {"line": 0, "character": 39}}


def test_a_line_that_is_not_finished_is_completed(editor: Editor, file: Path) -> None:
    editor.open(file, "steps:\n  test:\n    image: a:1\n    comm\n  - [}\n")
    items = {item["label"]: item for item in editor.ask("completion", file, 3, 8)}
    assert items["commands"]["textEdit"] == {
        "newText": "commands: ",
        "range": {"start": {"line": 3, "character": 4}, "end": {"line": 3, "character": 8}},
    }
    assert "Shell commands" in items["commands"]["documentation"]["value"]
    assert items["group"]["tags"] == [1]
    assert "image" not in items, "it is there already"
    assert "this is not YAML" in editor.problems(file, 1)[0]["message"]


def test_values_are_completed(editor: Editor, file: Path) -> None:
    editor.open(file, "steps:\n  test:\n    image: a\n    when: {event: [push, \n    failure: \n    pull: ")
    events = [item["label"] for item in editor.ask("completion", file, 3, 25)]
    assert events[:2] == ["push", "tag"]
    assert {item["label"] for item in editor.ask("completion", file, 4, 13)} == {"fail", "ignore", "cancel"}
    assert {item["label"] for item in editor.ask("completion", file, 5, 10)} == {"true", "false"}


def test_a_fragment_counts_as_it_is_open_and_not_as_it_is_saved(editor: Editor, file: Path, tmp_path: Path) -> None:
    fragment = tmp_path / "ci" / "a.yml"
    fragment.parent.mkdir()
    fragment.write_text("steps: [{name: a, image: 'i:1', comands: x}]\n")
    file.write_text("steps: [{include: ci/a.yml}]\n")
    editor.open(file, file.read_text())
    [problem] = editor.problems(file, 1)
    assert problem["message"].startswith("ci/a.yml:1:33: unknown key 'comands'")
    editor.open(fragment, "steps: [{name: a, image: 'i:1', commands: x, pul: true}]\n")
    [problem] = editor.problems(fragment, 1)
    assert problem["message"].startswith("unknown key 'pul'")
    assert editor.ask("hover", fragment, 0, 20) is not None
    editor.change(fragment, 2, "steps: [{name: a, image: 'i:1', commands: x}]\n")
    assert editor.problems(fragment, 2) == []
    editor.published.clear()
    editor.notify("textDocument/didSave", textDocument={"uri": fragment.as_uri()})
    assert editor.problems(file, 1) == []


def test_problems_come_also_while_the_editor_goes_on_asking(editor: Editor, file: Path) -> None:
    editor.open(file, "steps: []")
    while not editor.published:
        editor.ask("hover", file, 0, 0)
    assert editor.problems(file, 1) != []


def test_a_megabyte_of_junk_gets_one_problem(editor: Editor, file: Path) -> None:
    for version, junk in enumerate(("[" * 1_000_000, "🚢\n\0- " * 200_000, "a: &a [*a]\n" * 100_000), start=2):
        editor.open(file, "")
        editor.change(file, version, junk)
        assert len(editor.problems(file, version)) == 1
        editor.ask("completion", file, 0, 1_000)
        editor.ask("hover", file, 0, 1_000)


def test_other_files_get_nothing(editor: Editor, tmp_path: Path) -> None:
    other = tmp_path / "values.yml"
    editor.open(other, "steps: [{comands: x}]")
    editor.open(tmp_path / ".headway.yml", "steps: []")
    assert editor.problems(tmp_path / ".headway.yml", 1) != []
    assert editor.ask("completion", other, 0, 0) == []
    assert editor.ask("hover", other, 0, 0) is None
    assert other.as_uri() not in editor.published


def test_no_request_is_left_without_an_answer(editor: Editor) -> None:
    def answer(**message: object) -> dict[str, Any]:
        write_message(editor.input, message)
        return editor.read()

    assert answer(id=1001, method="workspace/symbol")["error"]["code"] == -32601
    assert answer(id=1002, method="textDocument/hover", params=[])["error"]["code"] == -32602
    assert answer(id="x", method="textDocument/hover", params={"textDocument": {"uri": {}}})["error"]["code"] == -32602
    for content in (b"{", b"[]", b"[" * 100_000):
        editor.input.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        editor.input.flush()
        assert editor.read()["error"]["code"] == -32700


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: %d\r\n\r\n" % (MESSAGE_BYTES_MAX + 1),
        b"Content-Length: x\r\n\r\n",
        b"\r\n",
        b"x" * (HEADER_BYTES_MAX + 1),
    ],
)
def test_a_stream_that_is_not_the_protocol_ends_the_server_with_a_sentence(sent: bytes) -> None:
    done = subprocess.run([HEADWAY, "language-server", "--stdio"], input=sent, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith((b"headway: a message needs", b"headway: the header of a message has more than"))


def test_the_end_of_the_pipe_ends_the_server() -> None:
    done = subprocess.run([HEADWAY, "language-server"], input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_the_largest_message_is_read(editor: Editor) -> None:
    frame = json.dumps({"id": 7, "method": "x", "params": ""})
    content = frame.replace('""', '"' + " " * (MESSAGE_BYTES_MAX - len(frame)) + '"').encode()
    assert len(content) == MESSAGE_BYTES_MAX
    editor.input.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
    editor.input.flush()
    assert editor.read()["error"]["code"] == -32601
