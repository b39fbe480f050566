"""``headway serve``: everything on one machine in one command, and ``headway web``: the pages and the API alone."""

import fcntl
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from redis import RedisError

from web.operations.admin import Administrator
from web.server.app import create_app
from web.server.supervisor import Child, headway_command
from web.server.wiring import find_redis, services
from web.services import Services
from workers.errors import StartError
from workers.settings import Settings
from workers.startup import database, prepare_data_dir
from workers.streaming.redis_stream import connect

Say = Callable[[str], None]

_REDIS_START_S = 15.0
_TEND_S = 0.5
_GRACEFUL_S = 5
# A worker ends its steps politely or hands its jobs back within Celery's 30 s.
_WORKER_STOP_S_MORE, _OTHER_STOP_S = 10.0, 10.0


def serve(settings: Settings, say: Say) -> None:
    """Runs the web server, a worker, the scheduler and a Redis of its own until TERM or INT. Raises StartError."""
    stop = threading.Event()
    prepare_data_dir(settings)
    with ExitStack() as stack:
        stack.enter_context(_only_one(settings.data_dir / "serve.lock"))
        listener = stack.enter_context(_listen(settings))
        engine = stack.enter_context(database(settings, migrate=True))
        stack.enter_context(_signals(stop))
        settings, redis = _with_redis(settings, stack)
        parts = stack.enter_context(services(settings, engine))
        children = [*redis, *_workers(settings)]
        with _children(children), _web(parts, listener, stop):
            _welcome(parts, say)
            while not stop.wait(_TEND_S):
                for child in children:
                    child.tend()
        # The web server has ended here, and after it the children, in their order.


def serve_web(settings: Settings, say: Say) -> None:
    """Runs the pages and the API until TERM or INT. Raises StartError."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(settings))
        engine = stack.enter_context(database(settings))
        parts = stack.enter_context(services(settings, engine))
        # Uvicorn raises the signal again when it has ended: ours takes it, or the process would die of it.
        stack.enter_context(_signals(threading.Event()))
        _welcome(parts, say)
        _server(parts).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn waits for open streams before it tells the application to end: they must hear of it first."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def _server(parts: Services) -> _Server:
    config = uvicorn.Config(
        create_app(parts),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_S,
    )
    return _Server(config, parts.stopping)


@contextmanager
def _web(parts: Services, listener: socket.socket, stop: threading.Event) -> Iterator[None]:
    """The web server in a thread, for the main thread must stay with the children. Its end is everybody's."""
    server = _server(parts)

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            stop.set()

    thread = threading.Thread(target=run, name="web")
    thread.start()
    try:
        yield
    finally:
        parts.stopping.set()
        server.should_exit = True
        thread.join()


@contextmanager
def _children(children: list[Child]) -> Iterator[None]:
    """Starts what is not started yet. At the end the last goes first: Redis outlives those who need it."""
    try:
        for child in children:
            if not child.alive:
                child.start()
        yield
    finally:
        # All but the first hear of it at once, so that they end side by side.
        for child in children[1:]:
            child.ask_to_stop()
        for child in reversed(children):
            child.stop()


def _workers(settings: Settings) -> list[Child]:
    environment = {
        **os.environ,
        "HEADWAY_DATA_DIR": str(settings.data_dir),
        "HEADWAY_DATABASE_URL": settings.database,
        "HEADWAY_REDIS_URL": settings.redis_url,
        "HEADWAY_BASE_URL": settings.url,
    }
    return [
        Child("worker", headway_command("worker"), environment, settings.shutdown_s + _WORKER_STOP_S_MORE),
        Child("scheduler", headway_command("scheduler"), environment, _OTHER_STOP_S),
    ]


def _with_redis(settings: Settings, stack: ExitStack) -> tuple[Settings, list[Child]]:
    """A private Redis, unless the settings name one."""
    if "redis_url" in settings.model_fields_set:
        return settings, []
    program = find_redis()
    folder = settings.data_dir / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    port, password = _free_port(), secrets.token_urlsafe(24)
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    # Nothing is ever evicted: an evicted queue would be a lost one.
    config.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{folder.absolute()}"\ndaemonize no\n'
        'loglevel warning\nlogfile redis.log\nsave ""\nappendonly yes\nappendfsync everysec\n'
        "maxmemory-policy noeviction\n"
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    child = Child("redis", [program, str(config.absolute())], os.environ, _OTHER_STOP_S)
    child.start()
    stack.callback(child.stop)
    _await_redis(url, child, folder / "redis.log")
    return settings.model_copy(update={"redis_url": url}), [child]


def _await_redis(url: str, child: Child, log: Path) -> None:
    deadline_s = time.monotonic() + _REDIS_START_S
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


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """The web server's socket, taken before anything else is started. Raises StartError."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((settings.host, settings.port), family=family, backlog=2048) as listener:
            yield listener
    except (socket.gaierror, OSError) as error:
        if isinstance(error, ConnectionError):
            raise
        raise StartError(
            f"Headway cannot listen on {settings.host} port {settings.port}: {error.strerror}. Stop what uses it, or "
            f"choose another: HEADWAY_PORT={settings.port + 1}"
        ) from None


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Raises StartError while another ``headway serve`` uses the same data directory."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"Another headway serve uses {path.parent}. Stop it first, or give this one its own HEADWAY_DATA_DIR."
            ) from None
        yield


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """TERM and INT set ``stop``."""
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _welcome(parts: Services, say: Say) -> None:
    link = Administrator(parts.settings, parts.engine, parts.vault, parts.logs).first_login()
    say(f"Headway serves {parts.settings.url}")
    if link:
        say(f"First start: log in as admin with this link, which works once within a day:\n  {link}")
