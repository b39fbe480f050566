"""Which commits a branch or tag of the repository contains, and which are there without one."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git.git import GitError
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.reachability import TipLimits, any_contains
from tests.support.repos import Repo

pytestmark = pytest.mark.slow


class Remote:
    """A main line of two commits, an old commit under a tag alone, and a commit that only a pull request has."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repo(folder / "remote.git")
        self.mirror = Mirror(folder / "mirrors", self.repo.url)
        self.root = self.repo.commit({"README": "1"})
        self.main = self.repo.commit({"README": "2"}, self.root)
        self.tagged = self.repo.commit({"README": "3"}, self.root, ref="refs/tags/v1")
        self.foreign = self.repo.commit({"README": "4"}, self.main, ref="refs/pull/9/head")

    def contains(self, sha: str, tag: str = "") -> bool:
        self.mirror.fetch(sha, "refs/pull/9/head")
        return self.mirror.is_on_branch_or_tag(sha, self.mirror.tips(), tag)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def test_the_tips_and_the_history_of_branches_and_tags_are_the_repositorys(remote: Remote) -> None:
    assert remote.contains(remote.main)
    assert remote.contains(remote.root), "an old commit, of which the mirror has no history yet"
    assert remote.contains(remote.tagged)


@pytest.mark.parametrize(
    "ref",
    [
        "refs/pull/9/head",
        "refs/pull/9/merge",
        "refs/merge-requests/9/head",
        "refs/pull-requests/9/from",
        "refs/notes/x",
    ],
)
def test_a_commit_under_any_other_ref_is_not(remote: Remote, ref: str) -> None:
    sha = remote.repo.commit({"README": ref}, remote.main, ref=ref)
    remote.mirror.fetch(sha, ref)
    assert not remote.mirror.is_on_branch_or_tag(sha, remote.mirror.tips())
    assert not remote.contains(sha), "nor when the mirror has it, and all branches and tags, already"


def test_a_branch_named_like_the_ref_of_a_pull_request_is_a_branch(remote: Remote) -> None:
    sha = remote.repo.commit({"README": "5"}, remote.main, ref="refs/heads/refs/pull/9/head")
    assert remote.contains(sha)
    assert not remote.contains(remote.foreign)


def test_a_branch_that_is_named_like_the_commit_does_not_make_it_the_repositorys(remote: Remote) -> None:
    for prefix in ("refs/heads", "refs/tags"):
        remote.repo.git("update-ref", f"{prefix}/{remote.foreign}", remote.main)
    assert not remote.contains(remote.foreign)


def test_what_was_force_pushed_away_or_deleted_is_not(remote: Remote) -> None:
    old = remote.repo.commit({"README": "6"}, remote.main, ref="refs/heads/topic")
    older = remote.repo.commit({"README": "7"}, remote.main, ref="refs/heads/gone")
    assert remote.contains(old)
    assert remote.contains(older)
    remote.repo.commit({"README": "8"}, remote.main, ref="refs/heads/topic")
    remote.repo.git("update-ref", "-d", "refs/heads/gone")
    assert not remote.contains(old)
    assert not remote.contains(older)


def test_a_branch_may_move_on_meanwhile(remote: Remote) -> None:
    tips = remote.mirror.tips()
    newer = remote.repo.commit({"README": "9"}, remote.main)
    remote.mirror.fetch(newer)
    assert remote.mirror.is_on_branch_or_tag(newer, tips), "newer than the look at the tips"
    remote.repo.commit({"README": "10"}, newer)
    assert remote.contains(newer), "older than the tip"


def test_a_tag_contains_its_own_history_alone(remote: Remote) -> None:
    assert remote.contains(remote.tagged, "v1")
    assert remote.contains(remote.root, "v1")
    assert not remote.contains(remote.main, "v1"), "a branch has it, which does not count"
    assert not remote.contains(remote.main, "v2"), "there is no such tag"
    remote.repo.git("update-ref", "refs/heads/v1", remote.main)
    assert not remote.contains(remote.main, "v1"), "a branch of that name is no tag"


def test_an_annotated_tag_contains_its_commit(remote: Remote) -> None:
    remote.repo.git("tag", "-a", "-m", "two", "v2", remote.main)
    assert remote.contains(remote.main, "v2")
    assert remote.contains(remote.root, "v2")
    assert not remote.contains(remote.foreign, "v2")


