"""Whether a branch or tag of the repository contains a commit.

One tip that git refuses, such as a branch with an invalid file, makes a fetch of all of them fail. Then they are
fetched in groups, and a group that cannot be fetched in halves. What cannot be fetched contains nothing to trust.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import GitError
from runner.source.git.server import TransientGitError
from runner.source.mirrors.remote import REF, Remote

GROUP_TIPS_MAX = 500
FETCHES_MAX = 60
FETCHING_SECONDS_MAX = 300
_ALL = ("refs/heads/", "refs/tags/")
# In git's message for content that it refuses, independent of the repository and its login.
_REFUSED = "fsck error"


@dataclass(frozen=True)
class TipLimits:
    """How much is tried: tips in one fetch, fetches, and seconds after which no further fetch begins."""

    group_tips_max: int = GROUP_TIPS_MAX
    fetches_max: int = FETCHES_MAX
    fetching_seconds_max: float = FETCHING_SECONDS_MAX


def is_on_branch_or_tag(remote: Remote, git: Callable[..., str], sha: str, tag: str) -> bool:
    """Fetches the history of all branches and tags as they are now; whether one of them contains the commit, or with
    ``tag`` whether this tag does.

    ``git`` runs git in the mirror. Hold its ``fetching``. Raises GitError if the repository does not answer.
    """
    only = f"refs/tags/{tag}" if tag else ""
    try:
        remote.fetch_refs(sha)
    except TransientGitError:
        raise
    except GitError as error:
        if error.reason is Reason.DISK_FULL:
            raise
        return _is_in_what_can_be_fetched(remote, git, sha, only, error)
    return _contain(git, sha, [only] if only else _ALL)


def _is_in_what_can_be_fetched(remote: Remote, git: Callable[..., str], sha: str, only: str, refused: GitError) -> bool:
    tips = remote.tips()
    # Under ids, not under their names: a name may be below that of a deleted branch, which the mirror still has.
    names = {tip: name for name, tip in tips.items() if REF.fullmatch(name) and only in {"", name}}
    fetched: list[str] = []

    def fetch(ids: Sequence[str]) -> None:
        remote.fetch_once(*(f"+{names[tip]}:{_kept(tip)}" for tip in ids))
        fetched.extend(ids)

    if any_contains(list(names), fetch, lambda ids: _contain(git, sha, [_kept(tip) for tip in ids])):
        return True
    if not fetched and names and _REFUSED not in refused.stderr:
        raise refused
    # Some could not be fetched. If the repository is away since, that is why, and this raises an error.
    remote.tips()
    return False


def _kept(tip: str) -> str:
    return f"refs/headway/{tip}"


def _contain(git: Callable[..., str], sha: str, refs: Sequence[str]) -> bool:
    """Whether one of the refs contains the commit; a name with a slash at its end is for all refs below it."""
    # Git takes a word of hex digits for a branch or an abbreviated id where there is no such object.
    if git("rev-parse", "--revs-only", f"{sha}^{{commit}}").strip() != sha:
        return False
    found = git("for-each-ref", f"--contains={sha}", "--format=%(refname)", *refs).split("\n")
    # Git lists what is below a name too.
    return any(name in refs or name.startswith(tuple(ref for ref in refs if ref.endswith("/"))) for name in found)


def any_contains(
    tips: Sequence[str],
    fetch: Callable[[Sequence[str]], None],
    contain: Callable[[Sequence[str]], bool],
    limits: TipLimits = TipLimits(),
) -> bool:
    """Whether one of the tips that can be fetched contains the commit.

    Raises GitError if the disk is full or the server is away.
    """
    size, until = limits.group_tips_max, time.monotonic() + limits.fetching_seconds_max
    groups = deque(tips[start : start + size] for start in range(0, len(tips), size))
    fetches = 0
    while groups and fetches < limits.fetches_max and time.monotonic() < until:
        group = groups.popleft()
        fetches += 1
        try:
            fetch(group)
        except TransientGitError:
            raise
        except GitError as error:
            if error.reason is Reason.DISK_FULL:
                raise
            half = len(group) // 2
            groups += [group[:half], group[half:]] if half else []
            continue
        if contain(group):
            return True
    return False


def check_kind(git: Callable[..., str], sha: str, ref: str) -> None:
    """Raises StepError where the id is that of a file or a folder: a tag may point to one."""
    try:
        found = git("rev-parse", "--verify", "--end-of-options", f"{sha}^{{}}").strip()
        kind = git("cat-file", "-t", found).strip()
    except GitError:
        return  # it is not here: a wider fetch may bring it
    if kind != "commit":
        what = {"blob": "a file", "tree": "a folder"}.get(kind, kind)
        hint = "only commits can be run; let it point to a commit, or delete it"
        raise StepError(
            Reason.COMMIT_MISSING, f"{ref or sha} points to {what} ({kind} {found}), not to a commit; {hint}"
        )
