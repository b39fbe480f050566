"""``headway run --like``: the trigger is that of a run on a server."""

from dataclasses import replace

from pipelines.state import Reason
from pipelines.trigger import Trigger
from runner.cli.like import trigger_of_run
from runner.cli.run.options import RunOptions
from runner.errors import StepError

_SHA_CHARS = 10


def with_trigger(options: RunOptions) -> RunOptions:
    """The same options, with the trigger of the run that they name. Raises StepError."""
    given = {"--event": options.event, "--branch": options.branch, "--tag": options.tag, "--input": options.inputs}
    if named := [name for name, value in given.items() if value]:
        said = " and ".join(named)
        raise StepError(Reason.INVALID_PIPELINE, f"--like takes event, refs and inputs from the run; leave out {said}")
    return replace(options, trigger=trigger_of_run(options.like))


def note_of(trigger: Trigger, head: str) -> str:
    """What is as it was on the server, and what is not."""
    differs = f", which is at {head[:_SHA_CHARS]}" if head and head != trigger.sha else ""
    what = f"the event {trigger.event}, {trigger.ref} at {trigger.sha[:_SHA_CHARS]}"
    return f"as in the run for {what}; the files are those of this folder{differs}; secrets come from here alone"
