"""A branch that does not exist is an error in the form that starts a run, not a failed run."""

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import REPO, Site, push
from tests.web.pages.test_pages import HOSTILE, assert_no_foreign_markup
from workers import store
from workers.db.models import Repo
from workers.db.session import reading, transaction
from workers.store.runs.heads import Seen, note_check, note_failed_check, remember_heads
from workers.store.runs.known_refs import NAMES_MAX, names_instead

PAGE = f"/repos/{REPO}"


@pytest.fixture
def repo(site: Site) -> Repo:
    site.add_repo()
    with reading(site.engine) as session:
        found = store.repo_by_name(session, REPO)
    assert found
    return found


def looked(site: Site, repo: Repo, *refs: str, url: str = "") -> None:
    """The scheduler has asked the repository's server."""
    with transaction(site.engine) as session:
        note_check(session, repo.id, url or repo.clone_url, 300)
        remember_heads(session, repo.id, [Seen(ref, "ab" * 20, "ab" * 20) for ref in refs], first_time=True)


def start(browser: TestClient, **form: str) -> tuple[int, str]:
    answer = browser.post(f"{PAGE}/runs", data=form)
    return answer.status_code, answer.text


def test_a_branch_that_is_not_there_is_an_error_with_the_nearest_name(
    site: Site, browser: TestClient, repo: Repo
) -> None:
    looked(site, repo, "refs/heads/main", "refs/heads/discounts", "refs/tags/discount")
    status, text = start(browser, branch="discuonts")
    assert status == 422
    assert "There was no branch named discuonts when Headway looked at the repository last." in text
    assert "Did you mean &#39;discounts&#39;?" in text
    assert site.runs() == 0
    assert 'value="discuonts"' in text
    assert 'name="anyway"' in text
    status, text = start(browser, tag="v1")
    assert (status, "There was no tag named v1" in text, "Did you mean" in text) == (422, True, False)
    status, text = start(browser, branch=HOSTILE.replace(" ", "-"))
    assert_no_foreign_markup(text)


def test_it_can_be_started_anyway(site: Site, browser: TestClient, repo: Repo) -> None:
    looked(site, repo, "refs/heads/main")
    assert start(browser, branch="just-pushed", anyway="true")[0] == 303
    assert start(browser, branch="just-pushed")[0] == 303  # it has a run now
    assert site.runs() == 2


@pytest.mark.parametrize(
    "form", [{"branch": "main"}, {"tag": "v1"}, {}, {"commit": "ab" * 20}, {"branch": "webhook-was-faster"}]
)
def test_what_exists_is_started(site: Site, browser: TestClient, repo: Repo, form: dict[str, str]) -> None:
    looked(site, repo, "refs/heads/main", "refs/tags/v1")
    site.queue(push(branch="webhook-was-faster"))
    assert start(browser, **form)[0] == 303


def test_other_errors_offer_no_start(site: Site, browser: TestClient, repo: Repo) -> None:
    looked(site, repo, "refs/heads/main")
    status, text = start(browser, branch="main", tag="v1")
    assert (status, 'name="anyway"' in text) == (422, False)


def test_where_it_is_not_known_what_exists_a_worker_finds_out(site: Site, browser: TestClient, repo: Repo) -> None:
    assert start(browser, branch="a")[0] == 303
    looked(site, repo, "refs/heads/main", url="https://old.test/x.git")
    assert start(browser, branch="b")[0] == 303
    looked(site, repo, "refs/heads/main")
    with transaction(site.engine) as session:
        note_failed_check(session, repo.id, "it does not answer", 60, 600)
    assert start(browser, branch="c")[0] == 303


@pytest.mark.parametrize(("count", "names"), [(NAMES_MAX, NAMES_MAX), (NAMES_MAX + 1, NAMES_MAX)])
def test_so_many_names_are_looked_at_for_the_nearest(site: Site, repo: Repo, count: int, names: int) -> None:
    looked(site, repo, *(f"refs/heads/b{number}" for number in range(count)))
    with reading(site.engine) as session:
        found = names_instead(session, repo, "refs/heads/other")
    assert found is not None
    assert len(found) == names
