"""Repositories, as JSON."""

import pytest
from starlette.testclient import TestClient

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site, push
from web.operations.repos import secrets
from workers.db.models import Secret
from workers.db.session import reading

TEXT = b"a line\n"


def test_an_empty_server_has_no_repositories(program: TestClient) -> None:
    assert program.get("/api/repos").json() == []
    assert program.get("/api/runs").json() == []


def test_repositories_are_listed_with_their_last_run(site: Site, program: TestClient) -> None:
    site.add_repo("b/two")
    site.add_repo("a/one")
    site.queue(push("first"), "b/two")
    site.queue(push("second"), "b/two")
    one, two = program.get("/api/repos").json()
    assert (one["name"], one["last_run"]) == ("a/one", None)
    assert (two["last_run"]["number"], two["last_run"]["title"]) == (2, "second")
    assert [(run["repo"], run["number"]) for run in program.get("/api/runs").json()] == [("b/two", 2), ("b/two", 1)]


def test_repositories_are_listed_page_by_page(site: Site, program: TestClient) -> None:
    for name in ("a", "b/two", "c"):
        site.add_repo(name)

    def names(**asked: str | int) -> list[str]:
        return [repo["name"] for repo in program.get("/api/repos", params=asked).json()]

    assert names(limit=2) == ["a", "b/two"]
    assert names(limit=2, after="b/two") == ["c"]
    assert names(after="c") == []


def test_no_response_contains_a_secret_sealed_or_not(site: Site, program: TestClient) -> None:
    hooked = site.add_repo()
    secrets.put(site.services, OPERATOR, REPO, "key", "the value")
    site.begin()
    with reading(site.engine) as session:
        sealed = session.query(Secret).one().sealed
    paths = ("/api/repos", f"/api/repos/{REPO}", f"/api/repos/{REPO}/secrets", f"/api/repos/{REPO}/runs/1")
    for path in (*paths, f"/repos/{REPO}/settings", f"/repos/{REPO}"):
        text = program.get(path).text
        for hidden in (hooked.secret, "the value", sealed, "sealed", "v1|"):
            assert hidden not in text, path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/repos/no/such", "There is no repository named no/such here."),
        ("/api/repos/no/such/runs", "There is no repository named no/such here."),
        (f"/api/repos/{REPO}/runs/99", f"{REPO} has no run 99."),
        ("/api/steps/99/log", "There is no step 99 here."),
        ("/api/steps/99/stream", "There is no step 99 here."),
        ("/api/runs/99/stream", "There is no run 99 here."),
        ("/api/nonsense", "There is nothing at this address."),
    ],
)
def test_a_missing_row_is_answered_404_with_a_sentence(
    site: Site, program: TestClient, path: str, sentence: str
) -> None:
    site.add_repo()
    answer = program.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": sentence})


def test_a_number_larger_than_the_databases_integers_is_refused(site: Site, program: TestClient) -> None:
    site.add_repo()
    assert program.get(f"/api/repos/{REPO}/runs/{10**30}").status_code == 422
