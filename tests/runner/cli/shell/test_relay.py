"""The relay between this process and a command in a container, with pipes and sockets in place of both."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from runner.cli.shell.relay import relay
from runner.docker.streams.attach import attach_exec
from runner.errors import MachineError
from runner.events import Stream
from tests.support.certificate_authority import CertificateAuthority

LARGE = b"x" * 3_000_000


@dataclass
class Far:
    """The engine's end of the connection, and the request that came."""

    connection: socket.socket
    request: bytes = b""

    def accept(self, first: bytes = b"") -> None:
        while b"\r\n\r\n{" not in self.request or not self.request.endswith(b"}"):
            self.request += self.connection.recv(4096)
        self.connection.sendall(b"HTTP/1.1 101 UPGRADED\r\n\r\n" + first)

    def read_all(self) -> bytes:
        return b"".join(iter(lambda: self.connection.recv(65536), b""))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Far]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, Far(theirs)


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4) + data


def relayed(ours: socket.socket, given: bytes, *, terminal: bool) -> tuple[bytes, bytes]:
    """What arrives at the two outputs, for this on standard input."""
    source, written = os.pipe()
    files = {stream: os.memfd_create(str(stream)) for stream in (Stream.STDOUT, Stream.STDERR)}

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(written, "wb") as pipe:
            pipe.write(given)

    writer = Thread(target=write)
    writer.start()
    relay(attach_exec(ours, "/exec/1/start", terminal=terminal), source, files)
    os.close(source)
    writer.join()
    found = tuple(os.pread(file, len(LARGE) + 1, 0) for file in files.values())
    for file in files.values():
        os.close(file)
    return found[0], found[1]


def test_the_outputs_are_apart_without_a_terminal_and_the_end_of_the_input_arrives(
    ends: tuple[socket.socket, Far],
) -> None:
    ours, far = ends

    def answer() -> None:
        far.accept(frame(1, b"early "))
        far.connection.sendall(frame(2, b"wrong") + frame(1, b"got " + far.read_all()))
        far.connection.close()

    thread = Thread(target=answer)
    thread.start()
    assert relayed(ours, b"ls\n", terminal=False) == (b"early got ls\n", b"wrong")
    thread.join()
    assert b'"Tty": false' in far.request


def test_a_terminal_has_one_stream_as_it_is(ends: tuple[socket.socket, Far]) -> None:
    ours, far = ends

    def answer() -> None:
        far.accept(b"\x01\x00\x00\x00 no frame")
        far.read_all()
        far.connection.close()

    thread = Thread(target=answer)
    thread.start()
    assert relayed(ours, b"", terminal=True) == (b"\x01\x00\x00\x00 no frame", b"")
    thread.join()


def test_much_in_both_directions_at_once_does_not_deadlock(ends: tuple[socket.socket, Far]) -> None:
    """The far end reads nothing before it has written all: a write that waits for it never ends."""
    ours, far = ends
    got = list[bytes]()

    def answer() -> None:
        far.accept()
        far.connection.sendall(frame(1, LARGE))
        got.append(far.read_all())
        far.connection.close()

    thread = Thread(target=answer)
    thread.start()
    assert relayed(ours, LARGE, terminal=False) == (LARGE, b"")
    thread.join()
    assert got == [LARGE]


def test_input_for_a_command_that_has_ended_is_no_error(ends: tuple[socket.socket, Far]) -> None:
    ours, far = ends

    def answer() -> None:
        far.accept(frame(1, b"bye"))
        far.connection.close()

    thread = Thread(target=answer)
    thread.start()
    assert relayed(ours, LARGE, terminal=False) == (b"bye", b"")
    thread.join()


def test_an_engine_that_refuses_is_a_sentence(ends: tuple[socket.socket, Far]) -> None:
    ours, far = ends

    def answer() -> None:
        far.connection.recv(4096)
        far.connection.sendall(b"HTTP/1.1 409 Conflict\r\n\r\n")

    thread = Thread(target=answer)
    thread.start()
    with pytest.raises(MachineError, match="did not let a container be entered"):
        attach_exec(ours, "/exec/1/start", terminal=False)
    thread.join()


def test_over_tls_the_end_of_the_input_is_a_command(tmp_path: Path) -> None:
    """One direction of a TLS connection cannot be closed: a shell ends by ``exit``, with its last command's status."""
    authority = CertificateAuthority(tmp_path)
    server, client = authority.context("engine"), ssl.create_default_context(cafile=str(authority.file))
    plain, their_plain = socket.socketpair()
    got = list[bytes]()

    def answer() -> None:
        with server.wrap_socket(their_plain, server_side=True) as theirs:
            far = Far(theirs)
            far.accept()
            said = b""
            while not said.endswith(b"exit\n"):
                said += theirs.recv(65536)
            got.append(said)
            theirs.sendall(frame(1, b"done"))

    thread = Thread(target=answer)
    thread.start()
    with client.wrap_socket(plain, server_hostname="engine") as ours:
        assert relayed(ours, b"ls;" * 10_000, terminal=False) == (b"done", b"")
    thread.join()
    assert got == [b"ls;" * 10_000 + b"\nexit\n"]
