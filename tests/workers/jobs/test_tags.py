"""Tags that a sender names by their own object, and deployments of which only a bare name is known."""

from pathlib import Path

import pytest

from pipelines.trigger import Event, Trigger
from runner.source.mirrors.mirror import Mirror
from tests.support.repos import Repo
from workers.jobs.planning.admission import locate, with_kind_of_ref

ONE, TWO, TAG = "1" * 40, "2" * 40, "3" * 40


@pytest.mark.slow
def test_the_object_of_an_annotated_tag_is_the_commit_under_it(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "roof.git")
    commit = repo.commit({"a": "1"}, message=b"Mend the roof")
    repo.git("tag", "-a", "-m", "the tag's own words", "v1", commit)
    tag = repo.git("rev-parse", "refs/tags/v1").strip()
    assert tag != commit
    repo.git("tag", "-a", "-m", "a tag of a tag", "v2", tag)
    for name in ("v1", "v2"):
        sent = Trigger(event=Event.TAG, sha=repo.git("rev-parse", name).strip(), ref=f"refs/tags/{name}", tag=name)
        trigger, on_branch = locate(Mirror(tmp_path / "mirrors", repo.url), sent, "main")
        assert (trigger.sha, trigger.message, on_branch) == (commit, "Mend the roof", True)


def test_a_deployment_of_a_tags_name_is_one_of_the_tag(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "roof.git")
    commit = repo.commit({"a": "1"})
    repo.git("tag", "v1", commit)
    sent = Trigger(event=Event.DEPLOYMENT, sha=commit, ref="refs/heads/v1", branch="v1", deploy_target="production")
    trigger, on_branch = locate(Mirror(tmp_path / "mirrors", repo.url), sent, "main")
    assert (trigger.ref, trigger.tag, trigger.branch, on_branch) == ("refs/tags/v1", "v1", "", True)


@pytest.mark.parametrize(
    ("event", "tips", "tag"),
    [
        (Event.DEPLOYMENT, {"refs/tags/x": ONE}, True),
        (Event.DEPLOYMENT, {"refs/tags/x": TAG, "refs/tags/x^{}": ONE}, True),
        (Event.DEPLOYMENT, {"refs/heads/x": TWO, "refs/tags/x": ONE}, True),
        (Event.DEPLOYMENT, {"refs/heads/x": ONE, "refs/tags/x": ONE}, False),
        (Event.DEPLOYMENT, {"refs/heads/x": TWO, "refs/tags/x": TWO}, False),
        (Event.DEPLOYMENT, {"refs/heads/x": ONE}, False),
        (Event.DEPLOYMENT, {}, False),
        (Event.PUSH, {"refs/tags/x": ONE}, False),
    ],
)
def test_a_name_is_a_tags_only_where_it_cannot_be_the_branch(event: Event, tips: dict[str, str], tag: bool) -> None:
    found = with_kind_of_ref(Trigger(event=event, sha=ONE, ref="refs/heads/x", branch="x"), tips)
    assert (found.ref, found.tag) == (("refs/tags/x", "x") if tag else ("refs/heads/x", ""))
