"""Which files a push or a pull request has changed: for `when: path` and `CI_PIPELINE_FILES`.

A push that supersedes others has their changes too: ``workers/store/runs/superseding.py`` sets what it came after.
"""

from pipelines.trigger import PULL_REQUEST_EVENTS, Event, Trigger
from runner.source.mirrors.mirror import Mirror


def changed_files(mirror: Mirror, trigger: Trigger, default_branch: str) -> tuple[str, ...]:
    """For a push the files changed since the previous one, for a pull request since it left its target branch.

    Empty for other events. Git's answer counts, not what the forge sent: forges cut long lists short.
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
