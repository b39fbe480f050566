"""`docker compose up -d` with the project's own file: a run, and its data after `down` and `up`."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import FINAL, Answer, ask, git, until
from tests.support.paths import ROOT
from tests.support.services import free_port

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]
PIPELINE = """\
steps:
  - name: build
    build: .
  - name: test
    commands: [cat /built]
  - name: push
    push: {{repo: 127.0.0.1:{port}/composed, tags: [latest]}}
"""


def stays_stopped(folder: Path) -> Path:
    """A Compose file on top of the project's own: what a killed test leaves does not start again with the engine.

    Its workers would set the firewall's rules while other tests do.
    """
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    file = folder / "stays-stopped.yml"
    file.write_text(json.dumps({"services": {name: {"restart": "no"} for name in services}}))
    return file


class Compose:
    """The services of the compose file under a project name of their own, with their data in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.registry_port = free_port(), free_port()
        self.url = f"http://localhost:{self.port}"
        self.token = ""
        self._files = ("--file", str(ROOT / "docker-compose.yml"), "--file", str(stays_stopped(folder)))

    def __call__(self, *arguments: str, stdin: str = "", timeout_s: float = 600) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")} | {
            "HEADWAY_PORT": str(self.port),
            "HEADWAY_BASE_URL": self.url,
            "HEADWAY_DATA_DIR": str(self.folder / "data"),
            "HEADWAY_REGISTRY_PORT": str(self.registry_port),
        }
        done = subprocess.run(
            ["docker", "compose", *self._files, "--project-name", f"headway-test-{self.port}", *arguments],
            cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip
        assert done.returncode == 0, f"docker compose {arguments}:\n{done.stderr[-3000:]}\n{done.stdout[-1000:]}"
        return done.stdout

    def headway(self, *arguments: str) -> str:
        return self("exec", "-T", "web", "headway", *arguments)

    def api(self, path: str) -> Answer:
        return ask(f"{self.url}/api{path}", headers={"Authorization": f"Bearer {self.token}"})


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    if shutil.which("docker") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("docker is not installed; `make test` installs it")
    compose = Compose(tmp_path_factory.mktemp("compose"))
    try:
        compose("build", "--quiet")
        compose("up", "--detach", "--wait")
        compose.token = compose.headway("token", "create", "admin", "tests").strip().splitlines()[-1]
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "30")


def push(compose: Compose, name: str, message: str) -> int:
    """Pushes to a bare repository that is mounted into the containers; the number of the run."""
    bare, work = compose.folder / "data" / "git" / f"{name}.git", compose.folder / name
    if not bare.exists():
        bare.parent.mkdir(exist_ok=True, parents=True)
        git(compose.folder, "init", "--quiet", "--bare", str(bare))
        git(compose.folder, "init", "--quiet", str(work))
        git(work, "remote", "add", "origin", str(bare))
        # The container writes the hook file into a folder that is mounted at the same path.
        compose.headway(
            "repo", "add", f"file://{bare}", "--name", name, "--hook-file", str(bare / "hooks" / "post-receive")
        )
    (work / "Dockerfile").write_text("FROM busybox:latest\nRUN echo built > /built\n")
    (work / ".headway.yml").write_text(PIPELINE.format(port=compose.registry_port))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--allow-empty", "-m", message)
    output = git(work, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return int([word.rsplit("/", 1)[1] for word in output.split() if "/runs/" in word][-1])


def ended(compose: Compose, name: str, number: int) -> Any:
    def look() -> Any:
        run = compose.api(f"/repos/{name}/runs/{number}").json
        return run if run["state"] in FINAL else None

    return until(f"run {number} of {name} ends", look, patience_s=120)


def logs(compose: Compose, run: Any) -> dict[str, bytes]:
    steps = [step for job in run["jobs"] for step in job["steps"]]
    return {step["name"]: compose.api(f"/steps/{step['id']}/log").body for step in steps}


def test_a_run_and_its_log_outlive_down_and_up(compose: Compose) -> None:
    run = ended(compose, "composed", push(compose, "composed", "first"))
    assert run["state"] == "passed", run["sentence"]
    before = logs(compose, run)
    assert b"built\n" in before["test"]
    compose("stop")
    compose("down")
    compose("up", "--detach", "--wait")
    after = compose.api(f"/repos/composed/runs/{run['number']}").json
    assert (after["state"], logs(compose, after)) == ("passed", before)
    again = ended(compose, "composed", push(compose, "composed", "second"))
    assert (again["state"], again["number"]) == ("passed", run["number"] + 1)


def test_postgresql_and_redis_have_generated_passwords(compose: Compose) -> None:
    def password(name: str) -> str:
        return compose("exec", "-T", "web", "cat", f"/run/passwords/{name}").strip()

    assert len({password("postgres"), password("redis")}) == 2
    assert all(len(password(name)) == 32 for name in ("postgres", "redis"))
    assert "NOAUTH" in compose("exec", "-T", "redis", "redis-cli", "GET", "a")
    # Over TCP: on its Unix socket PostgreSQL trusts whoever is in its container.
    ask = "PGPASSWORD=$given psql -h postgres -U headway -c 'select 1'"
    asks = f'for given in "$@"; do {ask} 2>/dev/null && exit 0; done; echo refused'
    assert compose("exec", "-T", "postgres", "sh", "-c", asks, "sh", "", "headway", "postgres").strip() == "refused"
    good = compose("exec", "-T", "postgres", "sh", "-c", asks, "sh", password("postgres"))
    assert "1 row" in good


def test_three_workers_share_the_work(compose: Compose) -> None:
    compose("up", "--detach", "--wait", "--scale", "worker=3")
    push(compose, "composed", "make sure that it is there")
    numbers = [push(compose, "composed", f"number {n}") for n in range(6)]
    runs = [ended(compose, "composed", number) for number in numbers]
    others = [(run["sentence"], logs(compose, run)) for run in runs if run["state"] != "passed"]
    assert others == []
    hosts = {job["host"] for run in runs for job in run["jobs"]}
    assert len(hosts) > 1, hosts
    assert [run["jobs"][0]["attempt"] for run in runs] == [1] * 6
