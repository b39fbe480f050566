"""Secrets and registry logins for an owner or for all repositories: the nearest counts."""

from collections.abc import Mapping

import pytest

from pipelines.context import Trust
from pipelines.trigger import Event, Trigger
from tests.web.cli.command import Headway
from workers import store
from workers.access.credentials import job_secrets, registry_logins_for
from workers.access.trust import permissions
from workers.db.session import make_engine, reading
from workers.secrets.vault import open_vault
from workers.settings import load_settings
from workers.store.repos.secrets import owners_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("settings_of")]
SHA = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"


def used(name: str, event: Event = Event.PUSH, *, on_branch: bool = True) -> tuple[Mapping[str, str], dict[str, str]]:
    """The secrets, and the accounts at registries, that a run of the repository gets."""
    settings = load_settings()
    engine, vault = make_engine(settings.database), open_vault(settings)
    with reading(engine) as session:
        repo = store.repo_by_name(session, name)
    assert repo is not None
    trigger = Trigger(event=event, sha=SHA, ref="refs/heads/main", branch="main")
    allowed = permissions(trigger, Trust(), on_branch=on_branch)
    secrets = job_secrets(engine, vault, repo.id, event, allowed).values
    logins = registry_logins_for(engine, vault, repo.id, allowed)
    engine.dispose()
    return secrets, {host: f"{login.username}:{login.password}" for host, login in logins.items()}


@pytest.fixture
def three(headway: Headway) -> Headway:
    for name in ("team/app", "team/sub/app", "teammates/app", "app"):
        headway.ok("repo", "add", f"/srv/{name}.git", "--name", name)
    for place, value in (("*", "whole"), ("team/*", "team"), ("team/sub/*", "below"), ("team/app", "mine")):
        headway.ok("secret", "set", place, "KEY", stdin=value)
        headway.ok("registry", "login", "r.test", "-u", "bot", "--repo", place, stdin=value)
    return headway


@pytest.mark.parametrize(
    ("name", "nearest"), [("team/app", "mine"), ("team/sub/app", "below"), ("teammates/app", "whole"), ("app", "whole")]
)
def test_the_nearest_secret_and_login_count(three: Headway, name: str, nearest: str) -> None:
    assert used(name) == ({"key": nearest}, {"r.test": f"bot:{nearest}"})


def test_what_is_removed_gives_way_to_the_next(three: Headway) -> None:
    for place, next_one in (("team/app", "team"), ("team/*", "whole")):
        three.ok("secret", "remove", place, "key")
        three.ok("registry", "logout", "r.test", "--repo", place)
        assert used("team/app") == ({"key": next_one}, {"r.test": f"bot:{next_one}"})
    three.ok("secret", "remove", "*", "key")
    three.ok("registry", "logout", "r.test")
    assert used("team/app") == ({}, {})
    assert "no secret named key" in three.refused("secret", "remove", "team/*", "key")


def test_a_nearer_secret_for_other_events_hides_one_that_is_farther_away(three: Headway) -> None:
    three.ok("secret", "set", "team/app", "key", "--event", "tag", stdin="mine")
    assert used("team/app")[0] == {}
    assert used("team/app", Event.TAG)[0] == {"key": "mine"}


def test_an_untrusted_run_gets_none_of_them(three: Headway) -> None:
    assert used("team/app", on_branch=False) == ({}, {})
    assert used("team/app", Event.PULL_REQUEST)[0] == {}


def test_they_are_listed_with_their_place(three: Headway) -> None:
    assert three.ok("secret", "list", "team/*").startswith("key\t")
    assert "team/*" in three.ok("registry", "list")
    assert "whole" not in three.ok("secret", "list", "*").split("\t")[0]


@pytest.mark.parametrize("name", ["/*", "a//*", "*/*", "a b/*"])
def test_what_is_no_owner_is_refused(headway: Headway, name: str) -> None:
    assert "names no owner" in headway.refused("secret", "set", name, "key", stdin="xxxx")


def test_the_owners_of_a_repository_are_its_name_cut_shorter() -> None:
    assert owners_of("a/b/c") == ["a/b", "a", ""]
    assert owners_of("c") == [""]
