"""What server rows start, each in its own folder, and stopped by its own process id."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from bench.measure import NotMeasurableError, clean_environment
from tests.e2e.stack import HEADWAY, Stack, ask, until
from tests.support.registry import Registry
from tests.support.services import free_port

_STOP_S = 20


@contextmanager
def child(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs as long as the block; it dies with this process, even when that is killed."""
    bound = ["setpriv", "--pdeathsig=KILL", *(str(word) for word in command)]
    root = Path(__file__).parent.parent
    with log.open("ab") as target:
        process = subprocess.Popen(
            bound, env=dict(environment or clean_environment()), cwd=root,
            stdin=subprocess.DEVNULL, stdout=target, stderr=target,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis as `headway serve` starts it; its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise NotMeasurableError("redis-server is not installed; `make bench` installs it")
    folder.mkdir(parents=True)
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "everysec"]
    with child(command, folder / "redis.log") as process:
        url = f"redis://127.0.0.1:{port}/0"
        until("Redis answers", lambda: _redis_answers(url, process))
        yield url


def _redis_answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise NotMeasurableError("redis-server did not start")
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


class Server(Stack):
    """The whole server of the end-to-end tests, with the settings that people have."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Registry("127.0.0.1:0", locked=False))

    @property
    def environment(self) -> dict[str, str]:
        """Its own place and address, all else as it comes."""
        return clean_environment(
            HEADWAY_DATA_DIR=str(self.data), HEADWAY_PORT=str(self.port), HEADWAY_BASE_URL=self.url
        )


class WebAlone(Server):
    """`headway web` with a Redis: deliveries are accepted, no worker runs."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        super().__init__(folder)
        self._redis_url = redis_url

    @property
    def environment(self) -> dict[str, str]:
        """With the Redis that it is given."""
        return super().environment | {"HEADWAY_REDIS_URL": self._redis_url}

    @contextmanager
    def running(self) -> Iterator[None]:
        """The process, as long as the block."""
        self.headway("db", "upgrade")
        with child([HEADWAY, "web"], self.log_path, self.environment) as self.process:
            until(f"headway web answers (see {self.log_path})", self._ready)
            yield
        self.process = None


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """`headway serve`: web server, worker, scheduler and Redis."""
    found = Server(folder)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def bare_route(folder: Path) -> Iterator[int]:
    """A FastAPI application with nothing but a POST route; its port."""
    port = free_port()
    with child([sys.executable, "-m", "bench.bare", str(port)], folder / "bare.log") as process:

        def answers() -> bool:
            if process.poll() is not None:
                raise NotMeasurableError((folder / "bare.log").read_text()[-600:])
            try:
                return ask(f"http://127.0.0.1:{port}/", method="POST", body=b"").status == 202  # noqa: PLR2004
            except OSError:
                return False

        until("the bare route answers", answers)
        yield port
