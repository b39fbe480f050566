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
    known = {"name": "", "needs": [], "cell": {}, "group_name": "", "delays": 0, "services": [], "pulls": [], **values}
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


def pull(start: int, end: int | None, size: int = 0, *, failed: bool = False) -> dict[str, object]:
    times = {"started_ms": start, "finished_ms": end}
    return {"image": "alpine:3", **times, "downloaded_bytes": size, "failed": failed}


def test_a_pull_has_its_time_and_its_size() -> None:
    pulls = [pull(101_000, 103_000, 3_000_000), pull(103_000, 104_000), pull(104_000, 105_000, failed=True)]
    rows = axis((job(1, 100_000, 110_000, pulls=pulls), [step(1, 105_000, 110_000)])).rows
    assert [(row.name, row.icon, row.word, row.took, row.note, row.level) for row in rows[1:4]] == [
        ("pull alpine:3", "", "", "2.0 s", "2.9 MB downloaded", 1),
        ("pull alpine:3", "", "", "1.0 s", "", 1),
        ("pull alpine:3", "failed", "Failed", "1.0 s", "could not be pulled", 1),
    ]
    assert spans(rows[1]) == [("prepared", 100, 200)]
    assert rows[4].name == "s1"


@pytest.mark.parametrize(("finished", "note"), [(None, "is being pulled"), (105_000, "given up with the job")])
def test_a_pull_without_an_end_reaches_as_far_as_its_job(finished: int | None, note: str) -> None:
    run = Run(created_ms=100_000, finished_ms=finished)
    row = axis((job(1, 100_000, finished, pulls=[pull(101_000, None)]), []), run=run, now=105_000).rows[1]
    assert (row.took, row.note, spans(row)) == ("4.0 s", note, [("prepared", 200, 800)])


def service(state: str, *times: int | None, after: str = "") -> dict[str, object]:
    names = ("begun_ms", "started_ms", "ready_ms", "finished_ms")
    return {"name": "db", "image": "postgres:17", "after": after, "state": state, "message": ""} | dict(
        zip(names, times, strict=False)
    )


@pytest.mark.parametrize(
    ("shown", "bars", "icon", "took", "note"),
    [
        (
            service("ready", 101_000, 102_000, 104_000, None),
            [("waited", 100, 100), ("prepared", 200, 200), ("ran", 400, 600)],
            "passed",
            "3.0 s",
            "its container started after 1.0 s; ready after 3.0 s; all steps waited for it",
        ),
        (
            service("ended", 101_000, 102_000, 104_000, 106_000, after="im"),
            [("waited", 100, 100), ("prepared", 200, 200), ("ran", 400, 200)],
            "passed",
            "3.0 s",
            "its container started after 1.0 s; ready after 3.0 s; ended after 5.0 s; the steps after im waited for it",
        ),
        (
            service("failed", 101_000, None, None, 105_000),
            [("waited", 100, 400)],
            "failed",
            "4.0 s",
            "failed after 4.0 s; all steps waited for it",
        ),
        (
            service("starting", 101_000, 102_000, None, None),
            [("waited", 100, 100), ("prepared", 200, 800)],
            "running",
            "9.0 s",
            "its container started after 1.0 s; all steps wait for it",
        ),
    ],
)
def test_a_service_shows_when_it_was_ready_and_what_waited(
    shown: dict[str, object], bars: list[tuple[str, int, int]], icon: str, took: str, note: str
) -> None:
    row = axis((job(1, 100_000, 110_000, services=[shown]), [])).rows[1]
    assert (row.name, row.icon, row.word, row.level) == ("service db", icon, shown["state"], 1)
    assert (spans(row), row.took, row.note) == (bars, took, note)


def test_a_service_without_times_has_no_row() -> None:
    services = [service("waiting"), {"name": "old", "image": "x", "state": "ready", "message": ""}]
    assert len(axis((job(1, 100_000, 110_000, services=services), [])).rows) == 1


def test_only_the_shown_job_has_its_pulls_and_services_there() -> None:
    both = {"pulls": [pull(101_000, 102_000)], "services": [service("ready", 101_000, 101_000, 101_000)]}
    jobs = [(job(number, 100_000, 110_000, name=f"j{number}", **both), [step(1, 1, 2, number)]) for number in (1, 2)]
    names = [row.name for row in axis(*jobs, chosen=jobs[1][1][0]).rows]
    assert names == ["j1", "j2", "pull alpine:3", "service db", "s1"]


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
