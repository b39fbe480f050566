"""A run's verdict: a sentence with its cause, and the step that decided it."""

import json
from collections import Counter
from collections.abc import Sequence

import pytest

from pipelines.state import Reason, State
from web.operations.reports.run_reports import RunReports, ShownFailure
from web.operations.runs.ignored_steps import ignored_steps
from web.operations.verdicts.last_line import LogLine
from web.operations.verdicts.verdict import CAUSES_MAX, SENTENCE_CHARS_MAX, Verdict, short_message, verdict_of
from workers.db.models import Job, Run, Step, TestFailure

NO_REPORTS = RunReports()
LONG = "apt-get update && cc -o app main.c"
PROCESS = f'process "/bin/sh -c {LONG}" did not complete successfully: exit code: 1'


def step(
    number: int,
    state: State = State.PASSED,
    reason: Reason | None = None,
    message: str = "",
    facts: dict[str, object] | None = None,
    name: str = "",
) -> Step:
    known = {"state": state, "reason": reason, "message": message, "facts": facts or {}}
    return Step(id=number, job_id=1, number=number, name=name or f"step-{number}", **known)


def failed(number: int, message: str = "exited with 1", facts: dict[str, object] | None = None) -> Step:
    return step(number, State.FAILED, Reason.EXIT_CODE, message, facts)


def job(
    number: int, state: State, name: str = "", cell: dict[str, str] | None = None, ignore: Sequence[int] = ()
) -> Job:
    plan = json.dumps({"steps": [{"number": each, "failure": "ignore"} for each in ignore]})
    return Job(id=number, number=number, name=name, cell=cell or {}, state=state, plan=plan)


def run(state: State, sentence: str = "", **values: object) -> Run:
    return Run(state=state, sentence=sentence, cancel_by="", **values)


def said(a_run: Run, *jobs: tuple[Job, list[Step]], reports: RunReports = NO_REPORTS, line: str = "") -> Verdict:
    found = LogLine(7, line) if line else None
    return verdict_of(a_run, jobs, reports, ignored_steps(jobs), lambda _: found)


def failure(step_id: int, name: str, line: int = 0) -> ShownFailure:
    row = TestFailure(
        suite="", group="", name=name, state="failed", flaky=False, file="a.py", line=line, message=f"{name}: 1 != 2"
    )
    return ShownFailure(row, Job(), step_id, f"step-{step_id}", known=None)


def test_failed_tests_come_first_with_their_number_and_the_line_of_the_log() -> None:
    facts: dict[str, object] = {
        "annotations": [{"severity": "error", "file": "a.py", "line": 48, "column": 0, "message": "x", "log_line": 214}]
    }
    reports = RunReports(Counter(passed=416, failed=2), failed=[failure(2, "one", 48), failure(2, "two")])
    verdict = said(run(State.FAILED), (job(1, State.FAILED), [step(1), failed(2, facts=facts)]), reports=reports)
    assert verdict.sentence == "2 of 418 tests failed in step-2"
    assert verdict.step_id == 2
    assert [(each.test, each.log_line, each.place) for each in verdict.causes] == [
        ("one", 214, "a.py:48"),
        ("two", None, "a.py"),
    ]


@pytest.mark.parametrize(("count", "shown", "more"), [(CAUSES_MAX, CAUSES_MAX, 0), (CAUSES_MAX + 1, CAUSES_MAX, 1)])
def test_so_many_causes_are_named(count: int, shown: int, more: int) -> None:
    reports = RunReports(Counter(failed=count), failed=[failure(1, str(each)) for each in range(count)])
    verdict = said(run(State.FAILED), (job(1, State.FAILED), [failed(1)]), reports=reports)
    assert (len(verdict.causes), verdict.more) == (shown, more)


def test_a_test_that_failed_alike_in_several_cells_is_one_cause() -> None:
    cells = [job(number, State.FAILED, "test", {"PYTHON": f"3.{number}"}) for number in range(1, 5)]
    found = [failure(number, name) for number in range(1, 5) for name in ("one", "two")]
    other = failure(4, "one", 7)
    reports = RunReports(Counter(failed=9), failed=[*found, other])
    verdict = said(run(State.FAILED), *((each, [failed(each.number)]) for each in cells), reports=reports)
    assert verdict.sentence == "9 of 9 tests failed in 4 steps, in all cells"
    assert [(each.test, each.place, each.step_id, each.count) for each in verdict.causes] == [
        ("one", "a.py", 1, 4),
        ("two", "a.py", 1, 4),
        ("one", "a.py:7", 4, 1),
    ]
    assert verdict.more == 0


def test_tests_of_a_step_whose_failure_is_ignored_decide_nothing() -> None:
    reports = RunReports(Counter(failed=1), failed=[failure(1, "one")])
    jobs = job(1, State.FAILED, ignore=[1]), [failed(1), failed(2)]
    verdict = said(run(State.FAILED), jobs, reports=reports, line="fatal: no")
    assert verdict.sentence == "step-2 failed: fatal: no"
    assert verdict.step_id == 2


def test_a_problem_line_is_the_cause_where_no_test_failed() -> None:
    found = [
        {"severity": "warning", "file": "a.c", "line": 1, "column": 0, "message": "unused", "log_line": 2},
        {"severity": "error", "file": "a.c", "line": 3, "column": 10, "message": "nope.h: No such file", "log_line": 5},
    ]
    verdict = said(run(State.FAILED), (job(1, State.FAILED), [failed(1, facts={"annotations": found})]))
    assert verdict.sentence == "step-1 failed: nope.h: No such file"
    (cause,) = verdict.causes
    assert (cause.place, cause.log_line) == ("a.c:3:10", 5)


