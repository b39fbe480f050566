"""Everything that a job reports passes the mask, whatever part of the job it comes from."""

import pytest

from pipelines.state import Outcome, Reason, State
from runner import events
from runner.errors import StepError
from runner.execution.job.masked_events import masked_emit, masked_errors, masked_outcome
from runner.logs.redact import Redactor
from runner.report_results import Annotation, CaseName, FailedTest, StepReports, TestResults
from tests.support.engine import JobRunner
from tests.support.plans import build, container, push, shell

SECRET = "hunter2-hunter2"
REDACTOR = Redactor([SECRET])


def test_no_event_has_a_secret_in_a_text() -> None:
    said: list[events.Event] = []
    emit = masked_emit(said.append, REDACTOR)
    emit(events.StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, f"no {SECRET}", 1)))
    emit(events.InstructionChanged(1, 1, f"RUN {SECRET}", error=SECRET))
    emit(events.ImagePushed(1, f"host/{SECRET}", SECRET, "sha256:1", "sha256:2"))
    emit(events.JobNote(f"note {SECRET}"))
    attempt = events.EndedAttempt(Outcome(State.FAILED, Reason.EXIT_CODE, f"no {SECRET}", 1), 1.0, 2.0, 3)
    emit(events.StepRetried(1, (attempt,)))
    emit(events.ProblemLinesFound(1, (Annotation("error", f"{SECRET}.c", 1, 2, f"no {SECRET}"),)))
    emit(events.CachesUsed(1, (events.CacheUse(SECRET, SECRET, SECRET),)))
    emit(events.ServiceChanged("db", "failed", f"log: {SECRET}"))
    emit(events.ImagePullChanged(f"{SECRET}/image", 1.0, 2))
    assert len(said) == 9
    assert SECRET not in repr(said)
    assert repr(said).count("********") == 14


def test_no_part_of_a_report_has_a_secret() -> None:
    name = CaseName(f"suite-{SECRET}", f"class-{SECRET}", f"test-{SECRET}")
    failed = FailedTest(name, "failed", f"{SECRET}.py", 1, f"no {SECRET}", f"text {SECRET}", 1)
    tests = TestResults({"failed": 1}, 1, (failed,), ((1, name),), f"\nfailed{name.line_start}\t1\n")
    said: list[events.Event] = []
    masked_emit(said.append, REDACTOR)(events.ReportsRead(1, StepReports(tests, None, (f"bad {SECRET}",))))
    (event,) = said
    assert isinstance(event, events.ReportsRead)
    assert event.reports.tests is not None
    shown = f"{event!r} {event.reports.tests.cases}"
    assert SECRET not in shown
    assert shown.count("********") == 13


def test_output_and_ids_come_through_as_they_are() -> None:
    said: list[events.Event] = []
    given: list[events.Event] = [
        events.StepStarted(1),
        events.StepOutput(1, 0, b"x", events.Stream.STDOUT),
        events.ImageBuilt(1, "i", 2),
        events.StepMeasured(1, 2, 3.0, 4),
    ]
    for event in given:
        masked_emit(said.append, REDACTOR)(event)
    assert said == given


def test_outcomes_and_errors_are_masked() -> None:
    assert masked_outcome(Outcome(State.FAILED, None, SECRET), REDACTOR).message == "********"
    with pytest.raises(StepError, match=r"^\*{8}$") as step, masked_errors(REDACTOR):
        raise StepError(Reason.INTERNAL, SECRET)
    assert step.value.reason is Reason.INTERNAL
    with pytest.raises(RuntimeError, match=r"^KeyError: '\*{8}'$") as other, masked_errors(REDACTOR):
        raise KeyError(SECRET)
    assert other.value.__suppress_context__
    with pytest.raises(KeyError, match="harmless"), masked_errors(REDACTOR):
        raise KeyError("harmless")


@pytest.mark.engine
def test_a_tag_that_a_step_wrote_is_masked_where_it_is_shown(ran: JobRunner) -> None:
    write = shell(f"echo {SECRET} > tags", box=container())
    pushed = push(1, "127.0.0.1:1/app", tags=(), tags_file="tags")
    job = ran(build(), write, pushed, files={"Dockerfile": "FROM busybox"}, secrets={"token": SECRET})
    assert job.step(3).state is not State.PASSED
    assert SECRET not in job.everything()
    assert SECRET not in job.outcome.message
