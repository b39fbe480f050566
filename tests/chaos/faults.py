"""Faults: which there are, a schedule of them from a seed, and how each begins and ends."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos.proxy import Mode
from tests.chaos.servers import SturdyPostgres
from tests.chaos.stack import WORKERS, Stack
from tests.support.other_machine import OtherMachine, child_processes
from tests.support.services import Server
from tests.support.site import Part

PART, SERVER, PROXY, MACHINE = "part", "server", "proxy", "machine"
PARTS = ("web", "scheduler", *WORKERS)
DELAY_S = 0.3
WHAT: dict[str, tuple[str, ...]] = {
    PART: ("kill", "kill a child", "stop", "freeze"),
    SERVER: ("kill", "stop", "freeze"),
    PROXY: ("cut", "delay", "swallow"),
    MACHINE: ("lose power", "kill the engine", "stop the engine", "freeze the engine", "freeze all"),
}
_LASTS_S = {"freeze all": (8, 12), "lose power": (1, 9), "swallow": (2, 12), "freeze": (1, 10)}
_GAP_S = (0.3, 3.0)


@dataclass(frozen=True)
class Fault:
    """``what`` happens to ``target`` from ``at_s`` on, for ``lasts_s`` seconds."""

    at_s: float
    lasts_s: float
    kind: str
    what: str
    target: str

    def __str__(self) -> str:
        return f"{self.at_s:6.1f} s  {self.what}: {self.target}, for {self.lasts_s:.1f} s"


def targets(*, postgres: bool) -> list[tuple[str, str, str]]:
    """All that may happen: kind, what, target."""
    servers = ["redis", "registry", *(["database"] if postgres else [])]
    behind = [*servers, *(["blobs"] if postgres else [])]
    named = {PART: PARTS, SERVER: servers, PROXY: behind, MACHINE: ("first", "second")}
    found = [(kind, what, target) for kind, all_of in named.items() for target in all_of for what in WHAT[kind]]
    found.append((SERVER, "flush", "redis"))
    if postgres:
        found.append((SERVER, "freeze", "blobs"))  # it keeps its data in memory
    return found


def schedule(seed: str, for_s: float, *, postgres: bool) -> list[Fault]:
    """Faults within ``for_s`` seconds: the same for the same seed. Nothing meets two at the same time."""
    chance = random.Random(seed)
    possible = targets(postgres=postgres)
    busy: dict[str, float] = {}
    found: list[Fault] = []
    at_s = 2.0
    while at_s < for_s:
        # A kind with many targets is not more likely than another.
        kind = chance.choices((PART, SERVER, PROXY, MACHINE), weights=(4, 2, 3, 2))[0]
        _, what, target = chance.choice([each for each in possible if each[0] == kind])
        lasts_s = round(chance.uniform(*_LASTS_S.get(what, (0.2, 5))), 1)
        place = place_of(kind, target)
        if busy.get(place, 0) < at_s:
            found.append(Fault(round(at_s, 1), lasts_s, kind, what, target))
            busy[place] = at_s + lasts_s + 2
            at_s += chance.uniform(*_GAP_S)
        else:
            at_s += 0.2
    return found


def place_of(kind: str, target: str) -> str:
    """Where only one fault may be at a time: a server with its proxy, a machine with its workers."""
    return ("first", "second")[WORKERS[target]] if kind == PART and target in WORKERS else target


def play(stack: Stack, faults: Sequence[Fault], say: Callable[[str], None]) -> None:
    """Plays a schedule. Call it from the main thread: what it starts dies with the thread."""
    began_s = time.monotonic()
    moments = [(fault.at_s, 0, fault) for fault in faults] + [
        (fault.at_s + fault.lasts_s, 1, fault) for fault in faults
    ]
    ends: dict[Fault, Callable[[], None]] = {}
    for at_s, is_end, fault in sorted(moments, key=lambda each: each[:2]):
        time.sleep(max(0.0, began_s + at_s - time.monotonic()))
        if is_end:
            ends.pop(fault)()
        else:
            say(str(fault))
            ends[fault] = begin(stack, fault)


def begin(stack: Stack, fault: Fault) -> Callable[[], None]:
    """Begins a fault. Returns what ends it."""
    match fault.kind:
        case "part":
            return _part(stack, fault)
        case "server":
            return _server(stack, fault)
        case "proxy":
            proxy = stack.proxies[fault.target]
            stack.proxy_thread.change(proxy, Mode(fault.what), DELAY_S)
            return lambda: stack.proxy_thread.change(proxy, Mode.OPEN)
        case _:
            return _machine(stack, fault)


def _part(stack: Stack, fault: Fault) -> Callable[[], None]:
    part = stack.site.parts[fault.target]
    match fault.what:
        case "kill":
            part.kill()
        case "kill a child":
            children = part.pids[1:]
            part.signal(signal.SIGKILL, children[:1])
        case "stop":
            part.ask_to_stop()

            def again() -> None:
                part.stop()
                part.start()

            return again
        case _:
            frozen = part.pids
            part.signal(signal.SIGSTOP, frozen)
            return lambda: part.signal(signal.SIGCONT, frozen)
    return part.start


def _server(stack: Stack, fault: Fault) -> Callable[[], None]:
    server: Server = stack.servers[fault.target]
    match fault.what:
        case "flush":
            with suppress(Exception), stack.redis.client() as client:
                client.flushall()
            return lambda: None
        case "freeze":
            frozen = server_pids(server)
            _signal(signal.SIGSTOP, frozen)
            return lambda: _signal(signal.SIGCONT, frozen)
        case "kill" if isinstance(server, SturdyPostgres):
            server.crash()
        case "kill":
            server.stop(signal.SIGKILL)
        case _:
            server.stop(signal.SIGINT if isinstance(server, SturdyPostgres) else signal.SIGTERM)
    return stack.starts[fault.target]


def server_pids(server: Server) -> list[int]:
    """The server's process and its children."""
    assert server._process is not None
    return [server._process.pid, *child_processes(server._process.pid)]


def _signal(number: signal.Signals, pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _machine(stack: Stack, fault: Fault) -> Callable[[], None]:
    machine = next(each for each in stack.machines if each.name == fault.target)
    parts = [stack.site.parts[name] for name in stack.workers_of(machine)]
    match fault.what:
        case "lose power":
            return _lose_power(machine, parts)
        case "freeze all":
            frozen = [*machine.processes(), *(pid for part in parts for pid in part.pids)]
        case "freeze the engine":
            frozen = [machine.engine_process()]
        case _:
            number = signal.SIGKILL if fault.what == "kill the engine" else signal.SIGTERM
            _signal(number, [machine.engine_process()])
            return lambda: None  # it is started again by itself
    _signal(signal.SIGSTOP, frozen)

    def thaw() -> None:
        _signal(signal.SIGCONT, frozen)
        machine.go_on()
        for part in parts:
            part.signal(signal.SIGCONT)

    return thaw


def _lose_power(machine: OtherMachine, parts: Sequence[Part]) -> Callable[[], None]:
    machine.lose_power()
    for part in parts:
        part.kill()

    def start() -> None:
        machine.start()
        for part in parts:
            part.start()

    return start


def heal(stack: Stack) -> None:
    """Everything runs: what a schedule has not ended, or what ended by itself."""
    for part in stack.site.parts.values():
        part.start()
