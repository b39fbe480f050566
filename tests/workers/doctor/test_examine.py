"""Checks side by side: order, time, what no sentence may contain."""

import threading
import time

from pydantic import SecretStr

from tests.support.services import TEST_KEY
from workers.doctor.examine import checks_of, examine, secrets_of
from workers.doctor.finding import Finding, Level, ok, problem
from workers.settings import Settings


def test_findings_come_in_the_order_of_the_checks() -> None:
    first_waits = threading.Event()

    def first() -> list[Finding]:
        first_waits.wait(5)
        return [ok("a", "fine"), ok("a", "more")]

    def second() -> list[Finding]:
        first_waits.set()
        return [problem("b", "broken")]

    found = examine({"a": first, "b": second})
    assert [(each.subject, each.sentence) for each in found] == [("a", "fine"), ("a", "more"), ("b", "broken")]


def test_a_check_that_hangs_is_a_problem_and_delays_no_other() -> None:
    never = threading.Event()
    began_s = time.monotonic()
    found = examine({"hangs": lambda: [ok("hangs", str(never.wait(30)))], "b": lambda: [ok("b", "fine")]}, seconds=0.05)
    assert time.monotonic() - began_s < 10
    assert [each.level for each in found] == [Level.PROBLEM, Level.OK]
    assert "no answer within 0.05 s" in found[0].sentence
    never.set()


def test_a_check_that_fails_is_a_problem() -> None:
    (found,) = examine({"a": lambda: [ok("a", str(1 // 0))]})
    assert (found.level, found.sentence) == (
        Level.PROBLEM,
        "the check failed: ZeroDivisionError: integer division or modulo by zero",
    )


def test_no_sentence_has_a_password_or_a_key() -> None:
    settings = Settings(
        database_url="postgresql+psycopg://u:p%40ssword@db/x",
        redis_url="redis://:hunter22@r/0",
        secret_keys=SecretStr(TEST_KEY),
    )
    text = f"p@ssword p%40ssword hunter22 {TEST_KEY} {TEST_KEY.partition(':')[2]}"
    (found,) = examine({"a": lambda: [ok("a", text)]}, secrets_of(settings))
    assert found.sentence == "*** *** *** *** ***"
    names = ["engine", "buildx", "git", "data", "database", "key", "redis", "url", "blobs", "hooks"]
    assert list(checks_of(settings)) == names
