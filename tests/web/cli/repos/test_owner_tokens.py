"""A forge's token for an owner or for all: the nearest counts, on the host that it was given for alone."""

from collections.abc import Iterator

import pytest

from tests.support.forge_api import TOKEN, FakeApi, forge_api
from tests.web.cli.command import Headway
from workers import store
from workers.access.credentials import clone_login
from workers.db.models import AuditEntry
from workers.db.session import make_engine, reading, transaction
from workers.forges.tokens import host_of, token_for
from workers.secrets.vault import open_vault
from workers.settings import load_settings

pytestmark = pytest.mark.usefixtures("settings_of")
FORGE = "https://git.test"


def used(name: str, *, private: bool = False) -> tuple[str, str]:
    """The token and the password for cloning that a repository gets; empty for none."""
    settings = load_settings()
    engine, vault = make_engine(settings.database), open_vault(settings)
    with transaction(engine) as session:
        repo = store.repo_by_name(session, name)
        assert repo is not None
        repo.private = repo.private or private
        token, login = token_for(session, vault, repo), clone_login(session, vault, repo)
    engine.dispose()
    return token.value if token else "", f"{login.username}:{login.password}" if login else ""


@pytest.fixture
def several(headway: Headway) -> Headway:
    for name in ("team/app", "team/sub/app", "teammates/app", "app"):
        headway.ok("repo", "add", f"{FORGE}/{name}.git", "--name", name, "--forge", "gitlab")
    for place, value in (("*", "whole"), ("team/*", "team"), ("team/sub/*", "below")):
        headway.ok("repo", "token", place, "--host", "git.test", stdin=value)
    headway.ok("repo", "token", "team/app", stdin="mine")
    return headway


def test_the_nearest_token_counts(several: Headway) -> None:
    nearest = {"team/app": "mine", "team/sub/app": "below", "teammates/app": "whole", "app": "whole"}
    assert {name: used(name) for name in nearest} == {name: (value, "") for name, value in nearest.items()}
    clones = {**nearest, "team/app": "team"}
    assert {name: used(name, private=True)[1] for name in clones} == {
        name: f"oauth2:{value}" for name, value in clones.items()
    }
    several.ok("repo", "login", "app", "-u", "bot", stdin="own-word")
    assert used("app") == ("whole", "bot:own-word")


def test_what_is_removed_gives_way_to_the_next(several: Headway) -> None:
    several.ok("repo", "token", "team/app", "--forget")
    assert used("team/app")[0] == "team"
    for place, next_one in (("team/*", "whole"), ("*", "")):
        several.ok("repo", "token", place, "--host", FORGE, "--forget")
        assert used("team/app", private=True) == (next_one, next_one and f"oauth2:{next_one}")
    assert "has no token for https://git.test" in several.refused("repo", "token", "*", "--host", FORGE, "--forget")


ELSEWHERE = (
    "https://git.test.evil/team/app", "http://git.test/team/app", "https://git.test:8443/team/app",
    "https://evil.test/git.test/team/app", "ssh://git@evil.test/team/app", "git@evil.test:team/app", "/srv/team/app",
)  # fmt: skip


def test_after_a_move_no_token_of_the_old_host_is_used(several: Headway) -> None:
    for url in ELSEWHERE:
        several.ok("repo", "url", "team/app", url)
        assert used("team/app", private=True) == ("", ""), url
    several.ok("repo", "url", "team/app", f"{FORGE}/team/app.git")
    assert used("team/app", private=True) == ("team", "oauth2:team")


def test_a_page_on_another_host_gets_no_token(several: Headway) -> None:
    several.ok("repo", "url", "team/app", f"{FORGE}/team/app.git", "--web-url", "https://evil.test/team/app")
    assert used("team/app", private=True) == ("", "oauth2:team")


def test_a_repository_that_is_cloned_over_ssh_is_on_the_same_forge(several: Headway) -> None:
    several.ok("repo", "url", "team/app", "ssh://git@git.test:2222/team/app.git")
    assert used("team/app", private=True) == ("team", "")


def test_they_are_listed_with_their_place_and_without_their_value(several: Headway) -> None:
    several.ok("repo", "token", "team/*", "--host", "http://127.0.0.1:3000", "--api", "http://api.test/v1", stdin="x-y")
    listed = several.ok("repo", "token", "team/*", "--list")
    assert listed == "http://127.0.0.1:3000\tteam/*\thttp://api.test/v1\nhttps://git.test\tteam/*\n"
    assert several.ok("repo", "token", "team/sub/app", "--list") == "https://git.test\tteam/sub/*\n"
    assert several.ok("repo", "token", "team/app", "--list") == "https://git.test\tteam/app\n"
    engine = make_engine(load_settings().database)
    with reading(engine) as session:
        entries = [f"{row.action} {row.target}" for row in session.query(AuditEntry)]
    engine.dispose()
    assert "repo.token team/* http://127.0.0.1:3000" in entries


