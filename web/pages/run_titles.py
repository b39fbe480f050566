"""What a list calls a run: the commit's first line, or, before that is known, what started it."""

from pipelines.trigger import Event
from web.pages.filters import ref_name
from workers import store
from workers.db.models import Run

_STARTS = {
    Event.PUSH: "Push to {ref}",
    Event.TAG: "Tag {ref}",
    Event.RELEASE: "Release {ref}",
    Event.MANUAL: "Run of {ref} by hand",
    Event.CRON: "Cron run of {ref}",
    Event.DEPLOYMENT: "Deployment of {ref}",
}


def run_title(run: Run) -> str:
    """The run's title, or a sentence such as ``Push to main by Ada``: it is never empty."""
    if run.title.strip():
        return run.title
    ref = ref_name(run.ref) if run.event in {Event.TAG, Event.RELEASE} else run.branch or ref_name(run.ref)
    said = _STARTS.get(run.event, "Pull request into {ref}").format(ref=ref)
    by = store.trigger_of(run).sender or run.author
    return f"{said} by {by}" if by else said
