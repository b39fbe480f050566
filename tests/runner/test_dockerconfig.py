"""What `docker login` left behind."""

import json

from runner.images.dockerconfig import logins
from runner.specs import Login


def kept(tmp_path, auths) -> dict[str, Login]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": auths}))
    return logins(path)


def test_logins_are_found_by_their_host(tmp_path) -> None:
    auths = {
        "registry.example.com": {"auth": Login("ci", "a:b").basic()},
        "https://index.docker.io/v1/": {"auth": Login("me", "x").basic()},
    }
    assert kept(tmp_path, auths) == {"registry.example.com": Login("ci", "a:b"), "docker.io": Login("me", "x")}


def test_what_is_no_login_is_left_out(tmp_path) -> None:
    auths = {"a": {}, "b": {"auth": "!"}, "c": {"auth": "bm8="}, "d": None, "e": {"auth": 7}}
    assert kept(tmp_path, auths) == {}


def test_a_file_that_is_not_there_or_broken_has_none(tmp_path) -> None:
    assert logins(tmp_path / "none") == {}
    (tmp_path / "broken").write_text("[")
    (tmp_path / "list").write_text("[]")
    assert logins(tmp_path / "broken") == logins(tmp_path / "list") == {}
