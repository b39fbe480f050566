"""Connects a process to what the settings name. Failures become sentences for whoever started it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.network.proxies import proxies_of
from web.errors import StartError
from web.security.login_limiter import LoginLimiter
from web.services import Services
from workers.db.session import make_engine, upgrade
from workers.logs import open_logs
from workers.queue.celery_app import Bell, Ringer, make_celery
from workers.secrets.vault import Vault, VaultError, open_vault
from workers.settings import Settings, load_settings
from workers.streaming.redis_stream import connect

# Where a Redis may be that is not on everybody's PATH.
_MORE_PLACES = "/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin"


def read_settings(**overrides: object) -> Settings:
    """The settings from the environment. Raises StartError naming each that cannot be used."""
    try:
        proxies_of(os.environ)
    except ValueError as error:
        raise StartError(f"{error}.") from None
    try:
        return load_settings(**overrides)
    except ValidationError as error:
        wrong = [f"HEADWAY_{'_'.join(map(str, part['loc'])).upper()}: {part['msg']}" for part in error.errors()]
        raise StartError("These settings cannot be used: " + "; ".join(wrong) + ".") from None


@contextmanager
def sentences(settings: Settings) -> Iterator[None]:
    """Turns what commonly goes wrong at the start into StartError."""
    try:
        yield
    except VaultError as error:
        raise StartError(str(error)) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise StartError(
            f"The database cannot be used: {reason}. Look at HEADWAY_DATABASE_URL, and if tables are missing run: "
            "headway db upgrade"
        ) from None
    except PermissionError as error:
        raise StartError(
            f"{error.filename} cannot be used by user {os.geteuid()}. Give it to this user, or choose another "
            f"directory than {settings.data_dir} with HEADWAY_DATA_DIR."
        ) from None


def prepare_data_dir(settings: Settings) -> None:
    """Makes the data directory and shows that it can be written. Raises StartError."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = settings.data_dir / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise StartError(
            f"{settings.data_dir} cannot be used as the data directory for user {os.geteuid()}: {reason}. Give it to "
            "this user, or choose another with HEADWAY_DATA_DIR."
        ) from None


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
def database(settings: Settings, *, migrate: bool = False) -> Iterator[Engine]:
    """The database; with ``migrate`` its tables are brought up to date first. Raises StartError.

    SQLite belongs to one machine, so its tables are always brought up to date.
    """
    prepare_data_dir(settings)
    engine = make_engine(settings.database)
    try:
        with sentences(settings):
            if migrate or engine.dialect.name == "sqlite":
                upgrade(engine)
            yield engine
    finally:
        engine.dispose()


def open_keys(settings: Settings) -> Vault:
    """The vault. Raises StartError."""
    with sentences(settings):
        return open_vault(settings)


@contextmanager
def services(settings: Settings, engine: Engine) -> Iterator[Services]:
    """All that the web application needs, closed at the end. Raises StartError."""
    vault = open_keys(settings)
    redis = connect(settings.redis_url)
    try:
        with Ringer(Bell(make_celery(settings))) as ringer:
            yield Services(settings, engine, ringer.ring, open_logs(settings), vault, redis, LoginLimiter())
    finally:
        redis.close()
