"""What `docker login` left behind."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.docker.containers.specs import Login
from runner.images.docker_config import logins


def kept(tmp_path: Path, auths: dict[str, Any]) -> dict[str, Login]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": auths}))
    return dict(logins(path, pytest.fail))


def test_logins_are_found_by_their_host(tmp_path: Path) -> None:
    auths = {
        "registry.example.com": {"auth": Login("ci", "a:b").basic()},
        "https://index.docker.io/v1/": {"auth": Login("me", "x").basic()},
    }
    assert kept(tmp_path, auths) == {"registry.example.com": Login("ci", "a:b"), "docker.io": Login("me", "x")}


def test_what_is_no_login_is_left_out(tmp_path: Path) -> None:
    auths = {"a": {}, "b": {"auth": "!"}, "c": {"auth": "bm8="}, "d": None, "e": {"auth": 7}}
    assert kept(tmp_path, auths) == {}


def test_a_file_that_is_not_there_or_broken_has_none(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("[")
    (tmp_path / "list").write_text("[]")
    for name in ("none", "broken", "list"):
        assert dict(logins(tmp_path / name, pytest.fail)) == {}


def test_an_identity_token_takes_the_place_of_a_password(tmp_path: Path) -> None:
    found = kept(tmp_path, {"a.example.com": {"auth": "", "identitytoken": "t0ken"}})["a.example.com"]
    assert found.for_engine() == found.for_client() == {"identitytoken": "t0ken"}
    assert "t0ken" not in repr(found)


HELPER = """#!/bin/sh
echo "$1" >> "$0.asked"
if [ "$1" = list ]; then echo '{"https://index.docker.io/v1/": "me", "b.example.com": "x"}'; exit 0; fi
read -r host || true
case "$host" in
  https://index.docker.io/v1/) echo '{"ServerURL": "", "Username": "me", "Secret": "hub-pw"}' ;;
  b.example.com) echo '{"ServerURL": "", "Username": "<token>", "Secret": "t0ken"}' ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper as Docker Desktop has one, on PATH."""
    program = tmp_path / "bin" / "docker-credential-desk"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


def with_helper(tmp_path: Path, warn: Callable[[str], None] = pytest.fail, **more: object) -> Mapping[str, Login]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {}}, **more}))
    return logins(path, warn)


def test_a_credential_helper_is_asked_for_the_logins_that_it_keeps(tmp_path: Path, helper: Path) -> None:
    found = with_helper(tmp_path, credsStore="desk")
    assert found.get("docker.io") == Login("me", "hub-pw")
    assert found.get("docker.io") == Login("me", "hub-pw")
    assert found.get("other.example.com") is None
    assert (tmp_path / "bin" / "docker-credential-desk.asked").read_text().splitlines() == ["get", "get"]
    assert dict(found) == {"docker.io": Login("me", "hub-pw"), "b.example.com": Login("<token>", "t0ken")}


def test_a_helper_for_one_registry_is_asked_for_that_one_alone(tmp_path: Path, helper: Path) -> None:
    found = with_helper(tmp_path, credHelpers={"b.example.com": "desk"})
    assert dict(found) == {"b.example.com": Login("<token>", "t0ken")}


def test_a_helper_that_is_missing_is_told_and_keeps_no_run_from_its_work(tmp_path: Path) -> None:
    said: list[str] = []
    found = with_helper(tmp_path, said.append, credsStore="gone", auths={"a": {"auth": Login("ci", "pw").basic()}})
    assert found.get("a") == Login("ci", "pw")
    (sentence,) = said
    assert sentence.startswith("docker-credential-gone, which Docker's configuration names, could not return a login")
    assert sentence.endswith(": No such file or directory")


def test_a_helper_that_answers_nonsense_shows_no_password(tmp_path: Path, helper: Path) -> None:
    said: list[str] = []
    helper.write_text("#!/bin/sh\necho hunter2hunter2\n")
    assert with_helper(tmp_path, said.append, credsStore="desk").get("a") is None
    assert "hunter2" not in said[0]
