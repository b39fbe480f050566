"""Masks secrets in everything that a job reports, so that no part of the job can forget it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import assert_never

from pipelines.state import Outcome
from runner import events
from runner.errors import StepError
from runner.logs.redact import Redactor
from runner.reports.masking import masked_annotation, masked_reports


def masked_emit(emit: events.Emit, redactor: Redactor) -> events.Emit:
    """``emit`` with secrets masked in the texts of each event. Output is masked before, as a stream."""

    def send(event: events.Event) -> None:
        emit(_masked(event, redactor))

    return send


def _masked(event: events.Event, redactor: Redactor) -> events.Event:
    mask = redactor.mask_text
    match event:
        case events.StepOutput() | events.StepStarted() | events.StepMeasured() | events.ImageBuilt():
            return event
        case events.ReportsRead() | events.ProblemLinesFound():
            return _masked_report(event, redactor)
        case events.StepFinished() | events.StepReused():
            return replace(event, outcome=masked_outcome(event.outcome, redactor))
        case events.StepRetried(attempts=ended):
            hidden = (replace(attempt, outcome=masked_outcome(attempt.outcome, redactor)) for attempt in ended)
            return replace(event, attempts=tuple(hidden))
        case events.CachesUsed(caches=caches):
            named = (replace(use, name=mask(use.name), key=mask(use.key), found=mask(use.found)) for use in caches)
            return replace(event, caches=tuple(named))
        case events.ImagePullChanged() | events.ServiceChanged() | events.JobNote():
            return _masked_of_job(event, mask)
        case events.InstructionChanged() | events.ImagePushed():
            return _masked_texts(event, mask)
        case _:
            assert_never(event)


def _masked_texts(
    event: events.InstructionChanged | events.ImagePushed, mask: Callable[[str], str]
) -> events.Event:  # fmt: skip
    match event:
        case events.InstructionChanged():
            return replace(event, text=mask(event.text), error=mask(event.error))
        case events.ImagePushed():
            # A tag may come from a file that a step wrote.
            return replace(event, repo=mask(event.repo), tag=mask(event.tag))
        case _:
            assert_never(event)


def _masked_of_job(event: events.JobEvent, mask: Callable[[str], str]) -> events.Event:
    match event:
        case events.ImagePullChanged():
            return replace(event, image=mask(event.image))
        case events.ServiceChanged():
            return replace(event, message=mask(event.message))
        case events.JobNote():
            return replace(event, text=mask(event.text))
        case _:
            assert_never(event)


def _masked_report(event: events.ReportsRead | events.ProblemLinesFound, redactor: Redactor) -> events.Event:
    match event:
        case events.ReportsRead():
            return replace(event, reports=masked_reports(event.reports, redactor.mask_text))
        case events.ProblemLinesFound(annotations=found):
            return replace(event, annotations=tuple(masked_annotation(each, redactor.mask_text) for each in found))
        case _:
            assert_never(event)


def masked_outcome(outcome: Outcome, redactor: Redactor) -> Outcome:
    """The outcome with secrets masked in its texts."""
    if not outcome.message and not outcome.detail:
        return outcome
    mask = redactor.mask_text
    return replace(outcome, message=mask(outcome.message), detail=mask(outcome.detail))


@contextmanager
def masked_errors(redactor: Redactor) -> Iterator[None]:
    """Masks secrets in the text of an error: who catches it shows it to people."""
    try:
        yield
    except StepError as error:
        error.args = (redactor.mask_text(str(error)),)
        error.detail = redactor.mask_text(error.detail)
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if (shown := redactor.mask_text(text)) == text:
            raise
        raise RuntimeError(shown) from None
