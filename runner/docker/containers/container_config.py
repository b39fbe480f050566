"""The request that creates a container, from its spec: what the engine calls its configuration and host configuration.

Written without Docker's SDK, which loads slowly: the first container of `headway run` does not wait for it. The names
are those of the engine's API (ContainerCreate); a test compares the request with that of the SDK.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.state import Reason
from runner.docker.containers.folders import SELINUX, binds_and_mounts, tmpfs_option
from runner.docker.containers.overlays import overlay_mount
from runner.docker.containers.specs import ContainerSpec, Limits
from runner.errors import StepError

LOG_DRIVER = "local"
"""Unlike json-file it keeps bytes that are not UTF-8."""
LOG_OPTIONS = {"max-size": "1000g", "max-file": "1", "compress": "false"}
"""Without rotation, so that the whole output can be read again after a crash."""
NANO_CPUS = 1_000_000_000
_ALL_RIGHTS = "rwm"


def container_config(spec: ContainerSpec) -> dict[str, Any]:
    """The body of the request. Raises StepError for an entry of a wrong form."""
    aliases = {spec.network: {"Aliases": list(spec.aliases)}} if spec.aliases else None
    return _given(
        {
            "Image": spec.image,
            "Cmd": None if spec.command is None else list(spec.command),
            "Entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
            "Env": [f"{name}={value}" for name, value in spec.environment.items()],
            "WorkingDir": spec.directory or None,
            "User": spec.user or None,
            "Labels": dict(spec.labels),
            "AttachStdin": spec.stdin,
            "OpenStdin": spec.stdin,
            "StdinOnce": spec.stdin,
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": _given(_host_config(spec)),
            "NetworkingConfig": {"EndpointsConfig": aliases} if aliases else None,
        }
    )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    binds, folders = binds_and_mounts(spec.folders, selinux=SELINUX.exists())
    files = spec.limits.files
    return {
        "Binds": [*binds, *spec.binds],
        "Mounts": [
            *(
                {"Type": "bind", "Target": each.target, "Source": str(each.source), "ReadOnly": each.read_only}
                for each in folders
            ),
            *({"Type": "volume", "Target": path} for path in spec.volumes),
            *map(overlay_mount, spec.overlays),
        ],
        "Ulimits": [{"Name": "nofile", "Soft": files, "Hard": files}] if files else None,
        "NetworkMode": spec.network,
        "Init": spec.engine_init,
        "SecurityOpt": _security_options(spec),
        "LogConfig": {"Type": LOG_DRIVER, "Config": LOG_OPTIONS},
        "Privileged": spec.privileged or None,
        "CapAdd": list(spec.capabilities) or None,
        "UsernsMode": spec.user_namespace or None,
        "Devices": list(_devices(spec.devices)) or None,
        "Tmpfs": tmpfs_option(spec.tmpfs),
        "Dns": list(spec.dns) or None,
        "DnsSearch": list(spec.dns_search) or None,
        "ExtraHosts": _extra_hosts(spec.extra_hosts) or None,
        **_limits(spec.limits),
    }


def _security_options(spec: ContainerSpec) -> list[str] | None:
    if spec.privileged:
        return None
    # SELinux would not let a container use the capabilities that it was given.
    return ["no-new-privileges", *(["label=disable"] if spec.capabilities else [])]


def _devices(entries: Sequence[str]) -> Iterator[dict[str, str]]:
    """Devices from HOST[:CONTAINER[:RIGHTS]]."""
    for entry in entries:
        host, container, rights, *_ = [*entry.split(":"), "", ""]
        yield {
            "PathOnHost": host,
            "PathInContainer": container or host,
            "CgroupPermissions": rights or _ALL_RIGHTS,
        }


def _extra_hosts(entries: Sequence[str]) -> list[str]:
    """Entries of the form name:address, of which the last one for a name counts."""
    hosts = [entry.partition(":") for entry in entries]
    if wrong := next((name for name, colon, _ in hosts if not colon), None):
        raise StepError(Reason.INVALID_PIPELINE, f"extra_hosts: {wrong!r} is not of the form name:address")
    return [f"{name}:{address}" for name, address in sorted({name: address for name, _, address in hosts}.items())]


def _limits(limits: Limits) -> dict[str, int | None]:
    return {
        "Memory": limits.memory_bytes or None,
        "MemorySwap": limits.memory_bytes or None,
        "NanoCpus": int(limits.cpus * NANO_CPUS) or None,
        "PidsLimit": limits.pids or None,
    }
