"""Which files a push or a pull request has changed: for `when: path` and `CI_PIPELINE_FILES`.

A push that supersedes others has their changes too: ``workers/store/runs/superseding.py`` sets what it came after.
"""

from pipelines.plan import LeftOut
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, Trigger
from runner.source.mirrors.changed_files import FILES_MAX, JSON_BYTES_MAX
from runner.source.mirrors.mirror import Mirror


def changed_files(mirror: Mirror, trigger: Trigger, default_branch: str) -> tuple[str, ...] | None:
    """For a push the files changed since the previous one, for a pull request since it left its target branch.

    Empty for other events, None where they are too many to list. Git's answer counts, not what the forge sent: forges
    cut long lists short.
    """
    sha, pull = trigger.sha, trigger.pull_request
    if trigger.event in PULL_REQUEST_EVENTS and pull is not None:
        # After a merge the target branch has all its commits. Only some forges send what the branch was before.
        targets = filter(None, (pull.target_sha, f"refs/heads/{pull.target_branch}"))
        bases = (mirror.merge_base(sha, target) for target in targets)
        return mirror.changed_files(sha, next((base for base in bases if base not in {"", sha}), ""))
    if trigger.event is not Event.PUSH:
        return ()
    if trigger.previous_sha or trigger.branch == default_branch:
        return mirror.changed_files(sha, trigger.previous_sha)
    # A new branch has changed whatever the default branch does not have.
    base = mirror.merge_base(sha, f"refs/heads/{default_branch}")
    return mirror.changed_files(sha, "" if base == sha else base)


def too_many_changed() -> LeftOut:
    """The remark on a run whose changed files are too many to list."""
    most = f"{FILES_MAX:,} files or {JSON_BYTES_MAX // 1024} KiB of names"
    why = f"the commit changed more than {most}, or git could not list them: each `when: path` counts as matched"
    return LeftOut(what="the list of changed files", why=why)
