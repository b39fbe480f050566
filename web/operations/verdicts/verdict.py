"""The verdict of a run as a sentence with its cause: failed tests, problem lines, or the line that says most."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pipelines.state import Reason, State
from web.operations.reports.run_reports import RunReports, ShownFailure, alike
from web.operations.verdicts.last_line import LogLine
from workers.db.models import Job, Run, Step

CAUSES_MAX = 3
SENTENCE_CHARS_MAX = 140
_BAD = (State.FAILED, State.BROKEN)
_NAMES_MAX = 2
# The step's log says more than these reasons do, unless Headway itself knows why.
_COMMAND_STARTS, _COMMAND_ENDS = 'process "', '" did not complete successfully: '
_EXITED = re.compile(r"exited with \d+(?: \(attempt \d+ of \d+\))?")

JobSteps = tuple[Job, list[Step]]


@dataclass(frozen=True)
class Cause:
    """One thing that broke. ``log_line`` is a line of the log of the step ``step_id``, None where it is not known.

    ``known``: a test that failed also in the run that this one is compared with; None where that is not known.
    ``count``: so many tests of this name failed alike, as in several cells of a matrix.
    """

    step_id: int
    text: str
    test: str = ""
    place: str = ""
    log_line: int | None = None
    known: bool | None = None
    flaky: bool = False
    count: int = 1


@dataclass(frozen=True)
class Verdict:
    """What a run came to. ``step_id`` is the step that decided it, None where none did. ``more`` causes are left out.

    ``explanation`` is what Headway itself knows beyond the sentence; empty where the sentence says it all.
    """

    sentence: str
    step_id: int | None = None
    causes: Sequence[Cause] = ()
    more: int = 0
    explanation: str = ""


def verdict_of(
    run: Run,
    jobs: Sequence[JobSteps],
    reports: RunReports,
    ignored: Collection[int],
    last_line: Callable[[Step], LogLine | None],
) -> Verdict:
    """The verdict of a run. ``last_line`` is asked for one step at most, and only where nothing else says why."""
    match run.state:
        case State.FAILED | State.BROKEN:
            return _failed(run, jobs, reports, ignored, last_line)
        case State.PASSED:
            return Verdict(_passed(jobs, ignored), explanation=run.sentence)
        case State.QUEUED:
            return Verdict("Waiting", explanation=run.sentence)
        case State.RUNNING:
            return Verdict(_running(jobs), explanation=run.sentence)
        case State.CANCELED:
            return _said(run.sentence or (f"Canceled by {run.cancel_by}" if run.cancel_by else "Canceled"))
        case State.SKIPPED:
            return _said(run.sentence or "Nothing ran")


def short_message(step: Step) -> str:
    """What a step says of its end, without the text of an instruction that is shown beside it."""
    message = step.message
    for part in step.facts.get("instructions") or ():
        if part.get("error"):
            message = message.replace(f"the instruction {part['text']!r} failed", "an instruction failed")
    return instruction_error(message)


def instruction_error(error: str) -> str:
    """The error of a Dockerfile's instruction without the command, which is the instruction itself."""
    start, end = error.find(_COMMAND_STARTS), error.rfind(_COMMAND_ENDS)
    return error if start < 0 or end < start else error[:start] + error[end + len(_COMMAND_ENDS) :]


def _failed(
    run: Run,
    jobs: Sequence[JobSteps],
    reports: RunReports,
    ignored: Collection[int],
    last_line: Callable[[Step], LogLine | None],
) -> Verdict:
    bad = [
        (job, step)
        for job, steps in jobs
        for step in steps
        if job.state is run.state and step.state in _BAD and step.id not in ignored
    ]
    counted = {step.id: (job, step) for job, step in bad}
    tests = [each for each in reports.failed if each.step_id in counted]
    if tests:
        return _of_tests(jobs, counted, tests, reports, ignored)
    if not bad:
        return _said(run.sentence or run.state.value.capitalize())
    step = bad[0][1]
    others = len({each.id for each, _ in bad}) - 1
    where = f"{step.name} failed" if step.state is State.FAILED else f"{step.name} broke"
    where += _cells(jobs, [each for each, _ in bad]) or (f", and {_jobs(others)}" if others else "")
    problems = [each for each in step.facts.get("annotations") or () if each["severity"] == "error"]
    if problems:
        causes = [_problem(step, each) for each in problems[:CAUSES_MAX]]
        sentence = _cut(f"{where}: {causes[0].text}")
        return Verdict(sentence, step.id, causes, len(problems) - len(causes), _explanation(step))
    line = last_line(step) if _log_says_more(step) else None
    if line is None:
        return _said(f"{where}: {short_message(step)}" if step.message else where, step.id)
    cause = Cause(step.id, line.text, log_line=line.number)
    return Verdict(_cut(f"{where}: {line.text}"), step.id, [cause], 0, _explanation(step))


