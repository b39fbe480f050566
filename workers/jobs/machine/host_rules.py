"""Keeps the rules of the engine's host in place while the worker runs: a firewall's restart removes them, and other
people's containers in the default network come and go.
"""

import time
from collections.abc import Callable, Mapping
from threading import Thread

import structlog

from runner.docker.client import Engine
from runner.errors import StepError
from runner.network.egress import EgressSettings
from runner.network.host_guard import GuardError, Reach, guard_host, others_in_default_network
from workers.settings import Settings

SET_AGAIN_S = 300
"""How often the rules are set again, whether they are there or not: looking costs as much."""
_NAMES_SHOWN_MAX = 5

_log = structlog.get_logger()


class HostRulesUpkeep:
    """Sets the rules at the worker's start, and again when they may be missing or others' containers have changed."""

    def __init__(
        self, key: str, egress: EgressSettings, settings: Settings, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = key
        self._egress = egress
        self._clock_s = clock_s
        self._builds = settings.builds_reach_host
        self._steps_reach_host = settings.steps_reach_host
        self._others: Mapping[str, tuple[str, ...]] = {}
        self._set_at_s: float | None = None
        self._problem = ""
        self._thread: Thread | None = None

    @property
    def is_wanted(self) -> bool:
        """False where steps reach the host: then builds do too, unless the settings forbid that in so many words."""
        return not self._steps_reach_host or self._builds == "false"

    def look(self, engine: Engine) -> None:
        """Sets the rules at first and when it is time. Logs what it finds; an error is only logged, once."""
        if not self.is_wanted:
            return
        try:
            others = others_in_default_network(engine) if self._builds == "auto" else {}
            if others != self._others or self._is_time():
                self._set(engine, others)
        except (GuardError, StepError) as error:
            if str(error) != self._problem:
                _log.warning(str(error))
            self._problem = str(error)

    def look_in_background(self, engine: Engine) -> None:
        """The same in a thread, for the process that forks: a container is started, which takes a moment."""
        if self.is_wanted and not (self._thread and self._thread.is_alive()):
            self._thread = Thread(target=self.look, args=(engine,), name="host rules", daemon=True)
            self._thread.start()

    def _is_time(self) -> bool:
        return self._set_at_s is None or self._clock_s() - self._set_at_s >= SET_AGAIN_S

    def _set(self, engine: Engine, others: Mapping[str, tuple[str, ...]]) -> None:
        is_first = self._set_at_s is None
        # Before the attempt, because one that fails is repeated no sooner.
        self._set_at_s = self._clock_s()
        if others and set(others) - set(self._others):
            _log.warning(_others_sentence(list(others)))
        self._others = others
        reach = Reach(self._egress.steps, self._egress.builds, others, builds_reach_host=self._builds == "true")
        were_missing = guard_host(engine, self._key, int(time.time()), reach)
        self._problem = ""
        if were_missing and not is_first:
            _log.warning(
                "rules that keep steps and builds from this host were missing in its firewall, and are set again; "
                "a restart of firewalld or `iptables -F` removes them"
            )


def _others_sentence(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN_MAX]) + (" and others" if len(names) > _NAMES_SHOWN_MAX else "")
    return (
        f"builds do not reach this engine's host, but these containers, which share its default network with them, "
        f"do: {shown}. Give them a network of their own (docker network create), or choose with "
        f"HEADWAY_BUILDS_REACH_HOST whether all of that network reaches the host (true) or nothing of it (false)"
    )
