"""Which caches a job may use: those of its repository, and what is untrusted changes none."""

from pathlib import Path

import pytest

from pipelines.context import Trust
from tests.support.builders import pull_request, push
from tests.support.services import TEST_KEY
from workers.access.caches import caches_for, repo_of_scope
from workers.access.trust import permissions
from workers.secrets.vault import new_key, parse_keys
from workers.settings import Settings

VAULT = parse_keys([TEST_KEY], "the test")
OWN = permissions(push(), Trust(), on_branch=True)
FORK = permissions(pull_request(from_fork=True), Trust(), on_branch=True)
LOOSE = permissions(push(), Trust(), on_branch=False)
REPO = (1, "key")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, cache_bytes_max=5)


def test_each_repository_has_its_own_and_a_fork_reads_those(settings: Settings) -> None:
    both = (REPO, OWN), (REPO, FORK), ((2, "other"), OWN)
    own, fork, other = (caches_for(VAULT, settings, repo, who) for repo, who in both)
    assert own.scope == fork.scope != other.scope
    assert (own.untrusted, fork.untrusted) == ("", "it comes from a fork")
    assert (
        caches_for(VAULT, settings, REPO, LOOSE).untrusted == "no branch or tag of the repository contains its commit"
    )
    assert (own.store.root, own.bytes_max) == (settings.data_dir / "caches", 5)


def test_another_server_has_nothing_for_the_same_number(settings: Settings) -> None:
    other = parse_keys([new_key()], "the test")
    assert caches_for(other, settings, REPO, OWN).scope != caches_for(VAULT, settings, REPO, OWN).scope


def test_a_repository_with_the_same_id_in_a_restored_database_has_others(settings: Settings) -> None:
    assert caches_for(VAULT, settings, (1, "later"), OWN).scope != caches_for(VAULT, settings, REPO, OWN).scope


def test_the_scope_names_its_repository(settings: Settings) -> None:
    assert repo_of_scope(caches_for(VAULT, settings, (17, "key"), OWN).scope) == 17
    assert [repo_of_scope(text) for text in ("17", "x-1", "17-abc", "")] == [None] * 4
