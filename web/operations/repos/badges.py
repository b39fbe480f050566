"""Badges: pictures that show the state of a branch in a README, for who has their address."""

import hmac
import re
from dataclasses import dataclass

from pipelines.state import State
from web.operations.errors import NotFoundError
from web.services import OperationServices
from workers import store
from workers.db.models import Repo
from workers.db.session import reading
from workers.store.runs.refs import history_of_ref

RUNS_LOOKED_AT_MAX = 20
_SIGNATURE_CHARS = 32
_LINK = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})")
_WORDS = {State.PASSED: "passing", State.FAILED: "failing", State.BROKEN: "broken"}


@dataclass(frozen=True)
class Badge:
    """What a badge says. ``state`` is None where no run of the branch has ended yet, or where it has none."""

    state: State | None

    @property
    def word(self) -> str:
        """In one word."""
        return _WORDS[self.state] if self.state else "no runs"


def badge_path(services: OperationServices, repo: Repo) -> str:
    """Where the badge of the default branch is. The address is the permission: READMEs are read without a login."""
    return f"/badges/{repo.id}-{_signature(services, repo.id)}.svg"


def badge_of(services: OperationServices, link: str, branch: str) -> Badge:
    """The badge at an address of ``badge_path``, of a branch, or with an empty one of the default branch.

    Raises NotFoundError.
    """
    found = _LINK.fullmatch(link.removesuffix(".svg"))
    if not found or not hmac.compare_digest(found[2], _signature(services, int(found[1]))):
        raise NotFoundError("There is no such badge. The page of the repository shows its address.")
    with reading(services.engine) as session:
        repo = store.repo_by_id(session, int(found[1]))
        if repo is None:
            raise NotFoundError("The repository of this badge was removed.")
        runs = history_of_ref(session, repo.id, f"refs/heads/{branch or repo.default_branch}", RUNS_LOOKED_AT_MAX)
    # Canceled and skipped runs say nothing about the branch.
    return Badge(next((run.state for run in reversed(runs) if run.state in _WORDS), None))


def _signature(services: OperationServices, repo_id: int) -> str:
    return services.vault.name_for(f"badge {repo_id}")[:_SIGNATURE_CHARS]
