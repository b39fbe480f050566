"""Opens the services of a web process from its settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from web.security.login_limiter import LoginLimiter
from web.services import Services
from workers.logs import open_logs
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import BackgroundNotifier, Notifier
from workers.settings import Settings
from workers.startup import open_keys
from workers.streaming.redis_stream import connect


@contextmanager
def open_services(settings: Settings, engine: Engine) -> Iterator[Services]:
    """The services of the web application, closed at the end. Raises StartError."""
    vault = open_keys(settings, engine)
    redis = connect(settings.redis_url)
    try:
        with BackgroundNotifier(Notifier(make_celery(settings))) as notifier:
            yield Services(settings, engine, notifier.notify, open_logs(settings, engine), vault, redis, LoginLimiter())
    finally:
        redis.close()
