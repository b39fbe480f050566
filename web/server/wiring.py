"""Opens the services of a web process from its settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from web.security.login_limiter import LoginLimiter
from web.services import Services
from workers.logs import open_logs
from workers.queue.celery_app import Bell, Ringer, make_celery
from workers.settings import Settings
from workers.startup import open_keys
from workers.streaming.redis_stream import connect


@contextmanager
def open_services(settings: Settings, engine: Engine) -> Iterator[Services]:
    """The services of the web application, closed at the end. Raises StartError."""
    vault = open_keys(settings)
    redis = connect(settings.redis_url)
    try:
        with Ringer(Bell(make_celery(settings))) as ringer:
            yield Services(settings, engine, ringer.ring, open_logs(settings), vault, redis, LoginLimiter())
    finally:
        redis.close()
