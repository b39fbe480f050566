"""The retries that the engine does by itself for a layer, as one line each.

The engine counts down each pause, and does not say what the registry answered.
"""

import re

from runner.logs.output import Write

_RETRYING = re.compile(r"Retrying in (\d+) seconds?")


class EngineRetries:
    """Takes the status of each message of a pull or push."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._left_s: dict[str, int] = {}

    def feed(self, layer: str, status: str) -> None:
        """Writes a line at the beginning of each countdown."""
        found = _RETRYING.fullmatch(status)
        if found is None:
            return
        seconds = int(found[1])
        if seconds >= self._left_s.get(layer, 0):
            self._write(f"  {layer}: the registry did not serve it; the engine tries again in {seconds} s")
        self._left_s[layer] = seconds
