"""What the branches and tags of a repository point to now, asked without a mirror, with limits of time and size."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.commit_id import is_full_id
from runner.source.git.git import GitLogin
from runner.source.git.limited_git import GitLimits
from runner.source.git.reach import Reach
from runner.source.git.server import RepoServer
from runner.source.git.urls import check_url, split_login
from runner.source.mirrors.remote import REF, listed_refs

_PEELED = "^{}"


@dataclass(frozen=True)
class Tip:
    """What a ref points to. ``commit`` is the commit: of an annotated tag it differs from ``sha``."""

    sha: str
    commit: str


def remote_tips(
    url: str,
    login: GitLogin | None,
    egress: Mapping[str, str],
    name: str,
    limits: GitLimits,
    *,
    reaches_host: bool = False,
) -> dict[str, Tip]:
    """Each branch and tag of the repository. Raises StepError, and MachineError: NoAnswerError at the deadline.

    A redirect to this machine itself is followed only with ``reaches_host``.
    """
    address, in_url = split_login(check_url(url))
    server = RepoServer(
        address, login or in_url, egress, name, limits=limits, reach=Reach(address, reaches_host=reaches_host)
    )
    command = ["git", "ls-remote", "--quiet", "--heads", "--tags", "--", address]
    listed = listed_refs(server.run(command, local=address.startswith("file://")))
    found = {ref: sha for ref, sha in listed.items() if is_full_id(sha)}
    return {ref: Tip(sha, found.get(ref + _PEELED, sha)) for ref, sha in found.items() if REF.fullmatch(ref)}
