"""The keys of Compose files: which are read, which have no effect here, and which are refused, each with what to do."""

from collections.abc import Mapping

READ_KEYS = (
    "build", "command", "container_name", "cpus", "depends_on", "deploy", "entrypoint", "env_file", "environment",
    "healthcheck", "image", "mem_limit", "networks", "pids_limit", "profiles", "pull_policy", "scale", "tmpfs", "user",
    "volumes", "working_dir",
)  # fmt: skip
"""Of a service."""

_NO_HOST = "a service has nothing of the host here: remove it"
_AS_VOLUME = "mount the file below 'volumes' of the service: ./FILE:/path"
_WITH_ENVIRONMENT = "write the variables below 'environment'; a secret as NAME, given by the step's environment"
_OTHER = "remove it, or run this service without Compose, as a service of the pipeline file"

REFUSED_KEYS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "privileged", "cap_add", "security_opt", "devices", "device_cgroup_rules", "gpus", "cgroup",
            "cgroup_parent", "runtime", "ipc", "pid", "uts", "userns_mode", "network_mode", "sysctls",
            "oom_kill_disable", "oom_score_adj", "group_add", "credential_spec", "use_api_socket", "storage_opt",
            "blkio_config", "cpu_rt_period", "cpu_rt_runtime", "isolation",
        ),
        _NO_HOST,
    ),
    **dict.fromkeys(("extra_hosts", "dns", "dns_search", "dns_opt", "mac_address", "domainname"), _OTHER),
    **dict.fromkeys(("cap_drop", "read_only", "shm_size", "ulimits", "memswap_limit", "mem_swappiness"), _OTHER),
    **dict.fromkeys(("cpu_count", "cpu_percent", "cpu_shares", "cpu_period", "cpu_quota", "cpuset"), "write 'cpus'"),
    "mem_reservation": "write 'mem_limit'",
    "platform": "remove it: the image is that of the worker's platform",
    "extends": "write the keys out, or share them by a YAML anchor below an 'x-...' key",
    "label_file": "remove it: labels have no effect here",
    "secrets": _WITH_ENVIRONMENT,
    "configs": _AS_VOLUME,
    "volumes_from": "name a volume in both services",
    "links": "write 'depends_on': services reach each other by their names",
    "external_links": "remove it: a service reaches only those of its job",
    "provider": _OTHER,
    "models": _OTHER,
    "post_start": "write it into the command of the service",
    "pre_stop": "write it into the command of the service",
}  # fmt: skip
"""Of a service: with any value they are an error, with this hint."""

IGNORED_KEYS: Mapping[str, str] = {
    "annotations": "", "attach": "", "develop": "", "expose": "", "init": "", "labels": "", "stdin_open": "",
    "ports": "nothing is published on the host; other containers reach the service by its name and its own ports",
    "restart": "a service that ends stays ended",
    "hostname": "other containers reach it by the name of the service",
    "logging": "the log of every service is kept with the run",
    "tty": "it has no terminal",
    "stop_signal": "at the end it gets SIGTERM",
    "stop_grace_period": "at the end it gets the time that the server gives",
}  # fmt: skip
"""Of a service: they change nothing here. Those with a sentence are a warning."""

TOP_KEYS = ("services", "volumes", "networks")
IGNORED_TOP_KEYS = ("name", "version")
REFUSED_TOP_KEYS: Mapping[str, str] = {
    "include": "write its services into this file",
    "secrets": _WITH_ENVIRONMENT,
    "configs": _AS_VOLUME,
    "models": _OTHER,
}
HOST_HINT = "name a path of the repository, such as ./data, or a volume of the file: nothing of the host is mounted"
EXTENSION = "x-"
