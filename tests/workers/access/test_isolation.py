"""What keeps the jobs of one repository apart from those of others, and those of its forks from its own."""

import pytest
from sqlalchemy import Engine

from pipelines.context import Trust
from pipelines.trigger import Trigger
from runner.execution.job.isolation import Isolation
from tests.support.builders import pull_request, push
from tests.support.services import TEST_KEY
from workers import store
from workers.access.isolation import isolation_for
from workers.access.trust import permissions
from workers.db.session import transaction
from workers.secrets.vault import Vault, new_key, parse_keys

FORK = pull_request(from_fork=True)
OTHER_FORK = FORK.model_copy(update={"ref": "refs/pull/8/head"})


class Server:
    """Two repositories, and the isolation that a job of one gets."""

    def __init__(self, database: Engine) -> None:
        self.database = database
        self.vault: Vault = parse_keys([TEST_KEY], "the test")
        with transaction(database) as session:
            repos = [store.add_repo(session, store.NewRepo(name, "file:///x")) for name in ("a/a", "b/b")]
            self.ids = [repo.id for repo in repos]
            self.keys = [repo.key for repo in repos]

    def login(self, host: str, repo: int | None = None) -> None:
        with transaction(self.database) as session:
            store.put_registry(session, None if repo is None else self.ids[repo], host, "robot", "sealed")

    def isolation(self, trigger: Trigger, repo: int = 0) -> Isolation:
        allowed = permissions(trigger, Trust(), on_branch=True)
        return isolation_for(self.database, self.vault, (self.ids[repo], self.keys[repo]), allowed)


@pytest.fixture
def server(sqlite_database: Engine) -> Server:
    return Server(sqlite_database)


def test_builds_share_their_caches_with_those_of_the_same_repository_and_trust(server: Server) -> None:
    mine = server.isolation(push())
    assert server.isolation(pull_request(from_fork=False)) == mine
    scopes = {mine.build_scope, server.isolation(push(), 1).build_scope, server.isolation(FORK).build_scope,
              server.isolation(OTHER_FORK).build_scope, server.isolation(FORK, 1).build_scope}  # fmt: skip
    assert len(scopes) == 5
    assert all(len(scope) == 64 for scope in scopes)
    assert server.isolation(FORK) == server.isolation(FORK)


def test_a_repository_of_a_restored_database_has_a_scope_of_its_own(server: Server) -> None:
    before = server.isolation(push()).build_scope
    server.keys[0] = "another"
    assert server.isolation(push()).build_scope != before


def test_a_scope_is_known_only_with_the_servers_key_and_stays_when_a_key_is_added(server: Server) -> None:
    before = server.isolation(push()).build_scope
    server.vault = parse_keys([new_key(), TEST_KEY], "the test")
    assert server.isolation(push()).build_scope == before
    server.vault = parse_keys([new_key()], "the test")
    assert server.isolation(push()).build_scope != before


def test_images_of_a_registry_are_guarded_from_those_who_do_not_have_its_login(server: Server) -> None:
    server.login("all.test")
    server.login("a.test", 0)
    server.login("both.test")
    server.login("both.test", 1)
    assert server.isolation(push()).login_hosts == {"both.test"}, "the other repository may see more with its own"
    assert server.isolation(push(), 1).login_hosts == {"a.test", "both.test"}
    assert server.isolation(FORK).login_hosts == {"all.test", "a.test", "both.test"}
