"""The machine that figures come from: without it they mean nothing."""

import os
import platform
import subprocess
from pathlib import Path

_ASKED = {
    "engine": ("docker", "version", "--format", "{{.Server.Version}}"),
    "engine_storage": ("docker", "info", "--format", "{{.Driver}}, cgroup v{{.CgroupVersion}}"),
    "docker_client": ("docker", "version", "--format", "{{.Client.Version}}"),
    "buildx": ("docker", "buildx", "version"),
    "redis": ("redis-server", "--version"),
    "git": ("git", "--version"),
    "node": ("node", "--version"),
}


def describe() -> dict[str, str | int | list[float]]:
    """What the figures depend on, as far as the machine tells."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "system": _os_name(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        **{name: _said(command) for name, command in _ASKED.items()},
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0 unknown"


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _said(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return "not installed"
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines else "unknown"
