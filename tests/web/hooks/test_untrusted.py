"""Webhooks of pull requests from forks: held, run or refused, and how people approve them."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.state import State
from pipelines.trigger import Event, Trigger
from tests.support.paths import FORGE_SAMPLES
from tests.support.people import OPERATOR
from tests.web.conftest import REPO, SHA, Site
from web.operations.accounts import roles
from web.operations.repos import repos
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.roles import Role
from workers.db.session import transaction

pytestmark = pytest.mark.slow

RUN = f"/repos/{REPO}/runs/1"
NEXT = "9" * 40


def policy(site: Site, runs: UntrustedRuns) -> None:
    repos.set_untrusted_runs(site.services, OPERATOR, REPO, runs, PipelineFrom.COMMIT)


class Sender:
    """A forge's repository, whose webhooks are signed."""

    def __init__(self, site: Site, client: TestClient, forge: str = "generic") -> None:
        self.client, self.forge = client, forge
        self.secret = site.add_repo(forge=forge).secret
        self.sent = 0

    def __call__(self, body: dict[str, Any], **headers: str) -> Any:
        self.sent += 1
        # Forges send a time: two events are never the same bytes.
        data = json.dumps({**body, "sent": self.sent}).encode()
        digest = hmac.new(self.secret.encode(), data, hashlib.sha256).hexdigest()
        name, key = {
            "generic": ("x-headway-signature", "x-headway-delivery"),
            "github": ("x-hub-signature-256", "x-github-delivery"),
        }[self.forge]
        own = {**headers, name: f"sha256={digest}", key: str(self.sent)}
        return self.client.post(f"/hooks/{REPO}", content=data, headers=own)


def proposal(sha: str = SHA, **more: Any) -> dict[str, Any]:
    pull = {"number": 9, "title": "Roof", "source_branch": "main", "target_branch": "main", **more}
    return {"event": "pull_request", "ref": "refs/pull/9/head", "after": sha, "pull_request": pull}


def test_a_fork_waits_and_no_worker_is_woken_for_it(site: Site, program: TestClient) -> None:
    answer = Sender(site, program)(proposal())
    assert answer.status_code == 202
    assert (site.run().held, site.run().state) == (True, State.QUEUED)
    run = program.get(f"/api{RUN}").json()
    assert (run["held"], run["untrusted"], run["approved_by"]) == (True, "it comes from a fork", "")
    assert run["jobs"][0]["waits_for"].startswith("Waits for approval by a maintainer")


def test_a_payload_that_says_nothing_of_the_fork_is_of_a_fork(site: Site, program: TestClient) -> None:
    send = Sender(site, program)
    send(proposal(from_fork=False))
    send(proposal(NEXT))
    assert [site.run(1).held, site.run(2).held] == [False, True]


def test_a_maintainer_approves_through_the_api(site: Site, program: TestClient) -> None:
    Sender(site, program)(proposal())
    site.woken.clear()
    assert program.post(f"/api{RUN}/approve").status_code == 202
    assert (site.run().held, site.run().approved_by) == (False, "ada")
    assert len(site.woken) == 1
    again = program.post(f"/api{RUN}/approve")
    assert (again.status_code, again.json()["error"]) == (409, "Run 1 does not wait for approval.")


def test_nobody_else_approves(site: Site, guest: TestClient) -> None:
    Sender(site, guest)(proposal())
    roles.put(site.services, OPERATOR, REPO, "bob", Role.READ)
    for path in (f"/api{RUN}/approve", f"{RUN}/approve"):
        answer = guest.post(path)
        assert answer.status_code == 403
    assert site.run().held
    page = guest.get(RUN).text
    assert "Approve and run" not in page
    assert "Waits for approval by a maintainer" in page


