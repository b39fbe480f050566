"""Labels: a worker must offer every label that a job asks for with a value that is not empty, with the same value or
`*`. Every worker offers `platform`, `hostname`, `backend` and `repo`."""

import socket

import pytest

from workers.labels import fits, offered_here, parse_labels, queue_of, wanted
from workers.settings import Settings

HERE = offered_here("")


def test_labels_are_separated_by_commas() -> None:
    assert parse_labels(" gpu=true, disk = ssd,,!only=x ") == {"gpu": "true", "disk": "ssd", "!only": "x"}
    assert parse_labels("") == {}


@pytest.mark.parametrize("text", ["gpu", "gpu=", "=true", "!=x", "a=b,c"])
def test_text_that_is_no_label_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no label; write NAME=VALUE"):
        Settings(worker_labels=text)


def test_every_worker_has_platform_hostname_backend_and_repo_and_its_own_win() -> None:
    assert HERE.keys() == {"platform", "hostname", "backend", "repo"}
    assert (HERE["hostname"], HERE["backend"], HERE["repo"]) == (socket.gethostname(), "docker", "*")
    assert HERE["platform"].startswith("linux/")
    assert offered_here("repo=a/b,gpu=true") == HERE | {"repo": "a/b", "gpu": "true"}


@pytest.mark.parametrize(
    ("asked", "offered", "expected"),
    [
        ({}, "", True),
        ({"gpu": "true"}, "", False),
        ({"gpu": "true"}, "gpu=true", True),
        ({"gpu": "true"}, "gpu=false", False),
        ({"gpu": "true"}, "gpu=*", True),
        ({"gpu": ""}, "", True),
        ({"gpu": "true", "disk": "ssd"}, "gpu=true", False),
        ({"gpu": "true", "disk": "ssd"}, "gpu=true,disk=ssd,more=x", True),
        ({"gpu": "True"}, "gpu=true", False),
        ({"gpu": "*"}, "gpu=true", False),
        ({"backend": "docker"}, "", True),
        ({}, "repo=acme/roof", True),
        ({}, "repo=acme/wall", False),
        ({"repo": "acme/wall"}, "repo=acme/wall", False),
        ({}, "!gpu=true", False),
        ({"gpu": "true"}, "!gpu=true", True),
        ({"gpu": "false"}, "!gpu=true", False),
        ({"gpu": "any"}, "!gpu=*", True),
    ],
)
def test_a_worker_gets_a_job_when_it_offers_all_that_is_asked_for(
    asked: dict[str, str], offered: str, expected: bool
) -> None:
    assert fits(wanted(asked, "acme/roof"), offered_here(offered)) is expected


def test_workers_with_the_same_labels_listen_to_the_same_queue() -> None:
    assert queue_of({"a": "1", "b": "2"}) == queue_of({"b": "2", "a": "1"})
    assert queue_of({"a": "1"}) != queue_of({"a": "2"})
