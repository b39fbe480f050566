"""An S3 for tests, on 127.0.0.1 and in a process of its own, and a door before it that may be shut."""

import secrets
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.services import Server

BUCKET = "headway-tests"
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}


class ObjectStoreServer(Server):
    """moto's server with one bucket. It keeps its data in memory."""

    def __init__(self) -> None:
        super().__init__("s3")
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and makes the bucket."""
        program = Path(sys.executable).with_name("moto_server")
        self._run(sys.executable, str(program), "-H", "127.0.0.1", "-p", str(self.port))
        self._wait(self._answers)
        request = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def object_store_server() -> Iterator[ObjectStoreServer]:
    """One for all tests of a process."""
    server = ObjectStoreServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def bucket_url(object_store_server: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of the test's own in the bucket, and the variables with which it is reached."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": object_store_server.endpoint}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{secrets.token_hex(4)}/logs-of-a-test"


class Door:
    """A TCP forwarder. While it is ``shut``, connections are refused at once, and open ones are cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.shut = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self.shut = True
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Ends open connections."""
        for each in self._open:
            each.close()
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.shut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


@pytest.fixture
def door(
    object_store_server: ObjectStoreServer, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Door]:  # fmt: skip
    """Requests to ``bucket_url`` go through it."""
    assert bucket_url
    forwarder = Door(object_store_server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{forwarder.port}")
    yield forwarder
    forwarder.close()
