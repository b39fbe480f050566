"""What the steps wait for before they start: whether a service has it, and a sentence about what it lacks."""

import re
import shlex
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from pipelines.plan import Service
from pipelines.step_options.ready import CommandCheck, ExitCheck, HealthCheck, HttpCheck, PortCheck
from pipelines.visible import visible_line
from runner.docker.client import Engine
from runner.execution.container.launch import Launch

POLL_S = 0.1
HEALTH_TIMEOUT_S = 30.0
"""How long a HEALTHCHECK may take that says nothing, as in the engine."""
COMMAND_CHARS_MAX = 100
"""As much of a command is in a sentence."""
_LISTENING = "0A"
_HEAD = "local_address"
_NOT_FOUND = 127
_HTTP_STATUS = re.compile(r"\b[45]\d\d\b")
_HTTP_ANSWER_S_MAX = 10
_DIRECTLY = "http_proxy= https_proxy="
_LONGER = "or raise its `timeout:`"
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class OpenPorts:
    """The TCP ports that a container listens on: ``reachable`` from others, and ``inside``, on loopback alone."""

    reachable: frozenset[int]
    inside: frozenset[int]


class Readiness:
    """Asks one service. ``stopped`` says that no step waits any more."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        service: Service,
        image: Mapping[str, Any],
        launch: Launch,
        stopped: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._container = container
        self._service = service
        self._launch = launch
        self._stopped = stopped
        self._exposed = exposed_ports(image)
        self._health = _health_command(image)
        self._health_timeout_s = _health_timeout_s(image)
        self._answer = ""

    @property
    def waits_for_exit(self) -> bool:
        """True for ``ready: exit``: the steps wait for its end."""
        return isinstance(self._service.ready, ExitCheck)

    @property
    def wanted(self) -> str:
        """What the steps wait for; empty if for nothing."""
        match self._service.ready:
            case CommandCheck(command=command):
                return f"the command {_shown(command)} to succeed in its container{self._answer}"
            case PortCheck(port=port):
                return f"port {port} to accept connections"
            case HttpCheck(url=url):
                return f"{_shown(url)} to answer, asked with wget or curl in its container{self._answer}"
            case ExitCheck():
                return "it to end with 0 (`ready: exit`)"
            case HealthCheck(words=words) if words:
                return f"its healthcheck ({_shown(' '.join(words))}) to succeed{self._answer}"
            case None | HealthCheck():
                return self._wanted_by_image()
            case _:
                assert_never(self._service.ready)

    def _wanted_by_image(self) -> str:
        if self._health:
            return f"its image's HEALTHCHECK ({_shown(' '.join(self._health))}) to succeed{self._answer}"
        if not self._exposed:
            return ""
        one_of = "one of " if self._exposed[1:] else ""
        return f"{one_of}{_ports(self._exposed)}, which its image exposes, to accept connections"

    def holds(self, state: Mapping[str, Any], deadline: float) -> bool:
        """Checks ``ready:`` of the pipeline file; else the image's HEALTHCHECK; else the TCP ports that it EXPOSEs."""
        match self._service.ready:
            case CommandCheck(command=command):
                script = "\n".join((*self._launch.restore, command))
                return self._succeeds(["sh", "-c", script], deadline, self._launch.overrides)
            case PortCheck(port=port):
                return self._listens({port}, state)
            case HttpCheck(url=url):
                return self._succeeds(["sh", "-c", _http_script(url)], deadline, self._launch.overrides)
            case ExitCheck():
                return False
            case HealthCheck(words=words) if words:
                return self._succeeds(words, deadline, None)
            case None | HealthCheck() if self._health:
                return self._is_healthy(state, deadline)
            case None | HealthCheck():
                return not self._exposed or self._listens(set(self._exposed), state)
            case _:
                assert_never(self._service.ready)

    def _is_healthy(self, state: Mapping[str, Any], deadline: float) -> bool:
        """The engine runs a HEALTHCHECK only at its interval, which may be minutes, so it is run here as well."""
        if (state["State"].get("Health") or {}).get("Status") == "healthy":
            return True
        return self._succeeds(self._health, min(deadline, time.monotonic() + self._health_timeout_s), None)

    def _succeeds(self, command: Sequence[str], deadline: float, overrides: Mapping[str, str] | None) -> bool:
        """True when the command succeeds. Waits for a command that hangs until the deadline, or until it is stopped."""
        run = self._engine.start_exec(self._container, list(command), overrides)
        if not run or not self._answer:
            self._answer = ", which did not end" if run else ", which cannot be run there"
        while run and time.monotonic() < deadline and not self._stopped():
            status = self._engine.exec_exit_code(run)
            if status is not None:
                meaning = " (a command was not found in the image)" if status == _NOT_FOUND else ""
                self._answer = f", which ended with {status} the last time{meaning}"
                return status == 0
            time.sleep(POLL_S / 2)
        return False

    def _listens(self, ports: set[int], state: Mapping[str, Any]) -> bool:
        """True when one of ``ports`` is open: by the kernel's table, or by connecting if the image has no ``cat``."""
        found = self._open_ports()
        if found is not None:
            return bool(ports & found.reachable)
        addresses = _addresses(state) or ["127.0.0.1"]
        return any(_connects(address, port) for address in addresses for port in ports)

    def _open_ports(self) -> OpenPorts | None:
        look = ["cat", "/proc/net/tcp", "/proc/net/tcp6"]
        status, output = self._engine.exec(self._container, look, self._launch.overrides)
        table = output.decode(errors="replace")
        # Without its first line the output is not all of it.
        return open_ports(table) if status in {0, 1} and _HEAD in table else None

    def _http_answer(self, url: str) -> str:
        """What the service answers, as wget or curl puts it; empty if it answers nothing."""
        script = _http_script(url, f"timeout {_HTTP_ANSWER_S_MAX}")
        _, said = self._engine.exec(self._container, ["sh", "-c", script], self._launch.overrides)
        lines = [line for line in said.decode(errors="replace").splitlines() if _HTTP_STATUS.search(line)]
        return visible_line(lines[-1].strip()[:COMMAND_CHARS_MAX]) if lines else ""

    def remedy(self) -> str:
        """For a service that runs and never became ready: what does answer, and the ``ready:`` that would help."""
        match self._service.ready:
            case HealthCheck():
                hint = "write a `healthcheck` that fits, with more `retries` or `start_period` if it needs longer"
                return f"{hint}, or `healthcheck: {{disable: true}}` to wait for nothing"
            case ExitCheck():
                hint = "`ready: exit` is for a service that ends; leave it out for one that serves"
                return f"it still runs: {hint}, {_LONGER}"
            case HttpCheck(url=url) if said := self._http_answer(url):
                return f"it says: {said}; correct `ready:`, {_LONGER}"
            case _:
                return self._by_open_ports()

    def _by_open_ports(self) -> str:
        found = self._open_ports()
        if found is None:
            return "which of its ports are open cannot be seen, its image has no `cat`: correct `ready:`, " + _LONGER
        if isinstance(self._service.ready, PortCheck):
            found = OpenPorts(found.reachable - {self._service.ready.port}, found.inside)
        if found.reachable:
            listens = f"it listens on {_ports(sorted(found.reachable))}"
            return f"{listens}: write `ready: {{port: {min(found.reachable)}}}` if that is what steps need, {_LONGER}"
        if found.inside:
            listens = f"it listens on {_ports(sorted(found.inside))} of 127.0.0.1 alone, which steps do not reach"
            return f"{listens}: let it listen on 0.0.0.0, {_LONGER}"
        if self._service.ready is None:
            exits = "`ready: exit` if it does some work and ends"
            return f"none of its ports is open: write {exits}, `ready:` with a command that fits, {_LONGER}"
        return f"none of its ports is open: correct `ready:`, {_LONGER}"


