"""What the engine says about the numbers of users in its containers."""

from typing import Any

import pytest

from runner.docker.containers.users import Users, users_of


@pytest.mark.parametrize(
    ("info", "user", "users"),
    [
        ({}, 0, Users((0, 0), 0)),
        ({"SecurityOptions": ["name=seccomp,profile=builtin"]}, 1000, Users((0, 0), 1000)),
        ({"SecurityOptions": ["name=rootless"]}, 1000, Users((0, 0), 0)),
        ({"SecurityOptions": ["name=rootless"]}, 0, Users((0, 0), None)),
        ({"SecurityOptions": ["name=userns"], "DockerRootDir": "/var/lib/docker/100000.200000"}, 0,
         Users((100000, 200000), None)),
        ({"SecurityOptions": ["name=userns"], "DockerRootDir": "/elsewhere"}, 0, Users(None, None)),
    ],
)  # fmt: skip
def test_the_engine_says_how_its_users_are_numbered(info: dict[str, Any], user: int, users: Users) -> None:
    assert users_of(info, user) == users