def _said(whole: str, step_id: int | None = None) -> Verdict:
    sentence = _cut(whole)
    return Verdict(sentence, step_id, explanation="" if sentence == whole else whole)


def _of_tests(
    jobs: Sequence[JobSteps],
    counted: dict[int, tuple[Job, Step]],
    tests: Sequence[ShownFailure],
    reports: RunReports,
    ignored: Collection[int],
) -> Verdict:
    elsewhere = sum(each.step_id in ignored for each in reports.failed)
    count = max(len(tests), reports.failed_count - elsewhere)
    names = list(dict.fromkeys(each.step_name for each in tests))
    steps = " and ".join(names) if len(names) <= _NAMES_MAX else f"{len(names)} steps"
    cells = _cells(jobs, [counted[each.step_id][0] for each in tests])
    sentence = f"{count:,} of {reports.total:,} tests failed in {steps}{cells}"
    causes = [_test(counted[group[0].step_id][1], group) for group in alike(tests)[:CAUSES_MAX]]
    return Verdict(_cut(sentence), tests[0].step_id, causes, count - sum(each.count for each in causes))


def _test(step: Step, group: Sequence[ShownFailure]) -> Cause:
    first = group[0]
    row = first.failure
    # Problem lines of the log name the same places: the first one leads into the log.
    line = next(
        (
            int(found["log_line"])
            for found in step.facts.get("annotations") or ()
            if found.get("log_line") and row.line and (found["file"], found["line"]) == (row.file, row.line)
        ),
        None,
    )
    return Cause(step.id, row.message, str(first.name), first.place, line, first.known, row.flaky, len(group))


def _problem(step: Step, found: dict[str, object]) -> Cause:
    numbers = [str(found[key]) for key in ("line", "column") if found.get(key)]
    place = ":".join([str(found["file"]), *numbers])
    return Cause(step.id, str(found["message"]), place=place, log_line=int(str(found.get("log_line") or 0)) or None)


def _log_says_more(step: Step) -> bool:
    if step.reason is Reason.EXIT_CODE:
        return True
    return step.reason is Reason.BUILD_FAILED and instruction_error(step.message) != step.message


def _explanation(step: Step) -> str:
    """What Headway adds to an exit code, such as the meaning of a signal; empty where it is the code alone."""
    message = short_message(step)
    return "" if _EXITED.fullmatch(message) or step.reason is Reason.BUILD_FAILED else message


def _cells(jobs: Sequence[JobSteps], failed: Iterable[Job]) -> str:
    """Which cells of a matrix failed, where not all did: ``, on 3.12 only``; empty without a matrix."""
    of_run = {job.id: job for job in failed}
    names = {job.name for job in of_run.values()}
    of_name = [job for job, _ in jobs if job.name in names]
    if len(names) != 1 or len(of_name) < 2 or not all(job.cell for job in of_name):  # noqa: PLR2004 - one is no matrix
        return ""
    if len(of_run) == 1:
        return f", on {', '.join(next(iter(of_run.values())).cell.values())} only"
    return f", in {len(of_run)} of {len(of_name)} cells" if len(of_run) < len(of_name) else ", in all cells"


def _jobs(count: int) -> str:
    return "another job too" if count == 1 else f"{count} other jobs too"


def _passed(jobs: Sequence[JobSteps], ignored: Collection[int]) -> str:
    steps = [step for _, of_job in jobs for step in of_job]
    pushed = [
        f"{each['repo'].rpartition('/')[2]}:{each['tag']}" for step in steps for each in step.facts.get("pushed") or ()
    ]
    reused = sum("reused" in step.facts for step in steps)
    words = "Pushed " + _listed(pushed) if pushed else "Passed"
    if reused:
        words += f", {reused} of {len(steps)} steps unchanged"
    names = list(dict.fromkeys(step.name for step in steps if step.id in ignored))
    return f"{words}; the failure of {_listed(names)} is ignored" if names else words


def _running(jobs: Sequence[JobSteps]) -> str:
    names = [step.name for _, steps in jobs for step in steps if step.state is State.RUNNING]
    return f"Running {_listed(list(dict.fromkeys(names)))}" if names else "Running"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _NAMES_MAX:
        return " and ".join(names)
    return f"{names[0]} and {len(names) - 1} more"


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= SENTENCE_CHARS_MAX else sentence[: SENTENCE_CHARS_MAX - 1].rstrip() + "…"
