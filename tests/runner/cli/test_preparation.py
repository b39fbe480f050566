"""What ``headway run`` says of pulls and services."""

import pytest

from runner.cli.run.preparation import SAID_S_MIN, PreparationTimes
from runner.events import Event, ImagePullChanged, ServiceChanged
from tests.runner.cli.test_terminal import Screen


def said_of(*events: Event) -> list[str]:
    screen = Screen()
    for event in events:
        screen.shows(event)
    return screen.text().splitlines()


@pytest.mark.parametrize(("took", "line"), [(SAID_S_MIN, "service db was ready after 1.0 s"), (0.99, "")])
def test_a_service_that_took_a_while_is_said(took: float, line: str) -> None:
    now = [10.0]
    times = PreparationTimes(lambda: now[0])
    assert times.line(ServiceChanged("db", "starting")) == ""
    now[0] += took
    assert times.line(ServiceChanged("db", "starting", has_container=True)) == ""
    assert times.line(ServiceChanged("db", "ready")) == line
    assert times.line(ServiceChanged("db", "ended")) == ""


def test_a_service_that_an_earlier_process_started_has_no_time() -> None:
    assert PreparationTimes().line(ServiceChanged("db", "ready")) == ""


def test_a_pull_is_said_at_its_end() -> None:
    assert said_of(
        ImagePullChanged("alpine:3"),
        ImagePullChanged("alpine:3", 1.26, 3_000_000),
        ImagePullChanged("here\x1b[2J:1", 0.04),
        ImagePullChanged("none:1", 2.0, failed=True),
    ) == ["pulled alpine:3 in 1.3 s, 3.0 MB", "pulled here\\x1b[2J:1 in 0.0 s"]
