"""The part of a container that the engine calls its host configuration: mounts, limits and rights, from a spec."""

from collections.abc import Sequence
from typing import Any

from pipelines.state import Reason
from runner.docker.folders import SELINUX, binds_and_mounts, tmpfs_option
from runner.docker.overlays import overlay_mount
from runner.docker.specs import ContainerSpec, Limits
from runner.errors import StepError

LOG_DRIVER = "local"
"""Unlike json-file it keeps bytes that are not UTF-8."""
LOG_OPTIONS = {"max-size": "1000g", "max-file": "1", "compress": "false"}
"""Without rotation, so that the whole output can be read again after a crash."""
NANO_CPUS = 1_000_000_000


def host_config(spec: ContainerSpec) -> dict[str, Any]:
    """The arguments of the SDK's ``create_host_config``. Raises StepError for an entry of a wrong form."""
    from runner.docker.sdk import types  # noqa: PLC0415 - importing it takes long

    binds, folders = binds_and_mounts(spec.folders, selinux=SELINUX.exists())
    files = spec.limits.files
    return {
        "binds": [*binds, *spec.binds],
        "mounts": [
            *(types.Mount(each.target, str(each.source), "bind", read_only=each.read_only) for each in folders),
            *(types.Mount(path, None, "volume") for path in spec.volumes),
            *map(overlay_mount, spec.overlays),
        ],
        "ulimits": [types.Ulimit(name="nofile", soft=files, hard=files)] if files else None,
        "network_mode": spec.network,
        "init": spec.engine_init,
        "security_opt": _security_options(spec),
        "log_config": types.LogConfig(type=LOG_DRIVER, config=dict(LOG_OPTIONS)),
        "privileged": spec.privileged,
        "cap_add": list(spec.capabilities) or None,
        "userns_mode": spec.user_namespace or None,
        "devices": list(spec.devices) or None,
        "tmpfs": tmpfs_option(spec.tmpfs),
        "dns": list(spec.dns) or None,
        "dns_search": list(spec.dns_search) or None,
        "extra_hosts": _extra_hosts(spec.extra_hosts) or None,
        **_limits(spec.limits),
    }


def _security_options(spec: ContainerSpec) -> list[str] | None:
    if spec.privileged:
        return None
    # SELinux would not let a container use the capabilities that it was given.
    return ["no-new-privileges", *(["label=disable"] if spec.capabilities else [])]


def _extra_hosts(entries: Sequence[str]) -> dict[str, str]:
    hosts = [entry.partition(":") for entry in entries]
    if wrong := next((name for name, colon, _ in hosts if not colon), None):
        raise StepError(Reason.INVALID_PIPELINE, f"extra_hosts: {wrong!r} is not of the form name:address")
    return {name: address for name, _, address in hosts}


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "mem_limit": limits.memory_bytes or None,
        "memswap_limit": limits.memory_bytes or None,
        "nano_cpus": int(limits.cpus * NANO_CPUS) or None,
        "pids_limit": limits.pids or None,
    }
