"""What ``headway run`` says of the pulls and services of a job: how long each took."""

import time
from collections.abc import Callable

from runner.events import ImagePullChanged, ServiceChanged
from runner.images.pull import megabytes

SAID_S_MIN = 1.0
"""A service that was ready sooner is not worth a line."""


class PreparationTimes:
    """Measures services from when they begin to start until the steps wait no longer. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun_s: dict[str, float] = {}

    def seconds(self, event: ServiceChanged) -> float | None:
        """How long the service has taken so far; None for one that has only begun, or that was not seen to begin."""
        if event.state == "starting" and not event.has_container:
            self._begun_s[event.name] = self._clock()
            return None
        begun = self._begun_s.get(event.name)
        return None if begun is None else self._clock() - begun

    def line(self, event: ImagePullChanged | ServiceChanged) -> str:
        """A line for people; empty where the event is not worth one. The log of a step says why a pull failed."""
        if isinstance(event, ServiceChanged):
            seconds = self.seconds(event)
            shown = event.state == "ready" and seconds is not None and seconds >= SAID_S_MIN
            return f"service {event.name} was ready after {seconds:.1f} s" if shown else ""
        if event.seconds is None or event.failed:
            return ""
        loaded = f", {megabytes(event.downloaded_bytes)} MB" if event.downloaded_bytes else ""
        return f"pulled {event.image} in {event.seconds:.1f} s{loaded}"
