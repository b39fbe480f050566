"""The Redis that ``headway serve`` starts for itself when the settings name none."""

import os
import secrets
import shutil
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from redis import RedisError

from runner.private import private_folder
from web.server.supervisor import ChildProcess, program
from workers.errors import StartError
from workers.settings import Settings
from workers.streaming.redis_stream import connect

_START_S = 15.0
_STOP_S = 10.0
# Where a Redis may be installed that is not on every user's PATH.
_MORE_PLACES = "/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin"


def redis_program(more_places: str = _MORE_PLACES) -> str | None:
    """The path of redis-server, or of valkey-server, which speaks the same protocol; None if neither is installed."""
    for places in (os.environ.get("PATH", os.defpath), more_places):
        for name in ("redis-server", "valkey-server"):
            if path := shutil.which(name, path=places):
                return path
    return None


def find_redis(more_places: str = _MORE_PLACES) -> str:
    """The path of a Redis server. Raises StartError."""
    path = redis_program(more_places)
    if path is None:
        raise StartError(
            "no Redis found: neither redis-server nor valkey-server is installed. Install one (Debian and "
            "Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; macOS: brew install redis), or run one "
            "in a container and name it:\n"
            "  docker run -d --restart unless-stopped -p 127.0.0.1:6379:6379 redis:7-alpine\n"
            "  HEADWAY_REDIS_URL=redis://127.0.0.1:6379/0 headway serve"
        )
    return path


def start_private_redis(settings: Settings, stack: ExitStack) -> tuple[Settings, list[ChildProcess]]:
    """Starts a Redis, unless the settings name one; the settings with its address. ``stack`` stops it at the end."""
    if "redis_url" in settings.model_fields_set:
        return settings, []
    server = find_redis()
    folder = settings.redis_dir
    private_folder(folder)
    port, password = _free_port(), secrets.token_urlsafe(24)
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    # noeviction: Redis must not drop the queue when its memory is full.
    config.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{folder.absolute()}"\ndaemonize no\n'
        'loglevel warning\nlogfile redis.log\nsave ""\nappendonly yes\nappendfsync everysec\n'
        # hz: how often a second it looks for expired keys and the like. By default ten times, also at rest.
        "maxmemory-policy noeviction\nhz 1\n"
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    child = ChildProcess("redis", program([server, str(config.absolute())], os.environ), _STOP_S)
    child.start()
    stack.callback(child.stop)
    _wait_until_ready(url, child, folder / "redis.log")
    return settings.model_copy(update={"redis_url": url}), [child]


def _wait_until_ready(url: str, child: ChildProcess, log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    with connect(url) as redis:
        while True:
            try:
                redis.ping()
            except RedisError as error:
                if not child.alive or time.monotonic() > deadline_s:
                    raise StartError(f"The private Redis did not start: {error}. Look at {log}.") from None
                time.sleep(0.02)
            else:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