def test_a_maintainer_approves_or_rejects_on_the_page(site: Site, browser: TestClient) -> None:
    send = Sender(site, browser)
    send(proposal())
    page = browser.get(RUN).text
    assert "Untrusted: <bdi>it comes from a fork</bdi>." in page
    assert f'action="{RUN}/approve"' in page
    assert browser.post(f"{RUN}/approve", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert site.run().held, "another site's form approves nothing"
    assert browser.post(f"{RUN}/approve").headers["location"] == RUN
    assert not site.run().held
    assert "approved by ada" in browser.get(RUN).text
    send(proposal(NEXT))
    browser.post(f"/repos/{REPO}/runs/2/cancel")
    assert site.run(2).state is State.CANCELED


def test_the_next_push_needs_another_approval_and_cancels_what_waits(site: Site, program: TestClient) -> None:
    send = Sender(site, program)
    send(proposal(author_id=7))
    program.post(f"/api{RUN}/approve")
    send(proposal(NEXT, author_id=7))
    assert site.run(2).held
    send(proposal("8" * 40, author_id=7))
    assert (site.run(2).state, site.run(3).held) == (State.CANCELED, True)
    send(proposal(author_id=7))
    assert not site.run(4).held, "the approved commit again"


def test_the_author_of_an_approved_commit_counts(site: Site, program: TestClient) -> None:
    send = Sender(site, program)
    send(proposal(author_id=7))
    program.post(f"/api{RUN}/approve")
    send(proposal(author_id=8))
    assert site.run(2).held
    send(proposal(author_id="7"))
    assert not site.run(3).held


def test_a_repository_that_never_runs_forks_says_so_to_the_forge(site: Site, program: TestClient) -> None:
    send = Sender(site, program)
    policy(site, UntrustedRuns.NEVER)
    answer = send(proposal())
    assert answer.status_code == 200
    assert answer.json()["nothing_to_do"].startswith("Not run: this repository does not run what is untrusted")
    assert site.runs() == 0
    policy(site, UntrustedRuns.RUN)
    send(proposal())
    assert not site.run().held


def test_a_rerun_of_a_fork_waits_too(site: Site, program: TestClient) -> None:
    Sender(site, program)(proposal())
    program.post(f"/api{RUN}/cancel")
    assert program.post(f"/api{RUN}/rerun").status_code == 202
    assert site.run(2).held


@pytest.mark.slow
@pytest.mark.parametrize(
    ("association", "sender", "held"),
    [
        ("OWNER", 583231, False),
        ("MEMBER", 583231, False),
        ("COLLABORATOR", 583231, False),
        ("CONTRIBUTOR", 583231, True),
        ("FIRST_TIME_CONTRIBUTOR", 583231, True),
        ("FIRST_TIMER", 583231, True),
        ("MANNEQUIN", 583231, True),
        ("NONE", 583231, True),
        ("", 583231, True),
        ("owner", 583231, True),
        ("MEMBER", 1, True),  # another user pushed to the member's fork
        ("MEMBER", 0, True),
    ],
)
def test_github_says_whether_the_author_may_write(
    site: Site, program: TestClient, association: str, sender: int, *, held: bool
) -> None:
    Sender(site, program, "github")(of_member(sender=sender, association=association), **PULL_REQUEST)
    assert site.run().held is held


PULL_REQUEST = {"x-github-event": "pull_request"}
MEMBER = 583231


def of_member(
    action: str = "opened", *, sha: str = SHA, sender: int = MEMBER, association: str = "MEMBER", owner: object = MEMBER
) -> dict[str, Any]:
    """GitHub's event of a pull request that a member opened from a fork of ``owner``."""
    body = json.loads((FORGE_SAMPLES / "github" / "pr_from_fork.json").read_text())["body"]
    pull = body["pull_request"]
    body["action"], body["sender"]["id"] = action, sender
    pull["author_association"], pull["head"]["sha"], pull["head"]["repo"]["owner"] = association, sha, {"id": owner}
    if owner is None:
        del pull["head"]["repo"]["owner"]
    return dict(body)


OTHER_ACTIONS = ["edited", "labeled", "unlabeled", "closed", "reopened", "ready_for_review", "assigned", "milestoned"]


@pytest.mark.parametrize("action", OTHER_ACTIONS)
def test_what_a_member_does_to_the_pull_request_runs_no_commit_of_another(
    site: Site, program: TestClient, action: str
) -> None:
    send = Sender(site, program, "github")
    send(of_member(), **PULL_REQUEST)
    send(of_member("synchronize", sha=NEXT, sender=66), **PULL_REQUEST)
    assert [site.run(number).held for number in (1, 2)] == [False, True]
    send(of_member(action, sha=NEXT), **PULL_REQUEST)
    assert site.run(3).held
    program.post(f"/api/repos/{REPO}/runs/3/approve")
    send(of_member(action, sha=NEXT, sender=66), **PULL_REQUEST)
    assert [site.run(number).held for number in (3, 4)] == [False, False], "the commit is approved"


@pytest.mark.parametrize("action", OTHER_ACTIONS)
def test_what_happens_to_a_commit_of_a_member_needs_no_approval(site: Site, program: TestClient, action: str) -> None:
    send = Sender(site, program, "github")
    send(of_member("synchronize"), **PULL_REQUEST)
    send(of_member(action, sender=66), **PULL_REQUEST)
    assert (site.run(2).held, site.run(2).approved_by) == (False, f"{site.trigger(1).sender} at the forge")
    send(of_member(action, sha=NEXT), **PULL_REQUEST)
    assert site.run(3).held


@pytest.mark.parametrize("owner", [66, 0, None])
def test_a_member_who_opens_a_pull_request_from_the_fork_of_another_waits(
    site: Site, program: TestClient, owner: int | None
) -> None:
    send = Sender(site, program, "github")
    for number, action in enumerate(("opened", "synchronize"), 1):
        send(of_member(action, owner=owner), **PULL_REQUEST)
        assert site.run(number).held


def test_a_fork_whose_repository_is_gone_is_a_fork(site: Site, program: TestClient) -> None:
    sample = json.loads((FORGE_SAMPLES / "github" / "pr_opened.json").read_text())
    sample["body"]["pull_request"]["head"]["repo"] = None
    sample["body"]["pull_request"]["author_association"] = "NONE"
    event = next(value for name, value in sample["headers"].items() if name.lower() == "x-github-event")
    Sender(site, program, "github")(sample["body"], **{"x-github-event": event})
    assert site.run().held


def test_the_settings_page_sets_what_happens_to_untrusted_runs(site: Site, browser: TestClient) -> None:
    site.add_repo()
    path = f"/repos/{REPO}/settings"
    assert '<option value="approve" selected>' in browser.get(path).text
    browser.post(f"{path}/untrusted", data={"runs": "never", "pipeline_from": "base"})
    page = browser.get(path).text
    assert '<option value="never" selected>' in page
    assert '<option value="base" selected>' in page
    assert browser.post(f"{path}/untrusted", data={"runs": "always", "pipeline_from": "base"}).status_code == 422
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        assert (repo.untrusted_runs, repo.pipeline_from) == ("never", "base")


def test_a_run_by_hand_is_trusted_only_after_a_worker_has_asked_git(site: Site, program: TestClient) -> None:
    site.add_repo()
    queued = site.queue(Trigger(event=Event.MANUAL, sha=SHA, ref="refs/heads/main", branch="main"))
    claim = site.claim(queued)
    with transaction(site.engine) as session:
        store.set_trigger(session, queued.job_id, claim.attempt, site.trigger(), on_branch=False)
        store.hold_run(session, queued.job_id, claim.attempt)
    run = program.get(f"/api{RUN}").json()
    assert run["untrusted"] == "no branch or tag of the repository contains its commit"
    assert program.post(f"/api{RUN}/approve").status_code == 202
