"""The services of the web server."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.web.conftest import Site
from workers.streaming.redis_stream import connect


@dataclass
class FailingRedis:
    """A server that closes every connection, and counts them."""

    listener: socket.socket
    connections: list[str] = field(default_factory=list)

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append("one more")
            connection.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"


@pytest.fixture
def failing_redis() -> Iterator[FailingRedis]:
    server = FailingRedis(socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=server.accept)
    thread.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    thread.join(10)


def test_live_updates_back_off_after_a_failure_of_redis(site: Site, failing_redis: FailingRedis) -> None:
    with connect(failing_redis.url) as redis:
        services = replace(site.services, redis=redis)
        assert not services.live.changed(1)
        first = len(failing_redis.connections)
        assert first > 0
        assert not services.live.changed(1)
        assert not services.live.publish_cancel(1)
    assert len(failing_redis.connections) == first, "within the back-off no request may try Redis again"


def test_all_threads_share_one_live_tail(site: Site) -> None:
    assert site.services.live is site.services.live