def test_a_tag_below_another_name_does_not_count(remote: Remote) -> None:
    remote.repo.git("update-ref", "refs/tags/rel/v9", remote.main)
    assert not remote.contains(remote.main, "rel")
    assert not remote.contains(remote.main, "v9")


def test_an_abbreviated_id_is_a_commit_and_no_branch_of_that_name(remote: Remote) -> None:
    short = remote.foreign[:10]
    remote.repo.git("update-ref", f"refs/heads/{short}", remote.main)
    remote.mirror.fetch(remote.foreign, "refs/pull/9/head")
    remote.mirror.is_on_branch_or_tag(remote.foreign, remote.mirror.tips())  # fetches all branches
    assert remote.mirror.resolve(short, "refs/heads/main") == remote.foreign
    assert not remote.contains(remote.foreign)


def test_an_abbreviated_id_of_several_commits_is_refused(remote: Remote, tmp_path: Path) -> None:
    remote.mirror.fetch(remote.main)
    ids = [remote.repo.commit({"n": str(n)}, ref="") for n in range(40)]
    same = next(a for a in ids if sum(b.startswith(a[:1]) for b in ids) > 1)[:1]
    pair = sorted(sha for sha in ids if sha.startswith(same))[:2]
    assert remote.mirror._only("short", [pair[0]]) == pair[0]
    with pytest.raises(StepError, match="not unique"):
        remote.mirror._only("short", pair)


def test_ids_of_the_other_hash_function_name_nothing(tmp_path: Path) -> None:
    """In a repository with SHA-256, 40 digits are an abbreviated id, and with SHA-1, 64 digits are a branch's name."""
    long = Repo.__new__(Repo)
    long.path, long.url = tmp_path / "long.git", f"file://{tmp_path / 'long.git'}"
    long.git("init", "--quiet", "--bare", "--initial-branch=main", "--object-format=sha256", str(long.path), at=False)
    main = long.commit({"README": "1"})
    mirror = Mirror(tmp_path / "mirrors", long.url)
    mirror.fetch(main)
    assert mirror.is_on_branch_or_tag(main, mirror.tips())
    assert not mirror.is_on_branch_or_tag(main[:40], mirror.tips())


def test_a_branch_of_64_digits_is_no_commit(remote: Remote) -> None:
    name = "a" * 64
    remote.repo.git("update-ref", f"refs/heads/{name}", remote.main)
    remote.mirror.fetch(remote.main)
    try:
        found = remote.mirror.is_on_branch_or_tag(name, remote.mirror.tips())
    except MachineError:
        found = False
    assert not found


def test_a_repository_that_does_not_answer_says_nothing_of_its_commits(remote: Remote) -> None:
    remote.mirror.fetch(remote.main)
    remote.repo.path.rename(remote.repo.path.with_suffix(".away"))
    with pytest.raises(MachineError):
        remote.mirror.tips()


REFUSED_BY_GIT = {".gitmodules": '[submodule "a"]\n\tpath = a\n\turl = https://x\n\tupdate = !touch x\n'}


@pytest.mark.parametrize("place", ["refs/heads/bad", "refs/heads/a/bad", "refs/tags/bad", "refs/heads/zz"])
def test_a_tip_that_git_refuses_to_fetch_hides_no_other(remote: Remote, place: str) -> None:
    remote.repo.commit(REFUSED_BY_GIT, remote.main, ref=place)
    for number in range(7):
        remote.repo.commit({"README": f"b{number}"}, remote.root, ref=f"refs/heads/b{number}")
    assert not remote.contains(remote.foreign)
    assert remote.contains(remote.root)
    remote.repo.git("update-ref", "refs/heads/later", remote.repo.commit({"x": ""}, remote.foreign, ref=""))
    assert remote.contains(remote.foreign)
    remote.repo.git("update-ref", "-d", "refs/heads/later")
    assert not remote.contains(remote.foreign), "the mirror still has the branch that is gone"
    remote.repo.git("update-ref", "refs/heads/later/below", remote.repo.commit({"y": ""}, remote.foreign, ref=""))
    assert remote.contains(remote.foreign), "a branch below the name of one that is gone"


def test_a_branch_whose_name_the_mirror_still_has_is_asked_only_if_it_is_fetched(remote: Remote) -> None:
    remote.repo.git("update-ref", "refs/heads/topic", remote.repo.commit({"x": ""}, remote.foreign, ref=""))
    assert remote.contains(remote.foreign)
    remote.repo.commit(REFUSED_BY_GIT, remote.foreign, ref="refs/heads/topic")
    assert not remote.contains(remote.foreign), "the tip that has it cannot be fetched, and the old one is gone"


