"""`headway repo add` and `repo check` against the API of each forge."""

import pytest
from typer.testing import Result

from tests.support.forge_api import TOKEN, FakeApi, forge_api
from tests.web.cli.command import Headway
from workers.db.models import Repo
from workers.db.session import make_engine, reading
from workers.secrets.vault import clone_place, forge_place, open_vault
from workers.settings import load_settings

FORGES = ["gitea", "gitlab", "github"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("settings_of")]


def stored() -> Repo:
    engine = make_engine(load_settings().database)
    with reading(engine) as session:
        repo = session.query(Repo).one()
    engine.dispose()
    return repo


def add(headway: Headway, fake: FakeApi, *more: str) -> Result:
    return headway("repo", "add", f"{fake.url}{fake.below}/acme/roof.git", *more, stdin=TOKEN)


@pytest.mark.parametrize(
    ("kind", "forge", "said"),
    [
        ("gitea", "gitea", "Gitea 1.22.3"),
        ("forgejo", "gitea", "Forgejo 9.0.1+gitea-1.22.0"),
        ("gitea-closed", "gitea", "Gitea."),
        ("gitlab", "gitlab", "GitLab."),
        ("gitlab-old", "gitlab", "GitLab."),
        ("github", "github", "GitHub Enterprise 3.14.2"),
        ("bitbucket-server", "generic", "Bitbucket Server; its own webhooks"),
        ("nothing", "generic", "no forge that Headway knows, so this is taken for plain git"),
    ],
)
def test_a_host_is_asked_what_it_is(headway: Headway, kind: str, forge: str, said: str) -> None:
    with forge_api(kind) as fake:
        printed = add(headway, fake)
    assert printed.exit_code == 0, printed.output
    assert said in printed.stdout
    assert (stored().forge, stored().default_branch, stored().forge_token_sealed) == (forge, "main", "")


def test_a_host_that_does_not_answer_is_plain_git_with_a_sentence(headway: Headway) -> None:
    printed = headway.ok("repo", "add", "http://127.0.0.1:1/acme/roof.git")
    assert "does not answer" in printed
    assert "--replace and --forge" in printed


def test_a_forge_below_a_path_of_its_host_is_found_there(headway: Headway) -> None:
    with forge_api("gitea", below="/code") as fake:
        assert f"{fake.url}/code is Gitea" in add(headway, fake, "--token").stdout
        assert stored().forge_api_url == f"{fake.url}/code/api/v1"


def test_an_answer_without_end_is_not_read_to_its_end(headway: Headway) -> None:
    with forge_api("nothing", instead=(200, {}, "x" * 3_000_000)) as fake:
        assert "no forge that Headway knows" in add(headway, fake).stdout


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("private", [False, True])
def test_with_a_token_one_command_connects(headway: Headway, forge: str, private: bool) -> None:
    from tests.web.cli.serving import web_server

    with web_server() as url, forge_api(forge, private=private, headway=url) as fake:
        printed = add(headway, fake, "--token")
        assert printed.exit_code == 0, printed.output
        assert printed.stdout.endswith("acme/roof is connected.\n")
        assert TOKEN not in printed.output
        (hook,) = fake.hooks
        again = headway("repo", "check", "acme/roof")
        assert again.exit_code == 0, again.output
        assert len(fake.hooks) == 1
    repo, vault = stored(), open_vault(load_settings())
    assert (repo.private, repo.default_branch) == (private, "trunk")
    assert vault.unseal(forge_place(repo.id), repo.forge_token_sealed) == TOKEN
    if private:
        assert vault.unseal(clone_place(repo.id), repo.clone_password_sealed) == TOKEN
    else:
        assert repo.clone_password_sealed == ""
    assert "/hooks/acme/roof" in hook.get("config", hook)["url"]
    assert repo.last_number == 0


def test_what_is_wrong_with_a_webhook_is_said_and_mended(headway: Headway) -> None:
    from tests.web.cli.serving import web_server

    with web_server() as url, forge_api("gitea", headway=url) as fake:
        add(headway, fake, "--token")
        fake.hooks[0].update(active=False, config={**fake.hooks[0]["config"], "content_type": "form"})
        found = headway("repo", "check", "acme/roof")
        assert found.exit_code == 1
        assert "--mend" in found.stdout
        assert headway("repo", "check", "acme/roof", "--mend").exit_code == 0
        assert fake.hooks[0]["active"] is True
        assert fake.hooks[0]["config"]["content_type"] == "json"
        fake.hooks.clear()
        assert "the forge has none" in headway("repo", "check", "acme/roof").stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"instead": (401, {}, {"message": "Bad credentials"})}, "does not know this token (401 Bad credentials)"),
        ({"instead": (404, {}, {"message": "Not Found"})}, "may not see the repository, or there is none"),
        ({"instead": (503, {}, "<html>away</html>")}, "the forge's API answers 503"),
        ({"writes": False}, "may not write to the repository"),
        ({"may_see_hooks": False}, "may not see webhooks (403 requires admin)"),
    ],
)
def test_what_a_token_may_not_do_is_said(headway: Headway, more: dict[str, object], said: str) -> None:
    with forge_api("gitea", **more) as fake:
        if "writes" in more:
            fake.hooks, fake.may_see_hooks = [], False
        printed = add(headway, fake, "--token", "--forge", "gitea")
    assert printed.exit_code == 1
    assert said in printed.stdout
    assert "acme/roof is not connected" in printed.stdout
    assert bool(stored().forge_token_sealed) is ("instead" not in more)


def test_without_a_token_a_private_repository_is_said_to_need_a_login(headway: Headway) -> None:
    with forge_api("gitea", private=True) as fake:
        printed = add(headway, fake)
    assert "`headway repo login acme/roof -u ACCOUNT`" in printed.stdout
    assert "--replace --token" in printed.stdout


def test_bitbucket_has_no_test_and_nothing_is_missing_for_it(headway: Headway) -> None:
    with forge_api("bitbucket") as fake:
        printed = add(headway, fake, "--token", "--forge", "bitbucket")
        assert printed.exit_code == 0, printed.output
        assert "the next push shows" in printed.stdout
        assert fake.hooks[0]["events"][0] == "repo:push"


def test_a_token_goes_to_no_other_host(headway: Headway) -> None:
    with forge_api("gitea") as other, forge_api("gitea") as fake:
        fake.instead = (307, {"location": f"{other.url}/api/v1/repos/acme/roof"}, None)
        assert "answers 307" in add(headway, fake, "--token", "--forge", "gitea").stdout
        assert other.asked == []


def test_an_empty_token_is_refused_before_anything_is_asked(headway: Headway) -> None:
    with forge_api("gitea") as fake:
        url = f"{fake.url}/acme/roof.git"
        assert "That is no token" in headway.refused("repo", "add", url, "--token", stdin="")
        assert fake.asked == []
