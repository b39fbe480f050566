"""Which engine answers, whether Headway can work with it, and the version of the API that both speak."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pipelines.state import Reason
from runner.errors import MachineError

OLDEST_API, NEWEST_API = "1.41", "1.51"
"""What Headway is tested with: Docker Engine 20.10 to 28.5. Newer engines speak the newest that we know."""
CONTAINERD_STORE = "containerd"
_SNAPSHOTTER = "io.containerd.snapshotter.v1"
_PODMAN = "Podman Engine"
_WANTS_TLS = b"HTTP request to an HTTPS server"
_ROOTLESS = "rootlesskit"


@dataclass(frozen=True)
class About:
    """An engine that Headway can work with. ``api`` is spoken with it, ``api_newest`` the newest it knows itself.

    ``arch`` is of its machine, as Go names it.
    """

    version: str
    api: str
    api_newest: str
    arch: str
    rootless: bool = False


def read_about(status: int, body: bytes, where: str) -> About:
    """From the answer to GET /version. Raises MachineError where Headway cannot use it, saying what is needed."""
    try:
        said = json.loads(body) if status == HTTPStatus.OK else None
    except ValueError:
        said = None
    if _WANTS_TLS in body:
        hint = "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, the folder of ca.pem, cert.pem and key.pem"
        raise MachineError(Reason.ENGINE_GONE, f"the Docker Engine at {where} cannot be asked: it wants TLS: {hint}")
    if not isinstance(said, dict) or not isinstance(said.get("ApiVersion"), str):
        raise _unsuitable(f"what answers at {where} is no Docker Engine (HTTP {status}: {_beginning(body)!r})")
    components = {str(each.get("Name")) for each in said.get("Components") or () if isinstance(each, dict)}
    version = str(said.get("Version") or "of an unknown version")
    if _PODMAN in components:
        hint = (
            "Headway does not support it. Install Docker Engine, which can run without root as well "
            "(dockerd-rootless-setuptool.sh install), and point DOCKER_HOST at its socket; see docs/running/engines.md"
        )
        raise _unsuitable(f"Podman {version} answers at {where}, not Docker Engine. {hint}")
    if said.get("Os") == "windows":
        hint = "Headway needs one that runs Linux containers (in Docker Desktop: Switch to Linux containers)"
        raise _unsuitable(f"the Docker Engine {version} at {where} runs Windows containers; {hint}")
    return _negotiated(said, version, where, rootless=_ROOTLESS in components)


def _negotiated(said: Mapping[str, Any], version: str, where: str, *, rootless: bool) -> About:
    newest, oldest = said["ApiVersion"], str(said.get("MinAPIVersion") or said["ApiVersion"])
    engine = f"the Docker Engine at {where} is {version} and speaks API {oldest} to {newest}"
    if _number(newest) < _number(OLDEST_API):
        raise _unsuitable(f"{engine}; Headway needs API {OLDEST_API} (Docker Engine 20.10) or newer: upgrade it")
    if _number(oldest) > _number(NEWEST_API):
        raise _unsuitable(f"{engine}; this Headway speaks none newer than {NEWEST_API}: upgrade Headway")
    return About(version, min(newest, NEWEST_API, key=_number), newest, str(said.get("Arch")), rootless)


def image_store(info: Mapping[str, Any]) -> str:
    """``CONTAINERD_STORE``, or the storage driver of Docker's own, such as overlay2; from the answer to GET /info."""
    if ["driver-type", _SNAPSHOTTER] in (info.get("DriverStatus") or ()):
        return CONTAINERD_STORE
    return str(info.get("Driver") or "unknown")


def _number(version: str) -> tuple[int, ...]:
    """For comparing: 1.9 is older than 1.41. What is no version is older than all."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _unsuitable(message: str) -> MachineError:
    return MachineError(Reason.ENGINE_UNSUITABLE, message)


def _beginning(body: bytes) -> str:
    return body[:80].decode(errors="replace").strip()