def _http_script(url: str, limit: str = "") -> str:
    """Asks a server inside the service, with a program of its image: 0 if it answers, and its words where it refuses.

    BusyBox ignores NO_PROXY, so no proxy is set. ``limit`` is what bounds the time of each program.
    """
    url = shlex.quote(url.replace("://:", "://127.0.0.1:"))
    wget, curl = f"{limit} wget -q -O /dev/null {url}", f"{limit} curl -fsS -o /dev/null {url}"
    # A wget without TLS may stand beside a curl that has it.
    return (
        f"export {_DIRECTLY}; s={_NOT_FOUND}; has() {{ command -v $1 >/dev/null; }}; has {limit or 'sh'} || exit; "
        f"if has wget; then {wget} && exit 0; s=$?; fi; if has curl; then {curl}; s=$?; fi; exit $s"
    )


def _shown(text: str) -> str:
    text = visible_line(text.strip())
    return f"`{text if len(text) <= COMMAND_CHARS_MAX else f'{text[:COMMAND_CHARS_MAX]}...'}`"


def _ports(ports: Sequence[int]) -> str:
    *others, last = map(str, ports)
    return f"ports {', '.join(others)} and {last}" if others else f"port {last}"


def exposed_ports(image: Mapping[str, Any]) -> tuple[int, ...]:
    """The TCP ports that an image EXPOSEs, in order."""
    ports = (image.get("Config") or {}).get("ExposedPorts") or {}
    return tuple(sorted({int(port.partition("/")[0]) for port in ports if port.endswith("/tcp")}))


def _health_command(image: Mapping[str, Any]) -> list[str]:
    """The command of the image's HEALTHCHECK; empty if it has none, or NONE."""
    config = image.get("Config") or {}
    kind, *words = (config.get("Healthcheck") or {}).get("Test") or [""]
    if kind == "CMD-SHELL":
        return [*(config.get("Shell") or ("/bin/sh", "-c")), *words]
    return words if kind == "CMD" else []


def _health_timeout_s(image: Mapping[str, Any]) -> float:
    nanoseconds = ((image.get("Config") or {}).get("Healthcheck") or {}).get("Timeout") or 0
    return nanoseconds / _NANOSECONDS or HEALTH_TIMEOUT_S


def open_ports(table: str) -> OpenPorts:
    """The ports in ``/proc/net/tcp`` and ``tcp6`` that are listened on."""
    found = re.findall(r"^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) ", table, re.MULTILINE)
    listening = [(address, int(port, 16)) for address, port, state in found if state == _LISTENING]
    # On networks of a user's own the engine's DNS server listens inside each container, on 127.0.0.11.
    inside = {port for address, port in listening if _is_loopback(address) and not address.endswith("0B00007F")}
    reachable = frozenset(port for address, port in listening if not _is_loopback(address))
    return OpenPorts(reachable, frozenset(inside) - reachable)


def _is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8, also as an address of IPv6, and for ::1."""
    is_ipv4 = len(address) == len("0100007F") or address.startswith("0000000000000000FFFF0000")
    return (is_ipv4 and address.endswith("7F")) or address == "00000000000000000000000001000000"


def _addresses(state: Mapping[str, Any]) -> list[str]:
    networks = state["NetworkSettings"]["Networks"].values()
    return [network["IPAddress"] for network in networks if network.get("IPAddress")]


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
