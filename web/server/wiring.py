"""What a web process is made of: its services, and the Redis that ``headway serve`` starts."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from web.security.login_limiter import LoginLimiter
from web.services import Services
from workers.errors import StartError
from workers.logs import open_logs
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import BackgroundNotifier, Notifier
from workers.settings import Settings
from workers.startup import open_keys
from workers.streaming.redis_stream import connect

# Where a Redis may be that is not on everybody's PATH.
_MORE_PLACES = "/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin"


def redis_program(more_places: str = _MORE_PLACES) -> str | None:
    """The path of a Redis server, or of Valkey, which is one under another name; None where neither is installed."""
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


@contextmanager
def services(settings: Settings, engine: Engine) -> Iterator[Services]:
    """All that the web application needs, closed at the end. Raises StartError."""
    vault = open_keys(settings)
    redis = connect(settings.redis_url)
    try:
        with BackgroundNotifier(Notifier(make_celery(settings))) as notifier:
            yield Services(settings, engine, notifier.notify, open_logs(settings), vault, redis, LoginLimiter())
    finally:
        redis.close()
