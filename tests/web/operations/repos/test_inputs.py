"""Inputs that a branch declares: in the form, through the API, and as early answers."""

import re

import pytest
from starlette.testclient import TestClient

from pipelines.inputs import DeclaredInput
from pipelines.trigger import Trigger
from tests.support.people import OPERATOR
from tests.web.conftest import REPO, SHA, Site, push
from web.operations.accounts import roles
from workers import store
from workers.db.roles import Role
from workers.db.session import reading, transaction

PAGE, API = f"/repos/{REPO}", f"/api/repos/{REPO}"
HOSTILE = "</select><script>alert(1)</script>"
DECLARED = (
    DeclaredInput(name="LEVEL", type="choice", choices=("smoke", "full"), default="full", description=HOSTILE),
    DeclaredInput(name="DRY", type="boolean", required=True),
    DeclaredInput(name="NOTE", default='"quoted"'),
)


def declare(site: Site, trigger: Trigger, declared: tuple[DeclaredInput, ...] = DECLARED) -> None:
    with transaction(site.engine) as session:
        found = store.repo_by_name(session, REPO)
        assert found is not None
        store.put_branch_inputs(session, found.id, trigger, declared)


@pytest.fixture(autouse=True)
def repo(site: Site) -> None:
    site.add_repo()
    declare(site, push())


def test_the_form_has_a_field_for_each_declared_input(browser: TestClient) -> None:
    text = browser.get(PAGE).text
    assert re.search(r'<select name="input.LEVEL">\s*<option>smoke</option><option selected>full</option>', text)
    assert re.search(r'<select name="input.DRY" required>\s*<option value=""></option>\s*<option>true</option>', text)
    assert 'name="input.NOTE" value="&#34;quoted&#34;"' in text
    assert "<script>alert" not in text


def test_what_the_form_gives_are_the_inputs_of_the_run(site: Site, browser: TestClient) -> None:
    form = {"input.LEVEL": "smoke", "input.DRY": "true", "input.NOTE": "", "inputs": "MORE=1"}
    assert browser.post(f"{PAGE}/runs", data=form).status_code == 303
    assert site.trigger().inputs == {"LEVEL": "smoke", "DRY": "true", "MORE": "1"}
    assert site.trigger().inputs_by_admin


def test_a_refused_form_keeps_its_inputs(browser: TestClient) -> None:
    text = browser.post(f"{PAGE}/runs", data={"branch": "a b", "input.LEVEL": "smoke", "input.NOTE": "x"}).text
    assert "<option selected>smoke</option>" in text
    assert 'name="input.NOTE" value="x"' in text


def test_a_loader_variable_is_refused_in_every_field_of_the_form(site: Site, browser: TestClient) -> None:
    for form in ({"input.BASH_ENV": "x"}, {"inputs": "BASH_ENV=x"}):
        answer = browser.post(f"{PAGE}/runs", data=form)
        assert answer.status_code == 422
        assert "cannot be an input" in answer.text
    assert site.runs() == 0


def test_programs_read_what_a_branch_declares(site: Site, program: TestClient) -> None:
    names = [each["name"] for each in program.get(f"{API}/inputs").json()]
    assert names == ["LEVEL", "DRY", "NOTE"]
    assert program.get(f"{API}/inputs", params={"branch": "topic"}).json() == []
    declare(site, push(branch="topic"), DECLARED[:1])
    assert len(program.get(f"{API}/inputs", params={"branch": "topic"}).json()) == 1


def refused(client: TestClient, commit: str = SHA[:10], **inputs: str) -> str:
    answer = client.post(f"{API}/runs", json={"commit": commit, "inputs": inputs})
    return str(answer.json()["error"]) if answer.status_code == 422 else ""


def test_where_the_commits_pipeline_is_known_wrong_inputs_are_refused_at_once(site: Site, guest: TestClient) -> None:
    roles.put(site.services, OPERATOR, REPO, "bob", Role.WRITE)
    assert refused(guest, LEVEL="max") == "The input LEVEL cannot be 'max': it is one of smoke, full."
    assert refused(guest, LEVL="full") == "The input LEVL is not declared; did you mean LEVEL."
    assert site.runs() == 0
    assert refused(guest, LEVEL="smoke") == ""
    assert refused(guest, commit="", LEVL="x") == "", "the next commit of the branch may declare it"
    assert refused(guest, commit="abcdef0", LEVL="x") == ""
    assert not any(site.trigger(number).inputs_by_admin for number in range(1, 4))


def test_an_administrator_may_give_a_file_of_woodpeckers_what_it_cannot_declare(
    site: Site, program: TestClient
) -> None:
    assert refused(program, LEVL="full") == ""
    assert site.trigger().inputs_by_admin
    assert "it is one of smoke, full" in refused(program, LEVEL="max")


def test_the_newest_run_of_a_branch_counts_and_pull_requests_change_nothing(site: Site) -> None:
    def known(branch: str = "main") -> int:
        with reading(site.engine) as session:
            found = store.repo_by_name(session, REPO)
            assert found is not None
            return len(store.branch_inputs(session, found.id, branch))

    for trigger in (
        push().model_copy(update={"ref": "refs/pull/1/head"}),
        push().model_copy(update={"ref": "refs/tags/v1", "branch": "", "tag": "v1"}),
    ):
        declare(site, trigger, ())
        assert known() == 3
    declare(site, push(), DECLARED[:2])
    assert known() == 2
    declare(site, push(), ())
    assert known() == 0
