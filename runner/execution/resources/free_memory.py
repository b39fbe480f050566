"""How much free memory this machine has."""

import re
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")


def available_bytes(meminfo: Path = _MEMINFO) -> float:
    """Memory that can be used without swapping (``MemAvailable`` in Linux); infinite if the system does not tell."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return float("inf")
    return int(found[1]) * 1024 if found else float("inf")
