"""The request that creates a container is the one that Docker's SDK would send."""

from pathlib import Path
from typing import Any

import docker
import pytest
from docker import types

from runner.docker.containers.container_config import container_config
from runner.docker.containers.folders import Folder
from runner.docker.containers.overlays import Overlay
from runner.docker.containers.specs import ContainerSpec, Limits
from runner.errors import StepError

LOG = types.LogConfig(type="local", config={"max-size": "1000g", "max-file": "1", "compress": "false"})
BARE = ContainerSpec("busybox", {}, "none", limits=Limits(pids=0))


def sdk_request(host: dict[str, Any], **container: Any) -> dict[str, Any]:
    """The request of the SDK."""
    api = docker.APIClient(base_url="unix:///none", version="1.45")
    defaults = {"binds": [], "init": True, "security_opt": ["no-new-privileges"], "log_config": LOG}
    config = api.create_host_config(**{**defaults, **host})
    command = container.pop("command", None)
    made = dict(api.create_container_config("busybox", command, host_config=config, **container))
    return dict(stated(made))


def stated(value: Any) -> Any:
    """A request without the keys that say nothing. An `Init` that is false is not the engine's own setting."""
    if isinstance(value, dict):
        inner = {name: stated(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if name == "Init" or each not in (None, False, [], {})}
    return [stated(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("ours", "host", "container"),
    [
        ({}, {"network_mode": "none"}, {}),
        ({"network": "headway-1"}, {"network_mode": "headway-1"}, {}),
        (
            {"network": "net", "aliases": ("db", "db.local")},
            {"network_mode": "net"},
            {"networking_config": {"EndpointsConfig": {"net": {"Aliases": ["db", "db.local"]}}}},
        ),
        ({"command": ("sh", "-c", "a b")}, {"network_mode": "none"}, {"command": ["sh", "-c", "a b"]}),
        ({"environment": {"A": "1=2", "B": ""}}, {"network_mode": "none"}, {"environment": {"A": "1=2", "B": ""}}),
        ({"directory": "/src", "user": "7:8"}, {"network_mode": "none"}, {"working_dir": "/src", "user": "7:8"}),
        ({"stdin": True}, {"network_mode": "none"}, {"stdin_open": True}),
        ({"labels": {"a": "b"}}, {"network_mode": "none"}, {"labels": {"a": "b"}}),
        ({"engine_init": False}, {"network_mode": "none", "init": False}, {}),
        ({"privileged": True}, {"network_mode": "none", "privileged": True, "security_opt": None}, {}),
        (
            {"capabilities": ("NET_ADMIN",)},
            {
                "network_mode": "none",
                "cap_add": ["NET_ADMIN"],
                "security_opt": ["no-new-privileges", "label=disable"],
            },
            {},
        ),
        ({"user_namespace": "host"}, {"network_mode": "none", "userns_mode": "host"}, {}),
        (
            {"devices": ("/dev/a", "/dev/b:/dev/c", "/dev/d:/dev/e:r")},
            {"network_mode": "none", "devices": ["/dev/a", "/dev/b:/dev/c", "/dev/d:/dev/e:r"]},
            {},
        ),
        (
            {"tmpfs": ("/a", "/b:size=1m,mode=700")},
            {"network_mode": "none", "tmpfs": ["/a", "/b:size=1m,mode=700"]},
            {},
        ),
        (
            {"dns": ("10.0.0.1",), "dns_search": ("example.org",)},
            {"network_mode": "none", "dns": ["10.0.0.1"], "dns_search": ["example.org"]},
            {},
        ),
        (
            {"extra_hosts": ("b:10.0.0.2", "a:::1", "b:10.0.0.3")},
            {"network_mode": "none", "extra_hosts": {"b": "10.0.0.3", "a": "::1"}},
            {},
        ),
        (
            {"limits": Limits(memory_bytes=10_000_000, cpus=1.5, pids=100, files=50)},
            {
                "network_mode": "none",
                "mem_limit": 10_000_000,
                "memswap_limit": 10_000_000,
                "nano_cpus": 1_500_000_000,
                "pids_limit": 100,
                "ulimits": [types.Ulimit(name="nofile", soft=50, hard=50)],
            },
            {},
        ),
        ({"binds": ("/a:/b:ro",)}, {"network_mode": "none", "binds": ["/a:/b:ro"]}, {}),
        (
            {"folders": (Folder(Path("/a"), "/b", ours=False), Folder(Path("/c"), "/d", read_only=True, ours=False))},
            {
                "network_mode": "none",
                "mounts": [types.Mount("/b", "/a", "bind"), types.Mount("/d", "/c", "bind", read_only=True)],
            },
            {},
        ),
        (
            {"volumes": ("/v",), "overlays": (Overlay("/o", (Path("/l1"), Path("/l2")), Path("/u"), Path("/w")),)},
            {
                "network_mode": "none",
                "mounts": [
                    types.Mount("/v", None, "volume"),
                    types.Mount(
                        "/o",
                        None,
                        "volume",
                        no_copy=True,
                        driver_config=types.DriverConfig(
                            "local",
                            {"type": "overlay", "device": "overlay", "o": "lowerdir=/l1:/l2,upperdir=/u,workdir=/w"},
                        ),
                    ),
                ],
            },
            {},
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_the_request_is_that_of_the_sdk(ours: dict[str, Any], host: dict[str, Any], container: dict[str, Any]) -> None:
    spec = ContainerSpec(**{**{name: getattr(BARE, name) for name in ("image", "labels", "network", "limits")}, **ours})

    assert stated(container_config(spec)) == sdk_request(host, **container)


def test_an_entrypoint_replaces_that_of_the_image() -> None:
    """An empty one as well: the image's is not used then."""
    spec = ContainerSpec("busybox", {}, "none", entrypoint=())

    assert container_config(spec)["Entrypoint"] == []
    assert "Entrypoint" not in container_config(BARE)


def test_extra_hosts_of_a_wrong_form_are_named() -> None:
    with pytest.raises(StepError, match="'nothing' is not of the form name:address"):
        container_config(ContainerSpec("busybox", {}, "none", extra_hosts=("nothing",)))