def test_else_the_line_of_the_log_and_what_headway_knows_of_the_exit_code() -> None:
    jobs = job(1, State.FAILED), [failed(1, "exited with 127 (a command was not found in the image)")]
    verdict = said(run(State.FAILED), jobs, line="sh: pyteste: not found")
    assert verdict.sentence == "step-1 failed: sh: pyteste: not found"
    assert verdict.explanation == "exited with 127 (a command was not found in the image)"
    assert said(run(State.FAILED), (job(1, State.FAILED), [failed(1)]), line="x").explanation == ""


def test_a_message_with_a_cause_of_its_own_needs_no_line_of_the_log() -> None:
    late = step(1, State.FAILED, Reason.TIMEOUT, "timed out after 60 s")
    verdict = said(run(State.FAILED), (job(1, State.FAILED), [late]), line="still waiting, error")
    assert verdict.sentence == "step-1 failed: timed out after 60 s"
    assert verdict.causes == ()


def test_a_long_command_of_a_build_is_left_out() -> None:
    text = f"[2/2] RUN {LONG}"
    message = f"the instruction {text!r} failed (Dockerfile:2): {PROCESS}"
    facts: dict[str, object] = {"instructions": [{"index": 0, "text": text, "error": PROCESS}]}
    built = step(1, State.FAILED, Reason.BUILD_FAILED, message, facts)
    assert short_message(built) == "an instruction failed (Dockerfile:2): exit code: 1"
    verdict = said(run(State.FAILED), (job(1, State.FAILED), [built]), line="main.c:3: fatal error")
    assert verdict.sentence == "step-1 failed: main.c:3: fatal error"
    assert LONG not in str(verdict)
    other = step(1, State.FAILED, Reason.BUILD_FAILED, "the base image cannot be pulled: x: not found")
    assert said(run(State.FAILED), (job(1, State.FAILED), [other]), line="y").sentence.endswith("x: not found")


@pytest.mark.parametrize(("bad", "words"), [(1, ", on 3.1, pg only"), (2, ", in 2 of 3 cells"), (3, ", in all cells")])
def test_cells_of_a_matrix_are_named(bad: int, words: str) -> None:
    states = [State.FAILED] * bad + [State.PASSED] * (3 - bad)
    jobs = []
    for number, state in enumerate(states, 1):
        own = failed(number) if state is State.FAILED else step(number)
        own.name = "pytest"
        jobs.append((job(number, state, "unit", {"PYTHON": f"3.{number}", "DB": "pg"}), [own]))
    assert said(run(State.FAILED), *jobs, line="no").sentence == f"pytest failed{words}: no"


def test_other_jobs_that_failed_are_counted() -> None:
    jobs = [(job(number, State.FAILED, f"job-{number}"), [failed(number)]) for number in (1, 2, 3)]
    assert said(run(State.FAILED), *jobs, line="no").sentence == "step-1 failed, and 2 other jobs too: no"
    assert said(run(State.FAILED), *jobs[:2], line="no").sentence == "step-1 failed, and another job too: no"


def test_without_a_failed_step_the_sentence_of_the_run_says_it() -> None:
    verdict = said(run(State.FAILED, "The pipeline has one problem."))
    assert verdict == Verdict("The pipeline has one problem.")
    assert said(run(State.BROKEN)).sentence == "Broken"


def test_a_long_sentence_is_cut_and_explained_whole() -> None:
    fits, long = "x" * SENTENCE_CHARS_MAX, "x" * (SENTENCE_CHARS_MAX + 1)
    assert said(run(State.FAILED, fits)) == Verdict(fits)
    assert said(run(State.FAILED, long)) == Verdict("x" * (SENTENCE_CHARS_MAX - 1) + "…", explanation=long)


def test_a_run_that_passed_says_what_came_of_it() -> None:
    pushed: dict[str, object] = {"pushed": [{"repo": "registry.test/team/shop", "tag": "1.14.2"}]}
    jobs = job(1, State.PASSED), [failed(1), step(2, facts=pushed), step(3, facts={"reused": {}})]
    assert (
        said(run(State.PASSED), jobs).sentence
        == "Pushed shop:1.14.2, 1 of 3 steps unchanged; the failure of step-1 is ignored"
    )
    assert said(run(State.PASSED), (job(1, State.PASSED), [step(1)])) == Verdict("Passed")


@pytest.mark.parametrize(
    ("a_run", "sentence"),
    [
        (Run(state=State.QUEUED, sentence=""), "Waiting"),
        (Run(state=State.RUNNING, sentence=""), "Running step-1"),
        (Run(state=State.CANCELED, sentence="", cancel_by="ada"), "Canceled by ada"),
        (Run(state=State.CANCELED, sentence="", cancel_by=""), "Canceled"),
        (Run(state=State.CANCELED, sentence="a newer run took over", cancel_by="#2"), "a newer run took over"),
        (Run(state=State.SKIPPED, sentence="Nothing ran: why"), "Nothing ran: why"),
    ],
)
def test_other_states(a_run: Run, sentence: str) -> None:
    assert said(a_run, (job(1, State.RUNNING), [step(1, State.RUNNING), step(2, State.QUEUED)])).sentence == sentence


def test_before_a_step_runs_it_is_only_running() -> None:
    names = [step(number, State.RUNNING) for number in (1, 2, 3)]
    assert said(run(State.RUNNING), (job(1, State.RUNNING), [])).sentence == "Running"
    assert said(run(State.RUNNING), (job(1, State.RUNNING), names)).sentence == "Running step-1 and 2 more"
