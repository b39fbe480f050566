"""Which Docker Engines Headway supports, and which API version it uses with an engine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pipelines.state import Reason
from runner.errors import MachineError

OLDEST_API, NEWEST_API = "1.41", "1.51"
"""The API versions that Headway is tested with: Docker Engine 20.10 to 28.5. Newer engines support these too."""
CONTAINERD_STORE = "containerd"
_SNAPSHOTTER = "io.containerd.snapshotter.v1"
_PODMAN = "Podman Engine"
_WANTS_TLS = b"HTTP request to an HTTPS server"
_ROOTLESS = "rootlesskit"
_LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "processors", "PidsLimit": "processes"}


@dataclass(frozen=True)
class EngineVersion:
    """A supported engine. Headway uses the API version ``api``; ``api_newest`` is the engine's own newest.

    ``arch`` is the architecture of its machine, in the spelling of Go (amd64).
    """

    version: str
    api: str
    api_newest: str
    arch: str
    rootless: bool = False


def parse_engine_version(status: int, body: bytes, where: str) -> EngineVersion:
    """Reads the answer to GET /version. Raises MachineError, with what is needed, for an unsupported engine."""
    try:
        answer = json.loads(body) if status == HTTPStatus.OK else None
    except ValueError:
        answer = None
    if _WANTS_TLS in body:
        hint = "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, the folder of ca.pem, cert.pem and key.pem"
        raise MachineError(Reason.ENGINE_GONE, f"the Docker Engine at {where} requires TLS: {hint}")
    if not isinstance(answer, dict) or not isinstance(answer.get("ApiVersion"), str):
        raise _unsuitable(f"what answers at {where} is not a Docker Engine (HTTP {status}: {_beginning(body)!r})")
    components = {str(each.get("Name")) for each in answer.get("Components") or () if isinstance(each, dict)}
    version = str(answer.get("Version") or "of an unknown version")
    if _PODMAN in components:
        hint = (
            "Headway does not support it. Install Docker Engine, which can run without root as well "
            "(dockerd-rootless-setuptool.sh install), and point DOCKER_HOST at its socket; see docs/running/engines.md"
        )
        raise _unsuitable(f"Podman {version} answers at {where}, not Docker Engine. {hint}")
    if answer.get("Os") == "windows":
        hint = "switch it to Linux containers (in Docker Desktop: Switch to Linux containers)"
        raise _unsuitable(f"the Docker Engine {version} at {where} runs Windows containers; {hint}")
    return _negotiated(answer, version, where, rootless=_ROOTLESS in components)


def _negotiated(answer: Mapping[str, Any], version: str, where: str, *, rootless: bool) -> EngineVersion:
    newest, oldest = answer["ApiVersion"], str(answer.get("MinAPIVersion") or answer["ApiVersion"])
    engine = f"the Docker Engine at {where} is {version} and supports API {oldest} to {newest}"
    if _number(newest) < _number(OLDEST_API):
        raise _unsuitable(f"{engine}; Headway needs API {OLDEST_API} (Docker Engine 20.10) or newer: upgrade it")
    if _number(oldest) > _number(NEWEST_API):
        raise _unsuitable(f"{engine}; this Headway supports API {NEWEST_API} at most: upgrade Headway")
    return EngineVersion(version, min(newest, NEWEST_API, key=_number), newest, str(answer.get("Arch")), rootless)


def image_store(info: Mapping[str, Any]) -> str:
    """``CONTAINERD_STORE``, or Docker's own storage driver, such as overlay2. ``info`` is the answer to GET /info."""
    if ["driver-type", _SNAPSHOTTER] in (info.get("DriverStatus") or ()):
        return CONTAINERD_STORE
    return str(info.get("Driver") or "unknown")


def missing_limits(info: Mapping[str, Any]) -> str:
    """A warning about limits of containers that the engine cannot enforce, or "". ``info`` answers GET /info."""
    missing = [what for name, what in _LIMITS.items() if info.get(name) is False]
    if not missing:
        return ""
    return (
        f"the Docker Engine cannot limit the {' and the '.join(missing)} of a container, so a step can use all of this "
        "machine's; it needs cgroup v2, in rootless mode with delegation: see docs/running/engines.md"
    )


def _number(version: str) -> tuple[int, ...]:
    """A key for comparing: 1.9 is older than 1.41. Text that is no version is older than every version."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _unsuitable(message: str) -> MachineError:
    return MachineError(Reason.ENGINE_UNSUITABLE, message)


def _beginning(body: bytes) -> str:
    return body[:80].decode(errors="replace").strip()