def test_a_tag_is_asked_alone(remote: Remote) -> None:
    remote.repo.commit(REFUSED_BY_GIT, remote.main, ref="refs/heads/bad")
    remote.repo.git("update-ref", "refs/tags/v2", remote.repo.commit({"x": ""}, remote.main, ref=""))
    assert remote.contains(remote.root, "v2")
    assert not remote.contains(remote.foreign, "v2")
    assert not remote.contains(remote.root, "none")
    remote.repo.commit(REFUSED_BY_GIT, remote.main, ref="refs/tags/v3")
    assert not remote.contains(remote.root, "v3")


def test_a_repository_that_goes_away_meanwhile_gives_no_answer(remote: Remote) -> None:
    remote.mirror.fetch(remote.foreign, "refs/pull/9/head")
    tips = remote.mirror.tips()
    remote.repo.path.rename(remote.repo.path.with_suffix(".away"))
    with pytest.raises(MachineError):
        remote.mirror.is_on_branch_or_tag(remote.foreign, tips)


class Groups:
    """Tips of which some cannot be fetched."""

    def __init__(self, bad: Sequence[str] = (), has: str = "none") -> None:
        self.bad, self.has = bad, has
        self.asked: list[Sequence[str]] = []

    def fetch(self, group: Sequence[str]) -> None:
        self.asked.append(group)
        if set(self.bad) & set(group):
            raise GitError("fsck error")

    def found(self, tips: str, **limits: float) -> bool:
        return any_contains(tuple(tips), self.fetch, lambda group: self.has in group, TipLimits(**limits))  # type: ignore[arg-type]


def test_a_group_that_cannot_be_fetched_is_halved_down_to_what_is_wrong() -> None:
    groups = Groups(bad="f", has="e")
    assert groups.found("abcdefgh")
    assert ["".join(group) for group in groups.asked] == ["abcdefgh", "abcd", "efgh", "ef", "gh", "e"]
    assert not Groups(bad="e", has="e").found("abcdefgh")


def test_groups_fetches_and_time_have_limits() -> None:
    groups = Groups()
    assert not groups.found("abcde", group_tips_max=2)
    assert ["".join(group) for group in groups.asked] == ["ab", "cd", "e"]
    assert Groups(has="f").found("abcdef", group_tips_max=2, fetches_max=3)
    assert not Groups(has="g").found("abcdefg", group_tips_max=2, fetches_max=3), "the fourth fetch is not made"
    assert not Groups(has="a").found("abc", fetching_seconds_max=0)


def test_a_full_disk_is_no_refusal() -> None:
    def fetch(_group: Sequence[str]) -> None:
        raise GitError("No space left on device")

    with pytest.raises(GitError):
        any_contains(("a", "b"), fetch, lambda _group: False)


def test_a_checkout_with_all_tags_needs_no_branch(remote: Remote, tmp_path: Path) -> None:
    remote.repo.commit(REFUSED_BY_GIT, remote.main, ref="refs/heads/bad")
    remote.mirror.fetch(remote.main)
    remote.mirror.checkout(remote.main, tmp_path / "out", Checkout(tags=True))
    assert (tmp_path / "out" / ".git").exists()


@pytest.mark.parametrize(("what", "said"), [("blob", "a file (blob "), ("tree", "a folder (tree ")])
@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_to_no_commit_says_what_it_is_also_beside_a_branch_that_git_refuses(
    repo: Repo, mirror: Mirror, what: str, said: str, annotated: bool
) -> None:
    good = repo.commit({"a": "1"})
    repo.commit(REFUSED_BY_GIT, ref="refs/heads/bad")
    target = repo.git("rev-parse", f"{good}:a" if what == "blob" else f"{good}^{{tree}}").strip()
    repo.git(
        "-c", "user.name=a", "-c", "user.email=a@b", "tag", *(("-a", "-m", "x") if annotated else ()), "v1", target
    )
    for sha in {mirror.resolve("", "refs/tags/v1"), repo.git("rev-parse", "v1").strip()}:
        with pytest.raises(
            StepError, match=re.escape(f"refs/tags/v1 points to {said}{target}), not to a commit")
        ) as error:
            mirror.fetch(sha, "refs/tags/v1")
        assert error.value.reason is Reason.COMMIT_MISSING
