"""When a cron expression is due, also on the days on which clocks are changed."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.triggers.crons import next_ms
from workers.triggers.manual import InvalidRequestError

BERLIN = "Europe/Berlin"


def times(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next times after a local one, with their distance from UTC."""
    clock = ZoneInfo(zone)

    def all_times() -> Iterator[str]:
        moment = int(datetime.fromisoformat(after).replace(tzinfo=clock).timestamp() * 1000)
        while True:
            moment = next_ms(expression, zone, moment)
            yield datetime.fromtimestamp(moment / 1000, clock).isoformat(timespec="minutes")

    return list(islice(all_times(), count))


def test_five_fields_are_read_as_cron_reads_them() -> None:
    assert times("30 2 * * 1-5", "UTC", "2026-11-26T12:00", 3) == [
        "2026-11-27T02:30+00:00",
        "2026-11-30T02:30+00:00",
        "2026-12-01T02:30+00:00",
    ]
    assert times("0 0 29 2 *", "UTC", "2026-01-01", 1) == ["2028-02-29T00:00+00:00"]


@pytest.mark.parametrize(
    ("short", "first"),
    [
        ("@hourly", "2026-11-24T07:00+00:00"),
        ("@daily", "2026-11-25T00:00+00:00"),
        ("@weekly", "2026-11-29T00:00+00:00"),
        ("@monthly", "2026-12-01T00:00+00:00"),
        ("@Yearly", "2027-01-01T00:00+00:00"),
    ],
)
def test_short_names_are_known(short: str, first: str) -> None:
    assert times(short, "UTC", "2026-11-24T06:30", 1) == [first]


def test_a_zone_makes_the_hour_the_one_on_its_clocks() -> None:
    assert times("0 9 * * *", "Asia/Kolkata", "2026-11-24T12:00", 1) == ["2026-11-25T09:00+05:30"]


def test_a_time_in_the_gap_is_due_once_right_after_it() -> None:
    assert times("30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]
    assert times("0,30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]
    assert times("@daily", "America/Sao_Paulo", "2018-11-03T12:00", 1) == ["2018-11-04T01:00-02:00"]


def test_a_time_that_occurs_twice_is_due_the_first_time_only() -> None:
    assert times("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


def test_in_the_hour_that_occurs_twice_a_past_time_is_not_due_again() -> None:
    second_time = datetime(2026, 10, 25, 2, 5, tzinfo=ZoneInfo(BERLIN), fold=1).timestamp() * 1000
    found = next_ms("30 2 * * *", BERLIN, int(second_time))
    assert datetime.fromtimestamp(found / 1000, ZoneInfo(BERLIN)).isoformat() == "2026-10-26T02:30:00+01:00"


def test_intervals_follow_the_elapsed_time() -> None:
    assert times("0 * * * *", BERLIN, "2026-10-25T01:30", 3) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]
    assert times("0 * * * *", BERLIN, "2026-03-29T01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "it needs 5 fields"),
        ("* * * *", "it needs 5 fields"),
        ("0 * * * * *", "it needs 5 fields"),
        ("@reboot", "it needs 5 fields"),
        ("* " * 300, "it needs 5 fields"),
        ("61 * * * *", "bad minute"),
        ("0 0 * * funday", "bad day-of-week"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 30 2 mon#6", "bad day-of-week"),
    ],
)
def test_an_invalid_expression_is_refused_with_an_example(expression: str, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=rf'{why}.* "30 2 \* \* 1-5", or @hourly'):
        next_ms(expression, "UTC", 0)


@pytest.mark.parametrize(
    "zone", ["", "Mars/Base", "Europe", "../../etc/passwd", "/etc/passwd", "\0", "\udcff", "a" * 999]
)
def test_an_unknown_time_zone_is_refused_with_an_example(zone: str) -> None:
    with pytest.raises(InvalidRequestError, match="use one of the time zone database such as Europe/Berlin"):
        next_ms("@daily", zone, 0)


@given(st.text(alphabet="0123456789*/,-#LWMONFRIJA @²", max_size=40), st.integers(0, 2**41))
def test_any_text_is_due_later_or_refused(text: str, after_ms: int) -> None:
    with suppress(InvalidRequestError):
        assert next_ms(text, BERLIN, after_ms) > after_ms
