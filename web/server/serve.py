"""``headway serve``: all processes on one machine; and ``headway web``: only the pages and the API."""

import errno
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TextIO

from runner.private import private_umask
from web.operations.accounts import users
from web.operations.repos import repos
from web.server.forked_process import fork, import_before_fork
from web.server.http_server import make_server
from web.server.private_redis import start_private_redis
from web.server.signals import Signals
from web.server.supervisor import ChildProcess, headway_command, program
from web.server.wiring import open_services
from web.services import Services
from workers.cli.errors import exit_status
from workers.errors import NotYetError, StartError
from workers.settings import Settings
from workers.startup import database, prepare_data_dir

PrintLine = Callable[[str], None]

# By name: ``headway web`` on a machine of its own never loads the code that runs containers.
_PROCESSES = "workers.cli.processes"
_IMPORTED = (_PROCESSES, "workers.jobs.process.process", "workers.scheduler.scheduler")
# At shutdown a worker stops its steps within ``shutdown_s``, and then cleans up.
_WORKER_CLEANUP_S, _SCHEDULER_STOP_S = 10.0, 10.0


def serve(settings: Settings, print_line: PrintLine) -> None:
    """Runs the web server, a worker, the scheduler and a Redis of its own until TERM or INT. Raises StartError."""
    prepare_data_dir(settings)
    with private_umask(), ExitStack() as stack:
        lock = stack.enter_context(_only_one(settings.data_dir / "serve.lock"))
        listener = stack.enter_context(_listen(settings))
        _migrate(settings)
        signals = stack.enter_context(Signals())
        settings, redis = start_private_redis(settings, stack)
        with database(settings) as engine, open_services(settings, engine) as services:
            # What cannot be used is said here; and what this process has once made, the others share.
            repos.any_repo(services)
            import_before_fork(_IMPORTED)
        close = [lock.fileno(), listener.fileno(), *signals.descriptors]
        children = [*redis, *_worker_and_scheduler(settings, close)]
        with _children(children), _pages(settings, listener, signals, print_line):
            pause_s: float | None = None
            while signals.wait(pause_s):
                pauses = [child.restart_if_dead() for child in children]
                pause_s = min((pause for pause in pauses if pause is not None), default=None)
        # At the end of the block the web server stops first, then the children in reverse order.


def _migrate(settings: Settings) -> None:
    """In a process of its own: what migrations load and use is not needed again."""
    with suppress(NotYetError), database(settings):
        return

    def migrate() -> None:
        with database(settings, migrate=True):
            """Opened, it is up to date."""

    if status := fork("headway-db", partial(exit_status, migrate))().wait():
        raise SystemExit(status)


def serve_web(settings: Settings, print_line: PrintLine) -> None:
    """Runs the pages and the API until TERM or INT. Raises StartError."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(settings))
        engine = stack.enter_context(database(settings))
        services = stack.enter_context(open_services(settings, engine))
        # Uvicorn raises the signal again after its shutdown: without our handler it would kill the process.
        stack.enter_context(Signals())
        _print_welcome(services, print_line)
        make_server(services).run(sockets=[listener])


@contextmanager
def _pages(settings: Settings, listener: socket.socket, signals: Signals, print_line: PrintLine) -> Iterator[None]:
    """The web server in a thread, because the main thread supervises the children. If it ends, so does ``serve``."""
    with ExitStack() as stack:
        engine = stack.enter_context(database(settings))
        services = stack.enter_context(open_services(settings, engine))
        server = make_server(services)

        def run() -> None:
            try:
                server.run(sockets=[listener])
            finally:
                signals.end()

        thread = threading.Thread(target=run, name="web")
        _print_welcome(services, print_line)
        thread.start()
        try:
            yield
        finally:
            server.stop()
            thread.join()


@contextmanager
def _children(children: list[ChildProcess]) -> Iterator[None]:
    """Starts the children that do not run yet, and stops them in reverse order, so that Redis stops last."""
    try:
        for child in children:
            if not child.alive:
                child.start()
        yield
    finally:
        # All but the private Redis get TERM at once, so that they shut down at the same time.
        for child in children:
            if child.name != "redis":
                child.ask_to_stop()
        for child in reversed(children):
            child.stop()


def _worker_and_scheduler(settings: Settings, close: list[int]) -> list[ChildProcess]:
    """They are forked from this process, which has imported everything: it saves 80 MB.

    What dies later is started anew: this process has threads then. ``close`` are files of this process that they must
    not keep: a lock and a port are held by each process that has them open.
    """
    processes = import_module(_PROCESSES)
    environment = {
        **os.environ,
        "HEADWAY_DATA_DIR": str(settings.data_dir),
        "HEADWAY_DATABASE_URL": settings.database,
        "HEADWAY_REDIS_URL": settings.redis_url,
        "HEADWAY_BASE_URL": settings.url,
    }
    stop_s = {"worker": settings.shutdown_s + _WORKER_CLEANUP_S, "scheduler": _SCHEDULER_STOP_S}
    parts = (("worker", processes.supervised_worker, ("--stay",)), ("scheduler", processes.scheduler, ()))
    return [
        ChildProcess(
            name,
            fork(f"headway-{name}", partial(exit_status, partial(run, settings)), close),
            stop_s[name],
            again=program(headway_command(name, *options), environment),
        )
        for name, run, options in parts
    ]


def _listen(settings: Settings) -> socket.socket:
    """The web server's socket, bound before anything else starts. Raises StartError."""
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no name"
        raise StartError(
            f"Headway cannot listen on {host}: {why}. Name an address of this machine with --host or HEADWAY_HOST"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            hint = "it is no address of this machine. Name one with --host or HEADWAY_HOST"
        else:
            hint = f"{error.strerror}. Stop what uses it, or choose another: --port {port + 1}, or HEADWAY_PORT"
        raise StartError(f"Headway cannot listen on {host} port {port}: {hint}") from None


@contextmanager
def _only_one(path: Path) -> Iterator[TextIO]:
    """Raises StartError while another ``headway serve`` uses the same data directory."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"Another headway serve uses {path.parent}. Stop it first, or give this one its own HEADWAY_DATA_DIR."
            ) from None
        yield lock


def _print_welcome(services: Services, print_line: PrintLine) -> None:
    link = users.first_login(services)
    print_line(f"Headway serves {services.settings.url}")
    if link:
        print_line(f"First start: log in as admin with this link, which works once within a day:\n  {link}")
    if not repos.any_repo(services):
        where = "in another terminal, with the same HEADWAY_ variables" if _has_settings() else "in another terminal"
        print_line(f"Connect a repository ({where}):\n  headway repo add https://git.example.org/team/app")


def _has_settings() -> bool:
    return any(name.startswith("HEADWAY_") for name in os.environ)
