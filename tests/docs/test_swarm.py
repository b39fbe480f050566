"""The project's Compose file runs on Docker Swarm, with the override and the command of the page about scaling."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.documents import blocks_of, text_of
from tests.support.paths import DOCS, ROOT
from tests.support.services import need

OVERRIDE = "docs/running/swarm/override.yml"
SCALING = DOCS / "running" / "scaling.md"
DEPLOY = " | docker stack deploy --with-registry-auth -c - headway"


class _Loader(yaml.SafeLoader):
    """Reads Compose's own tags as what stands behind them."""


def _value(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


_Loader.add_multi_constructor("!", _value)


def override() -> dict[str, Any]:
    return dict(yaml.load(text_of(ROOT / OVERRIDE), _Loader))


def command() -> str:
    """What the page tells to run, up to the deployment itself."""
    (line,) = [
        line for block in blocks_of(SCALING) for line in block.text.replace("\\\n", "").splitlines() if OVERRIDE in line
    ]
    line = re.sub(r"\s+", " ", line)
    assert line.endswith(DEPLOY)
    return line.removesuffix(DEPLOY)


def test_the_override_speaks_of_services_that_there_are() -> None:
    compose = yaml.safe_load(text_of(ROOT / "docker-compose.yml"))
    assert set(override()["services"]) == set(compose["services"])


def test_what_connects_for_hours_is_reached_directly() -> None:
    services = override()["services"]
    assert {name for name, each in services.items() if each.get("deploy", {}).get("endpoint_mode") == "dnsrr"} == {
        "postgres",
        "redis",
    }


def test_the_page_makes_each_secret_and_label() -> None:
    text = text_of(SCALING)
    made = set(re.findall(r"docker secret create (\w+)", text))
    assert made == set(override()["secrets"])
    wanted = set(re.findall(r"node\.labels\.([\w-]+)", text_of(ROOT / OVERRIDE)))
    assert wanted == set(re.findall(r"--label-add ([\w-]+)=true", text))


@pytest.mark.slow
@pytest.mark.compose
def test_swarm_accepts_it(tmp_path: Path) -> None:
    need(shutil.which("docker"), "docker")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HEADWAY_IMAGE": "registry.example.com/headway:7",
        "HEADWAY_BLOB_URL": "s3://headway/ci",
        "HEADWAY_BASE_URL": "https://ci.example.com",
    }
    script = f"{command()} | docker stack config -c -"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stack = yaml.safe_load(done.stdout)["services"]
    assert set(stack) == {"postgres", "redis", "registry", "migrate", "web", "scheduler", "worker"}
    for part in ("migrate", "web", "scheduler", "worker"):
        assert stack[part]["image"] == "registry.example.com/headway:7"
        assert stack[part]["environment"]["HEADWAY_BLOB_URL"] == "s3://headway/ci"
        assert {secret["source"] for secret in stack[part]["secrets"]} == {
            "headway_key", "headway_postgres", "headway_redis",
        }  # fmt: skip
        assert [each["target"] for each in stack[part].get("volumes", ())] == (
            ["/var/lib/headway", "/var/run/docker.sock"] if part == "worker" else []
        )
    assert stack["worker"]["deploy"]["mode"] == "global"
    assert stack["worker"]["stop_grace_period"] == "1m0s"
