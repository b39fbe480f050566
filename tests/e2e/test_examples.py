"""The repositories in examples/ pass: each by `headway run`, and one of them on a server, twice.

`scripts/images.sh --examples` gets their images, or makes them where no registry can be reached.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import HEADWAY, Repository, Stack, git
from tests.support.paths import ROOT

pytestmark = pytest.mark.examples

EXAMPLES = ROOT / "examples"
IMAGES = ("golang:1.24", "node:22-slim", "python:3.13", "python:3.13-slim", "redis:7-alpine", "postgres:17-alpine")
PATIENCE_S = 300  # of each run
TIMEOUT_S = 900  # Go compiles its standard library
TESTS_OF = {"go": "8 tests: 0 failed", "node": "9 tests: 0 failed", "python": "9 tests: 0 failed"}
KEPT_BY = {
    "go": ("schema.sql",),
    "node": ("dist/about.html.br", "dist/index.html.br"),
    "python": ("htmlcov/index.html",),
}
COMPOSE_LINE = {"go": "compose | (0 rows)", "node": "compose | http://app:8000 counts: 2", "python": "compose | note 1"}


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """The images that the examples name are in the engine."""
    found = [image for image in IMAGES if run_quietly("docker", "image", "inspect", image) == 0]
    if len(found) < len(IMAGES):
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(f"the engine has only {found} of {list(IMAGES)}: run scripts/images.sh --examples")


def run_quietly(*command: str) -> int:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def committed(name: str, folder: Path) -> Path:
    """A repository with the example and nothing else."""
    work = folder / name
    shutil.copytree(EXAMPLES / name, work)
    git(folder, "init", "--quiet", str(work))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", f"The {name} example")
    return work


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", TESTS_OF)
def test_an_example_passes_on_a_laptop(name: str, tmp_path: Path) -> None:
    work = committed(name, tmp_path)
    env = {key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_HOST") if key in os.environ}
    env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    done = subprocess.run(
        [HEADWAY, "run"], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-5000:]
    assert TESTS_OF[name] in said
    assert "coverage: " in said
    assert COMPOSE_LINE[name] in said
    kept = [str(path) for path in (tmp_path / "cache" / "headway" / "artifacts").rglob("*") if path.is_file()]
    for path in KEPT_BY[name]:
        assert any(each.endswith(f"/{path}") for each in kept), kept


def steps_of(run: Any) -> dict[str, Any]:
    return {step["name"]: step for job in run["jobs"] for step in job["steps"]}


@pytest.mark.timeout(TIMEOUT_S)
def test_an_example_passes_on_a_server_and_finds_its_cache_in_the_second_run(stack: Stack, tmp_path: Path) -> None:
    work = committed("node", tmp_path)
    files = {name: (work / name).read_text() for name in git(work, "ls-files").splitlines()}
    repo = Repository(stack, "team/counter")
    first = repo.ended(repo.push(files), patience_s=PATIENCE_S)
    assert (first["state"], first["sentence"]) == ("passed", "")
    assert {service["name"] for service in first["jobs"][0]["services"]} == {"redis", "web"}
    path = f"/repos/team/counter/runs/{first['number']}"
    reports = stack.api(f"{path}/reports").json
    assert reports["counts"] == {"passed": 9}
    assert reports["coverage"]["percent"] > 90
    kept = stack.api(f"{path}/artifacts").json["artifacts"]
    assert {each["path"] for each in kept} == set(KEPT_BY["node"])
    pages = steps_of(first)["pages"]
    assert b"2 compressed, 0 from the cache" in repo.log(pages)
    assert [cache["found"] for cache in pages["facts"]["caches"]] == [""]

    changed = files["pages/about.html"].replace("in Redis", "in a Redis")
    second = repo.ended(repo.push({"pages/about.html": changed}), patience_s=PATIENCE_S)
    assert (second["state"], second["sentence"]) == ("passed", "")
    pages = steps_of(second)["pages"]
    assert b"1 compressed, 1 from the cache" in repo.log(pages)
    assert [bool(cache["found"]) for cache in pages["facts"]["caches"]] == [True]
