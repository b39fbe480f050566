"""The streams of a container as they come over the wire."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.state import Reason
from runner.docker.endpoints.endpoint import Endpoint, UnixSocket, parse_address
from runner.docker.endpoints.transport import Transport
from runner.docker.streams.attach import Attached, attach, readable, replay
from runner.errors import MachineError
from runner.events import Stream

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=10)

Server = Callable[[bytes], socket.socket]


def frame(kind: int, data: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4) + data


def read_all(attached: Attached) -> list[tuple[Stream, bytes]]:
    got = []
    while not attached.ended:
        got += attached.read()
    return got


def joined(pieces: list[tuple[Stream, bytes]]) -> list[tuple[Stream, bytes]]:
    """The pieces, those that follow each other from the same stream as one."""
    by_stream = groupby(pieces, key=lambda piece: piece[0])
    return [(stream, b"".join(data for _, data in pieces)) for stream, pieces in by_stream]


@pytest.mark.slow
@given(FRAMES, st.data())
def test_frames_are_told_apart_however_they_are_cut(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = b"".join(frame(kind, text) for kind, text in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    ours, theirs = socket.socketpair()
    attached, got = Attached(ours, pieces[0]), []
    for piece in pieces[1:]:
        if piece:
            theirs.sendall(piece)
            got += attached.read()
    theirs.close()
    got += read_all(attached)
    attached.close()
    names = {1: Stream.STDOUT, 2: Stream.STDERR}
    assert joined(got) == joined([(names[kind], text) for kind, text in frames])


def test_output_that_came_with_the_answers_head_is_not_waited_for() -> None:
    """Of a container that writes nothing more for a while, as after the process that followed it was killed."""
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + frame(1, b"all of it"))
    attached = replay(ours, "/logs")
    assert readable(attached, None, 0)
    assert attached.read() == [(Stream.STDOUT, b"all of it")]
    assert not readable(attached, None, 0)
    assert theirs.recv(1000).startswith(b"GET /logs HTTP/1.0")
    theirs.close()
    assert read_all(attached) == []
    attached.close()


def test_frames_that_arrive_together_are_given_on_together() -> None:
    frames = frame(1, b"a") * 1_000 + frame(2, b"b") * 2 + frame(1, b"c")
    ours, theirs = socket.socketpair()
    attached = Attached(ours, frames)
    theirs.close()
    assert read_all(attached) == [(Stream.STDOUT, b"a" * 1_000), (Stream.STDERR, b"bb"), (Stream.STDOUT, b"c")]
    attached.close()


def test_a_large_frame_in_small_pieces_is_whole() -> None:
    ours, theirs = socket.socketpair()
    text = bytes(range(256)) * 4000

    def send() -> None:
        theirs.sendall(frame(2, text) + frame(1, b"end"))
        theirs.close()

    sender = threading.Thread(target=send)
    sender.start()
    attached = Attached(ours, b"")
    got = read_all(attached)
    sender.join()
    attached.close()
    assert got == [(Stream.STDERR, text), (Stream.STDOUT, b"end")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fake engine. Called with an answer, it gives a connection and answers one request on it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.listen()
    threads: list[threading.Thread] = []

    def answer(words: bytes) -> socket.socket:
        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(words)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return Transport(Endpoint(UnixSocket(f"{tmp_path}/engine.sock")), {}).connect()

    yield answer
    for thread in threads:
        thread.join()
    listener.close()


def test_output_that_comes_along_with_the_answers_head_is_kept(server: Server) -> None:
    attached = attach(server(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n" + frame(1, b"early")), "/attach")
    assert read_all(attached) == [(Stream.STDOUT, b"early")]
    attached.close()


@pytest.mark.parametrize("words", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 101", b""])
def test_an_engine_that_refuses_or_hangs_up_is_an_error(server: Server, words: bytes) -> None:
    with pytest.raises(MachineError) as refused:
        attach(server(words), "/attach")
    assert refused.value.reason is Reason.ENGINE_GONE


@pytest.mark.parametrize("host", ["unix:///nonexistent/engine.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_is_not_there_is_named(host: str) -> None:
    with pytest.raises(MachineError) as refused:
        Transport(Endpoint(parse_address(host, "DOCKER_HOST", None)), {}).connect()
    assert refused.value.reason is Reason.ENGINE_GONE
    assert host in str(refused.value)


def test_waiting_ends_with_output_with_a_wake_up_or_with_the_time() -> None:
    ours, theirs = socket.socketpair()
    wake, waker = socket.socketpair()
    attached = Attached(ours, b"")
    assert not readable(attached, wake.fileno(), 0.01)
    waker.send(b"!")
    assert not readable(attached, wake.fileno(), None)
    theirs.send(b"x")
    assert readable(attached, None, None)
    for connection in (ours, theirs, wake, waker):
        connection.close()


def test_output_that_tls_has_already_decrypted_is_not_waited_for(tmp_path: Path) -> None:
    client, server_side = tls_pair(tmp_path)
    with client, server_side:
        server_side.sendall(frame(1, b"x" * 16_000))
        attached = Attached(client, b"")
        assert client.recv(1) == b"\x01"
        assert readable(attached, None, 0)
        assert attached.pending()


def tls_pair(folder: Path) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Two ends of a TLS connection on this machine, with a certificate made for it."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    named = ["-subj", "/CN=engine", "-addext", "subjectAltName=DNS:engine"]
    command = ["openssl", "req", "-x509", *curve, "-nodes", "-keyout", str(key), "-out", str(certificate), *named]
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = socket.socketpair()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    done: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: done.append(serving.wrap_socket(theirs, server_side=True)))
    thread.start()
    client = trusting.wrap_socket(ours, server_hostname="engine")
    thread.join()
    return client, done[0]
