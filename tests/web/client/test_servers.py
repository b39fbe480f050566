"""Where commands find their server, and what is wrong with what they find."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from web.client.api import ANSWER_BYTES_MAX, connected
from web.client.servers import Server, find_server, keep_token, server_url
from workers.errors import StartError


@pytest.mark.parametrize(
    "text",
    ["ci.example.com", "ftp://ci.example.com", "https://", "http://:80", "https://a b", "https://[::1", "https://a:b"],
)
def test_an_address_has_a_scheme_and_a_host(text: str) -> None:
    with pytest.raises(StartError, match=r"--server is no address of a server: .* Write for example https://"):
        server_url(text, "--server")


@pytest.mark.parametrize("text", ["https://ada:pw@ci.example.com", "https://a/?x=1", "https://a/#x"])
def test_an_address_has_nothing_else(text: str) -> None:
    with pytest.raises(StartError, match="has more than an address"):
        server_url(text, "--server")


def test_an_address_may_have_a_path() -> None:
    assert server_url("http://[::1]:8080/ci/", "x") == "http://[::1]:8080/ci"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_the_newest_login_is_the_one_that_is_meant(home: dict[str, str]) -> None:
    one, two = Server("https://one", "1"), Server("https://two", "2")
    for server in (one, two):
        keep_token(server, home)
        assert find_server("", home) == server
    assert find_server("https://one", home) == one
    keep_token(one, home)
    assert find_server("", home) == one
    assert find_server("", {**home, "HEADWAY_SERVER": "https://two"}) == two
    assert find_server("", {**home, "HEADWAY_TOKEN": "3"}) == Server("https://one", "3")


def test_a_token_of_the_environment_goes_to_the_server_of_the_environment_alone(home: dict[str, str]) -> None:
    given = {**home, "HEADWAY_SERVER": "https://one/", "HEADWAY_TOKEN": "1"}
    assert find_server("https://one", given) == Server("https://one", "1")
    with pytest.raises(StartError, match=r"There is no token for https://two\. Log in"):
        find_server("https://two", given)
    keep_token(Server("https://two", "2"), home)
    assert find_server("https://two", given) == Server("https://two", "2")


@pytest.mark.parametrize(
    ("text", "mode", "sentence"),
    [
        ("{}", 0o640, "other users may read it. Run: chmod 600"),
        ("{", 0o600, "is not what headway login writes"),
        ('["a"]', 0o600, "is not what headway login writes"),
        ('{"a": 1}', 0o600, "is not what headway login writes"),
        ("\x00\xff", 0o600, "is not what headway login writes"),
    ],
)
def test_a_file_that_is_wrong_is_a_sentence(home: dict[str, str], text: str, mode: int, sentence: str) -> None:
    file = keep_token(Server("https://one", "1"), home)
    file.write_bytes(text.encode("latin-1"))
    file.chmod(mode)
    with pytest.raises(StartError, match=sentence):
        find_server("", home)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "headway").write_text("")
    with pytest.raises(StartError, match="cannot be read: Not a directory"):
        keep_token(Server("https://one", "1"), {"XDG_CONFIG_HOME": str(tmp_path)})
    (tmp_path / "headway").unlink()
    with pytest.raises(StartError, match="cannot be written"):
        keep_token(Server("https://one", "1"), {"XDG_CONFIG_HOME": "/proc"})


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says this to everyone who connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(answer)
                except OSError:
                    return  # the client has had enough

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(20)


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "connection: close", "", "")
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (http("302 Found", b"", "location: https://other/login"), "leads to https://other/login: name that address"),
        (http("200 OK", b"<html>"), "is no Headway server: what comes is no JSON"),
        (http("502 Bad Gateway", b"<html>"), "is no Headway server: HTTP 502"),
        (http("404 Not Found", b'["error"]'), "is no Headway server: HTTP 404"),
        (http("409 Conflict", b'{"error": "It has ended."}'), r"^It has ended\.$"),
        (http("503 Service Unavailable", b'{"error": "The database is away."}'), r"^The database is away\.$"),
        (b"no HTTP\r\n\r\n", "cannot be reached: "),
        (b"", "cannot be reached: "),
        (http("200 OK", b"x" * 10)[:-5], "cannot be reached: "),
    ],
)
def test_an_answer_that_is_not_the_apis_is_a_sentence(answer: bytes, sentence: str) -> None:
    with answering(answer) as url, connected(Server(url, "t")) as api, pytest.raises(StartError, match=sentence):
        api.get("/account")


def test_an_answer_has_a_largest_size() -> None:
    text = json.dumps("x" * (ANSWER_BYTES_MAX - 2)).encode()
    with answering(http("200 OK", text)) as url, connected(Server(url, "t")) as api:
        assert len(api.get("/account")) == ANSWER_BYTES_MAX - 2
    with (
        answering(http("200 OK", text + b" ")) as url,
        connected(Server(url, "t")) as api,
        pytest.raises(StartError, match="answers with more than 67,108,864 bytes"),
    ):
        api.get("/account")


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    sentence = f"http://127.0.0.1:{port} cannot be reached: .*refused"
    with connected(Server(f"http://127.0.0.1:{port}", "t")) as api, pytest.raises(StartError, match=sentence):
        api.get("/account")
