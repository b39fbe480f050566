"""What the engine says while it pulls or pushes."""

import json
import socket
import threading

from runner.docker.streams.progress_stream import Message, ProgressStream


def messages(*said: Message) -> list[Message]:
    ours, theirs = socket.socketpair()
    body = b"".join(json.dumps(each).encode() + b"\r\n" for each in said)

    def serve() -> None:
        with theirs:
            theirs.recv(4096)
            theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    thread = threading.Thread(target=serve)
    thread.start()
    got = list(ProgressStream(ours, "/images/create", {}))
    thread.join()
    return got


def test_an_error_is_one_wherever_the_engine_says_it() -> None:
    said: list[Message] = [
        {"status": "Pulling"},
        {"error": "a", "errorDetail": {"message": "a"}},
        {"errorDetail": {"message": "b"}},
    ]
    assert [each.get("error") for each in messages(*said)] == [None, "a", "b"]
