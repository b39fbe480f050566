"""What the demo starts around Headway: programs of this machine, and containers for programs that are not installed."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from redis import Redis, RedisError

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.errors import MachineError
from web.server.private_redis import redis_program
from workers.jobs.process.connections import prove_data_dir

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".demo"
LABEL = "headway.demo"
START_S = 60
STOP_S = 45
LOOPBACK = "127.0.0.1"
FIRST_REGISTRY_PORT = 5000
REGISTRY_PORTS_TRIED = 20
IMAGES = {"registry": "registry:2", "redis": "redis:7-alpine"}
_LAST_LINES = 15

Check = Callable[[], None]
"""Raises DemoError if the program or container has ended."""


class DemoError(Exception):
    """The demo cannot run. The text says why, and what to do."""


def start_program(name: str, command: Sequence[str], environment: Mapping[str, str], stack: ExitStack) -> Check:
    """Starts a program of this machine, and stops it when the demo ends."""
    log_path = STATE / f"{name}.log"
    log = stack.enter_context(log_path.open("wb"))
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    stack.callback(_stop, name, process)

    def check() -> None:
        if process.poll() is not None:
            told = log_path.read_text(errors="replace")
            raise DemoError(f"{name} ended with {process.returncode}; its last lines ({log_path}):{_tail(told)}")

    return check


def tell(text: str) -> None:
    """Prints if the terminal is still open: cleanup must not fail because it was closed."""
    with suppress(OSError):
        print(text, flush=True)


def _stop(name: str, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    tell(f"stopping {name} ...")
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(text: str) -> str:
    return "".join(f"\n  {line}" for line in text.splitlines()[-_LAST_LINES:])


def await_answer(what: str, url: str, check: Check) -> None:
    """Waits until ``url`` answers. Raises DemoError."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        check()
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise DemoError(f"{what} did not answer at {url} within {START_S} s; look at {STATE}/{what}.log")


# Containers


def docker(*arguments: str, **variables: str) -> str:
    """What docker prints. Raises DemoError. It has its own session, so that Ctrl-C does not interrupt a removal."""
    done = subprocess.run(
        ["docker", *arguments], env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False, start_new_session=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise DemoError(f"docker {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def remove_containers() -> None:
    """Removes the containers of this checkout's demo, also leftovers of an earlier one that was killed."""
    found = docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={STATE}").split()
    if found:
        tell("removing the demo's containers ...")
        docker("rm", "--force", "--volumes", *found)


def start_container(name: str, ports: str, *command: str, **variables: str) -> Check:
    """Starts a container of ``IMAGES`` with ``ports`` (outer:inner) on the loopback address, and the environment
    ``variables``. ``remove_containers`` ends it.
    """
    image = IMAGES[name]
    if subprocess.run([ROOT / "scripts" / "images.sh", image], stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise DemoError(f"there is no image {image} for the {name}; the reason is above")
    options = [f"--label={LABEL}={STATE}", f"--publish={LOOPBACK}:{ports}"]
    # Only their names: every user of the machine can read a command line.
    options += [f"--env={variable}" for variable in variables]
    container = docker("run", "--detach", *options, image, *command, **variables).strip()

    def check() -> None:
        if docker("inspect", "--format", "{{.State.Running}}", container).strip() != "true":
            raise DemoError(f"the container of {name} ended; its last lines:{_tail(docker('logs', container))}")

    return check


def engine_is_on_this_machine() -> bool:
    """False for an engine in a virtual machine, such as Docker Desktop's: its 127.0.0.1 is another than ours."""
    return docker("info", "--format", "{{.Name}}").strip() == socket.gethostname()


def prove_shared_folder() -> None:
    """Raises DemoError if no usable engine answers, or if it does not see the demo's folder.

    A worker checks the same, ends, and would be restarted in a loop.
    """
    try:
        with closing(Engine()) as engine:
            prove_data_dir(engine, "demo", STATE)
    except MachineError as error:
        hint = ". Docker Desktop, OrbStack and Colima share your home with containers: clone Headway below it"
        raise DemoError(f"{error}{'' if error.reason is Reason.ENGINE_GONE else hint}") from None


# The registry and Redis


def registry_port() -> int:
    """HEADWAY_REGISTRY_PORT, or the first free port from 5000 on: on macOS the AirPlay receiver listens on 5000."""
    if named := os.environ.get("HEADWAY_REGISTRY_PORT"):
        return int(named)
    for port in range(FIRST_REGISTRY_PORT, FIRST_REGISTRY_PORT + REGISTRY_PORTS_TRIED):
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            return port
    raise DemoError("no free port for the registry was found; name one: HEADWAY_REGISTRY_PORT=5100 make demo")


def start_registry(port: int, stack: ExitStack) -> None:
    """The registry that the demo pushes to: docker-registry if it is installed, else a container."""
    program = shutil.which("docker-registry", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")
    if program and engine_is_on_this_machine():
        config = STATE / "registry.yml"
        storage = STATE / "registry"
        config.write_text(
            "version: 0.1\nlog: {level: warn}\n"
            f"storage: {{filesystem: {{rootdirectory: {json.dumps(str(storage))}}}}}\n"
            f"http: {{addr: '{LOOPBACK}:{port}'}}\n"
        )
        check = start_program("registry", [program, "serve", str(config)], os.environ, stack)
    else:
        check = start_container("registry", f"{port}:5000")
    await_answer("registry", f"http://{LOOPBACK}:{port}/v2/", check)


def start_redis() -> str:
    """The address of a Redis in a container; empty if Redis is installed, which ``headway serve`` starts."""
    if redis_program():
        return ""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(24)
    script = 'echo "requirepass $PASSWORD" | redis-server - --save "" --appendonly no'
    check = start_container("redis", f"{port}:6379", "sh", "-c", script, PASSWORD=password)
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    deadline = time.monotonic() + START_S
    with Redis.from_url(url) as redis:
        while True:
            check()
            try:
                redis.ping()
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise DemoError(f"Redis, in a container, did not answer within {START_S} s: {error}") from None
                time.sleep(0.1)
            else:
                return url
