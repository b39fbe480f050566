"""How much memory this machine has left."""

import re
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")


def available_bytes(meminfo: Path = _MEMINFO) -> float:
    """What can be used without pushing anything out (``MemAvailable``); infinite where the system does not say."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return float("inf")
    return int(found[1]) * 1024 if found else float("inf")
