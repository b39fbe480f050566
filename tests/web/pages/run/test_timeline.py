"""The time axis of a run: what took how long, and what it waited for."""

import pytest

from pipelines.state import State
from web.pages.run.job_list import job_list
from web.pages.run.timeline import INSTRUCTION_CHARS_MAX, ROWS_MAX, SAID_MS_MIN, Row, Span, Timeline, timeline_of
from workers.db.models import Job, Run, Step

RUN = Run(created_ms=100_000, finished_ms=110_000)


def step(number: int, started: int | None, finished: int | None, job: int = 1, **values: object) -> Step:
    known = {"facts": {}, "state": State.PASSED, "started_ms": started, "finished_ms": finished, **values}
    return Step(id=100 * job + number, job_id=job, number=number, name=f"s{number}", **known)


def job(number: int, started: int | None, finished: int | None, **values: object) -> Job:
    known = {"name": "", "needs": [], "cell": {}, "group_name": "", "delays": 0, "services": [], **values}
    return Job(id=number, number=number, state=State.PASSED, started_ms=started, finished_ms=finished, **known)


def axis(*jobs: tuple[Job, list[Step]], run: Run = RUN, now: int = 0, chosen: Step | None = None) -> Timeline:
    found = timeline_of(run, job_list(jobs, (), chosen), now)
    assert found is not None
    return found


def spans(row: Row) -> list[tuple[str, int, int]]:
    return [(span.kind, span.left, span.width) for span in row.spans]


def test_a_job_waits_is_prepared_and_runs() -> None:
    timeline = axis((job(1, 102_000, 110_000, group_name="deploy"), [step(1, 105_000, 110_000)]))
    whole, own = timeline.rows
    assert spans(whole) == [("waited", 0, 200), ("prepared", 200, 300), ("passed", 500, 500)]
    assert whole.note == "waited 2.0 s for its turn in deploy and a worker; 3.0 s until its first step began"
    assert (own.name, own.level, spans(own), own.took) == ("s1", 1, [("passed", 500, 500)], "5.0 s")
    assert timeline.ticks == [(0, "0.0 s"), (250, "2.5 s"), (500, "5.0 s"), (750, "7.5 s"), (1000, "10 s")]


@pytest.mark.parametrize(("waited", "note"), [(SAID_MS_MIN, "waited 1.0 s for a worker"), (SAID_MS_MIN - 1, "")])
def test_a_short_wait_is_not_worth_a_word(waited: int, note: str) -> None:
    start = 100_000 + waited
    assert axis((job(1, start, 110_000), [step(1, start, 110_000)])).rows[0].note == note


def test_a_job_waits_for_what_it_needs_from_when_that_ended() -> None:
    first = job(1, 100_000, 104_000, name="build"), [step(1, 100_000, 104_000)]
    second = job(2, 106_000, 110_000, name="test", needs=["build"]), [step(1, 106_000, 110_000, 2)]
    build, test = axis(first, second).rows
    assert spans(test) == [("waited", 400, 200), ("passed", 600, 400)]
    assert test.note == "after build; waited 2.0 s for a worker"
    assert build.level == 0


def test_what_still_runs_reaches_until_now() -> None:
    run = Run(created_ms=100_000, finished_ms=None)
    first = job(1, 100_000, None, name="build", delays=2), [step(1, 100_000, None)]
    second = job(2, None, None, name="test", needs=["build"])
    build, test = axis(first, (second, []), run=run, now=120_000).rows
    assert spans(build) == [("passed", 0, 1000)]
    assert build.note == "delayed 2 times by its forge or a registry"
    assert build.took == "20 s"
    assert (spans(test), test.note) == ([], "after build")


def test_only_the_shown_job_has_its_steps_there() -> None:
    steps = [step(1, 100_000, 104_000, number) for number in (1, 2)]
    jobs = [(job(number, 100_000, 104_000, name=f"j{number}"), [steps[number - 1]]) for number in (1, 2)]
    assert [row.name for row in axis(*jobs, chosen=steps[1]).rows] == ["j1", "j2", "s1"]


def test_attempts_follow_one_another() -> None:
    facts = {"attempts": [{"state": "failed", "started_ms": 101_000, "seconds": 2.0}]}
    row = axis((job(1, 100_000, 110_000), [step(1, 101_000, 110_000, facts=facts)])).rows[1]
    assert spans(row) == [("failed", 100, 200), ("passed", 300, 700)]
    assert row.note == "2 attempts"


def test_instructions_have_their_time_but_no_place() -> None:
    parts = [{"text": "FROM x", "cached": True, "seconds": 0.0}, {"text": "RUN y", "seconds": 1.5}, {"text": "COPY z"}]
    rows = axis((job(1, 100_000, 110_000), [step(1, 100_000, 110_000, facts={"instructions": parts})])).rows
    assert [(row.name, row.took, row.level, row.spans) for row in rows[2:]] == [
        ("FROM x", "cached", 2, ()),
        ("RUN y", "1.5 s", 2, ()),
        ("COPY z", "", 2, ()),
    ]


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (INSTRUCTION_CHARS_MAX, "x" * INSTRUCTION_CHARS_MAX),
        (INSTRUCTION_CHARS_MAX + 1, "x" * (INSTRUCTION_CHARS_MAX - 1) + "…"),
    ],
)
def test_a_long_instruction_is_cut(length: int, shown: str) -> None:
    parts = [{"text": "x" * length}]
    rows = axis((job(1, 100_000, 110_000), [step(1, 100_000, 110_000, facts={"instructions": parts})])).rows
    assert rows[2].name == shown


def test_what_another_run_did_has_no_bar() -> None:
    steps = [step(1, 1, 2, facts={"reused": {"run": 41}}), step(2, 1, 2, carried_from=40), step(3, 50_000, 50_001)]
    rows = axis((job(1, 100_000, 110_000), steps)).rows[1:]
    assert [(row.note, row.spans) for row in rows] == [
        ("unchanged since run 41", ()),
        ("unchanged since run 40", ()),
        ("", []),
    ]
    carried = axis((job(1, 100_000, 101_000), []), (job(2, 1, 2, name="b", carried_from=7), [])).rows[1]
    assert (carried.note, carried.spans) == ("carried over from run 7", ())


def test_what_took_no_time_is_still_seen() -> None:
    row = axis((job(1, 100_000, 110_000), [step(1, 110_000, 110_000)])).rows[1]
    assert row.spans == [Span("passed", 997, 3)]


def test_before_something_begins_there_is_no_axis() -> None:
    assert timeline_of(RUN, job_list([(job(1, None, None), [])], (), None), 0) is None


@pytest.mark.parametrize(("steps", "left_out"), [(ROWS_MAX - 1, 0), (ROWS_MAX, 1)])
def test_so_many_rows_are_shown(steps: int, left_out: int) -> None:
    timeline = axis((job(1, 100_000, 110_000), [step(number, 100_000, 101_000) for number in range(steps)]))
    assert (len(timeline.rows), timeline.left_out) == (ROWS_MAX, left_out)
