"""Which repositories come first on the front page: red default branches, then running ones, then the most recent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pipelines.state import State
from workers.store.runs.branch_history import LastNumbers, PastRun, RepoName

_VERDICTS = frozenset({State.PASSED, State.FAILED, State.BROKEN})
_RED = frozenset({State.FAILED, State.BROKEN})


class Attention(IntEnum):
    """How much a repository's default branch needs a look. The order of the groups on the page."""

    RED = 0
    RUNNING = 1
    QUIET = 2


@dataclass(frozen=True)
class BranchHealth:
    """What the last runs of a branch say. ``verdict`` is the newest that passed or failed; others say nothing of it.

    ``red_since`` is the first of the failed runs up to now, and ``red_for_all`` is true where no run before it was
    read: the branch may be red for longer.
    """

    runs: Sequence[PastRun]
    verdict: PastRun | None
    red_since: PastRun | None
    red_for_all: bool

    @property
    def newest(self) -> PastRun | None:
        """The branch's newest run, which may not have ended."""
        return self.runs[-1] if self.runs else None

    @property
    def attention(self) -> Attention:
        """The group on the page."""
        if self.red_since:
            return Attention.RED
        return Attention.RUNNING if self.newest and not self.newest.state.final else Attention.QUIET


def health_of(runs: Sequence[PastRun]) -> BranchHealth:
    """What these runs of one branch say; the oldest is the first."""
    verdicts = [run for run in runs if run.state in _VERDICTS]
    red: list[PastRun] = []
    for run in reversed(verdicts):
        if run.state not in _RED:
            break
        red.append(run)
    return BranchHealth(runs, verdicts[-1] if verdicts else None, red[-1] if red else None, len(red) == len(verdicts))


def attention_of(last: LastNumbers | None) -> Attention:
    """The same as ``health_of(...).attention``, from what is read of hundreds of repositories."""
    if last is None:
        return Attention.QUIET
    if last.red > last.passed:
        return Attention.RED
    return Attention.RUNNING if last.unfinished == last.newest else Attention.QUIET


def ranked(
    repos: Iterable[RepoName], last: Mapping[int, LastNumbers]
) -> list[tuple[Attention, RepoName]]:  # fmt: skip
    """The repositories in the order of the page. Inside a group they keep the order in which they came."""
    found = [(attention_of(last.get(repo.id)), repo) for repo in repos]
    return sorted(found, key=lambda each: each[0])