REFUSED = {
    ("team/*",): "Name the forge that the token is for",
    ("team/*", "--host", "https://git.test/team"): "names no forge",
    ("team/*", "--host", "git@git.test"): "names no forge",
    ("/*", "--host", "git.test"): "names no owner",
    ("team/app", "--host", "evil.test"): "is for the host of its address",
    ("team/*", "--host", "git.test", "--api", "nonsense"): "no address of an API",
}


def test_what_is_no_host_or_owner_is_refused(several: Headway) -> None:
    for arguments, sentence in REFUSED.items():
        assert sentence in several.refused("repo", "token", *arguments, stdin="tok")


@pytest.mark.parametrize(
    ("address", "host"),
    [("git.test", FORGE), ("GIT.test:443/", FORGE), ("http://git.test:80", "http://git.test"), ("[::1]:3000", "https://[::1]:3000")],
)  # fmt: skip
def test_a_host_has_one_spelling(address: str, host: str) -> None:
    assert host_of(address) == host


@pytest.mark.parametrize(
    "address",
    ["", "a b", "ssh://git.test", "https://u:p@git.test", "https://", "git.test?x", "git.test#x", "a:b", "a\n"],
)
def test_what_is_no_host_raises(address: str) -> None:
    with pytest.raises(ValueError):
        host_of(address)


@pytest.fixture
def connected(headway: Headway) -> Iterator[FakeApi]:
    """A forge with a private repository; Headway has a token for its owner."""
    from tests.web.cli.serving import web_server

    with web_server() as url, forge_api("gitea", private=True, headway=url) as fake:
        headway.ok("repo", "token", "acme/*", "--host", fake.url, stdin=TOKEN)
        yield fake


def test_a_repository_is_connected_with_the_token_of_its_owner(headway: Headway, connected: FakeApi) -> None:
    printed = headway("repo", "add", f"{connected.url}/acme/roof.git")
    assert printed.exit_code == 0, printed.output
    assert f"token: that of acme/* for {connected.url}\n" in printed.stdout
    assert printed.stdout.endswith("acme/roof is connected.\n")
    assert TOKEN not in printed.output
    assert len(connected.hooks) == 1
    assert used("acme/roof") == (TOKEN, f"headway:{TOKEN}")
    headway.ok("repo", "token", "acme/*", "--host", connected.url, stdin="tok-wrong")
    wrong = headway("repo", "check", "acme/roof")
    assert wrong.exit_code == 1
    assert f"`headway repo token 'acme/*' --host {connected.url}` sets another" in wrong.stdout


def test_a_repository_that_became_private_is_cloned_with_the_token_after_mending(
    headway: Headway, connected: FakeApi
) -> None:
    connected.private = False
    headway.ok("repo", "add", f"{connected.url}/acme/roof.git")
    assert used("acme/roof") == (TOKEN, "")
    connected.private = True
    assert "`headway repo check acme/roof --mend` notes that" in headway("repo", "check", "acme/roof").stdout
    assert "private: noted" in headway.ok("repo", "check", "acme/roof", "--mend")
    assert used("acme/roof") == (TOKEN, f"headway:{TOKEN}")


def test_a_redirect_to_another_host_gets_no_token(headway: Headway, connected: FakeApi) -> None:
    headway.ok("repo", "add", f"{connected.url}/acme/roof.git")
    with forge_api("gitea") as other:
        for path in ("/api/v1/repos/acme/roof", "/acme/roof.git/info/refs?service=git-upload-pack"):
            connected.instead = (307, {"location": f"{other.url}{path}"}, None)
            assert headway("repo", "check", "acme/roof").exit_code == 1
        assert other.asked == []


def test_a_page_to_log_in_is_no_list_of_webhooks(headway: Headway, connected: FakeApi) -> None:
    headway.ok("repo", "add", f"{connected.url}/acme/roof.git")
    connected.hooks_at = "/user/login"
    said = headway("repo", "check", "acme/roof", "--mend").stdout
    assert "the token may not see webhooks (302" in said
    assert len(connected.hooks) == 1
