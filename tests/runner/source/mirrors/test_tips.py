"""A run of a branch or a tag: what it is at now, from the repository itself."""

import pytest

from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.mirrors.mirror import Mirror
from tests.support.repos import Repo


def test_a_branch_is_at_what_was_pushed_last(repo: Repo, mirror: Mirror) -> None:
    first = repo.commit({"a": "1"})
    assert mirror.resolve("", "refs/heads/main") == first
    mirror.fetch(first)
    second = repo.commit({"a": "2"}, first)
    assert mirror.resolve("", "refs/heads/main") == second


def test_of_an_annotated_tag_it_is_the_commit_under_it(repo: Repo, mirror: Mirror) -> None:
    sha = repo.commit({"a": "1"})
    repo.git("tag", "-a", "-m", "one", "v1", sha)
    repo.git("tag", "light", sha)
    assert mirror.resolve("", "refs/tags/v1") == sha
    assert mirror.resolve("", "refs/tags/light") == sha


def test_a_name_that_only_ends_alike_is_another_one(repo: Repo, mirror: Mirror) -> None:
    repo.commit({"a": "1"}, ref="refs/other/refs/heads/main")
    with pytest.raises(StepError, match="the repository has no refs/heads/main"):
        mirror.resolve("", "refs/heads/main")


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_name_with_a_separator_in_it_does_not_count_as_what_stands_before(
    repo: Repo, mirror: Mirror, separator: str
) -> None:
    """Who may push any branch but main could else start a cron's run of main with a commit of their own."""
    sha = repo.commit({"a": "1"})
    other = repo.commit({"a": "2"}, sha, ref="refs/heads/other")
    repo.git("update-ref", f"refs/heads/main{separator}/refs/heads/main", other)
    assert mirror.resolve("", "refs/heads/main") == sha


@pytest.mark.parametrize("ref", ["", "main", "--upload-pack=touch owned", "refs/heads/a:refs/heads/b", "refs/heads/*"])
def test_what_is_no_ref_is_refused(mirror: Mirror, ref: str) -> None:
    with pytest.raises(StepError, match="not the name of a branch or tag"):
        mirror.resolve("", ref)


def test_a_repository_that_is_away_breaks_the_run_and_does_not_fail_it(repo: Repo, mirror: Mirror) -> None:
    repo.path.rename(repo.path.with_name("elsewhere.git"))
    with pytest.raises(MachineError) as broken:
        mirror.resolve("", "refs/heads/main")
    assert broken.value.reason is Reason.CLONE_FAILED


def grown(repo: Repo, branch: str, start: str, commits: int) -> str:
    """A branch that many commits after ``start``; its tip."""
    stream = "".join(
        f"commit refs/heads/{branch}\ncommitter Ada <ada@example.com> {1_700_000_000 + number} +0000\ndata 1\nx\n"
        + (f"from {start}\n" if not number else "")
        + f"M 100644 inline {branch}-{number}\ndata 1\nx\n"
        for number in range(commits)
    )
    repo.git("fast-import", "--quiet", data=stream.encode())
    return repo.git("rev-parse", f"refs/heads/{branch}")


@pytest.mark.slow
@pytest.mark.parametrize("commits", [1, 5, 150])
def test_two_lines_meet_where_they_parted_however_long_ago(repo: Repo, mirror: Mirror, commits: int) -> None:
    root = repo.commit({"a": "1"}, repo.commit({"a": "0"}))
    main, topic = grown(repo, "main", root, commits), grown(repo, "topic", root, commits)
    mirror.fetch(topic, "refs/heads/topic")
    assert mirror.merge_base(topic, "refs/heads/main") == root
    assert mirror.merge_base(topic, main) == root
    assert set(mirror.changed_files(topic, root) or ()) == {f"topic-{number}" for number in range(commits)}
    mirror.fetch(main, "refs/heads/main")
    assert mirror.merge_base(main, topic) == root


@pytest.mark.slow
def test_lines_without_a_common_commit_meet_nowhere_and_neither_does_one_that_is_gone(
    repo: Repo, mirror: Mirror
) -> None:
    sha, other = repo.commit({"a": "1"}), repo.commit({"b": "1"}, ref="refs/heads/other")
    mirror.fetch(sha, "refs/heads/main")
    for target in ("refs/heads/other", other, "refs/heads/nonesuch", "1" * 40):
        assert mirror.merge_base(sha, target) == ""
