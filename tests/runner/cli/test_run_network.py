"""``headway run`` in a company's network: docker's own configuration, and the settings of the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.authority import TestAuthority
from tests.support.engine import secrets_hex

pytestmark = pytest.mark.engine

HEADWAY = str(Path(sys.executable).with_name("headway"))
SHOWS = """\
steps:
  - name: build
    build: .
  - name: show
    commands: ['echo "step=$https_proxy,$NO_PROXY,$SSL_CERT_FILE"', 'cat /said']
services:
  - name: db
    image: busybox
    commands: ['echo "service=$HTTPS_PROXY"; sleep 1000']
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "app"
    made.mkdir()
    (made / ".headway.yml").write_text(SHOWS)
    # A place of its own in the cache: the proxy is no part of its key.
    (made / "Dockerfile").write_text(f'FROM busybox\nENV PLACE={secrets_hex()}\nRUN echo "build=$HTTPS_PROXY" >/said\n')
    return made


def run(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    engine = {name: value for name, value in os.environ.items() if name == "DOCKER_HOST"}
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder.parent)} | engine
    return subprocess.run(
        [HEADWAY, "run"], cwd=folder, env=kept | env, capture_output=True, text=True, check=False, timeout=100
    )


def said(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What step, build and service wrote, by their names."""
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.partition(" | ")[2] for line in done.stdout.splitlines() if line.lstrip().startswith("show | ")]
    lines = [line for line in lines if "=" in line]
    return dict(line.split("=", 1) for line in lines if not line.startswith("+ "))


def test_containers_get_what_dockers_own_configuration_says(folder: Path) -> None:
    proxies = {"default": {"httpsProxy": "http://me:secret-5c1d@proxy.corp:1", "noProxy": ".corp"}}
    (folder.parent / ".docker").mkdir()
    (folder.parent / ".docker" / "config.json").write_text(json.dumps({"proxies": proxies}))
    done = run(folder, HTTPS_PROXY="http://other.corp:1")
    found = said(done)
    masked = "http://me:********@proxy.corp:1"
    assert found["step"] == f"{masked},.corp,localhost,127.0.0.1,::1,db,"
    assert found["build"] == masked
    assert "secret-5c1d" not in done.stdout + done.stderr


def test_the_environments_proxies_reach_builds_and_by_a_setting_steps(folder: Path) -> None:
    assert said(run(folder, https_proxy="http://p.corp:1")) == {"step": ",,", "build": "http://p.corp:1"}
    found = said(run(folder, https_proxy="http://p.corp:1", HEADWAY_STEP_PROXY="true"))
    assert found["step"].startswith("http://p.corp:1,localhost,")


def test_the_authority_of_the_environment_is_trusted_in_steps(folder: Path, tmp_path: Path) -> None:
    found = said(run(folder, HEADWAY_CA_FILE=str(TestAuthority(tmp_path).file)))
    assert found["step"].endswith(",/etc/headway/ca-bundle.pem")


def test_an_authority_that_is_not_there_is_3_with_a_sentence(folder: Path) -> None:
    done = run(folder, HEADWAY_CA_FILE="/none/ca.pem")
    assert done.returncode == 3
    sentence = "HEADWAY_CA_FILE: the file /none/ca.pem cannot be read: No such file or directory"
    assert done.stderr == f"headway: broken: {sentence}\n"


def test_a_proxy_that_is_none_is_3_with_a_sentence(folder: Path) -> None:
    done = run(folder, HTTP_PROXY="http://me:secret-5c1d@")
    assert done.returncode == 3
    assert "HTTP_PROXY is not the address of a proxy" in done.stderr
    assert "secret-5c1d" not in done.stderr
