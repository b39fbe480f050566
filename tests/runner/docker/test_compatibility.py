"""Which engine answers, and the version of the API that is spoken with it."""

import json
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.compatibility import NEWEST_API, EngineVersion, parse_engine_version
from runner.errors import MachineError
from tests.support.fake_engine import DOCKER, PODMAN, fake_engine


def engine_version(**changed: object) -> EngineVersion:
    return parse_engine_version(200, json.dumps(DOCKER | changed).encode(), "unix:///x")


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.45", "1.24", "1.45"),
        ("1.51", "1.24", "1.51"),
        ("1.52", "1.44", "1.51"),
        ("1.100", "1.51", "1.51"),
        ("2.0", "1.44", "1.51"),
    ],
)
def test_the_newest_version_is_spoken_that_both_know(newest: str, oldest: str, spoken: str) -> None:
    assert engine_version(ApiVersion=newest, MinAPIVersion=oldest) == EngineVersion("28.5.2", spoken, newest, "amd64")


def test_an_engine_that_says_no_oldest_version_has_one() -> None:
    assert engine_version(ApiVersion="1.45", MinAPIVersion="").api == "1.45"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"ApiVersion": "1.40", "Version": "19.03.15"},
            "is 19.03.15 and supports API 1.24 to 1.40; Headway needs API 1.41",
        ),
        ({"ApiVersion": "1.9"}, "Headway needs API 1.41 (Docker Engine 20.10) or newer: upgrade it"),
        ({"ApiVersion": "new"}, "upgrade it"),
        ({"ApiVersion": "1.60", "MinAPIVersion": "1.52"}, f"this Headway supports API {NEWEST_API} at most"),
        ({"Os": "windows"}, "runs Windows containers; switch it to Linux containers"),
        ({"ApiVersion": None}, "what answers at unix:///x is not a Docker Engine"),
    ],
)
def test_an_engine_that_cannot_be_used_is_named_with_what_is_needed(changed: dict[str, object], said: str) -> None:
    with pytest.raises(MachineError) as fault:
        engine_version(**changed)
    assert fault.value.reason is Reason.ENGINE_UNSUITABLE
    assert said in str(fault.value)


def test_podman_is_recognised_and_the_remedy_said(tmp_path: Path) -> None:
    with fake_engine(tmp_path, PODMAN) as podman, pytest.raises(MachineError) as fault:
        Engine(podman.host)
    assert fault.value.reason is Reason.ENGINE_UNSUITABLE
    assert str(fault.value).startswith("Podman 4.3.1 answers at unix://")
    assert "Install Docker Engine" in str(fault.value)


@pytest.mark.parametrize("body", ["<html>", "", "[]", '{"Version": "1"}'])
def test_what_is_no_engine_is_said_so(tmp_path: Path, body: str) -> None:
    with fake_engine(tmp_path, body) as other, pytest.raises(MachineError, match="is not a Docker Engine"):
        Engine(other.host)


def test_an_engine_without_root_is_known() -> None:
    assert engine_version(Components=[{"Name": "Engine"}, {"Name": "rootlesskit", "Version": "2.0"}]).rootless
    assert not engine_version(Components=None).rootless


def test_all_requests_name_the_version_and_only_the_first_asks_for_it(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER | {"ApiVersion": "1.99"}, json="[]", _ping="OK", info="{}") as newer:
        engine = Engine(newer.host)
        assert newer.asked == ["/version"]
        assert engine.containers_labelled("a") == []
        assert engine.info() == {}
        assert engine.image("none") == {}
        engine.ping()
        engine.close()
    assert newer.asked[1:] == ["/v1.51/containers/json", "/v1.51/info", "/v1.51/images/none/json", "/_ping"]
