"""Insights of a branch: how often and how fast its runs pass, which steps and tests make them slow or unreliable."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from pipelines.state import State
from runner.report_results import CaseName
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import reading
from workers.store.runs.branch_history import PastRun
from workers.store.runs.insights import PastFailure, PastStep, past_failures_of, past_reports, past_steps
from workers.store.runs.refs import history_of_ref

RUNS_MAX, RUNS_IN_DETAIL_MAX = 100, 50
"""The runs of the diagram, and those of which steps and tests are read."""
SHOWN_MAX = 10
_RED = (State.FAILED, State.BROKEN)
_COUNTED = (State.PASSED, *_RED)
_K = TypeVar("_K")


@dataclass(frozen=True)
class StepInsight:
    """A step over the runs: how often it ran, how often it failed, and how long it usually took."""

    workflow: str
    name: str
    runs: int
    failed: int
    median_ms: int


@dataclass(frozen=True)
class TestInsight:
    """A test over the runs. ``median_ms`` is 0 where only its failures are known."""

    __test__ = False

    test: CaseName
    failed: int = 0
    flaky: int = 0
    median_ms: int = 0


@dataclass(frozen=True)
class Insights:
    """``runs`` are the last ones, the oldest first. ``green_after_ms`` is how long the branch usually stayed red."""

    repo: Repo
    branch: str
    runs: Sequence[PastRun]
    counted: int
    passed: int
    median_ms: int | None
    slow_ms: int | None
    green_after_ms: int | None
    slowest_steps: Sequence[StepInsight]
    failing_steps: Sequence[StepInsight]
    flaky_tests: Sequence[TestInsight]
    slowest_tests: Sequence[TestInsight]


def insights(services: OperationServices, actor: Actor, name: str, branch: str) -> Insights:
    """The insights of a branch, or with an empty one of the default branch."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.READ)
        branch = branch or repo.default_branch
        runs = history_of_ref(session, repo.id, f"refs/heads/{branch}", RUNS_MAX)
        counted = [run for run in runs if run.state in _COUNTED]
        ids = [run.id for run in counted[-RUNS_IN_DETAIL_MAX:]]
        steps = _steps(past_steps(session, ids))
        reports = past_reports(session, ids)
        failures = past_failures_of(session, reports)
        slowest = [each for report in reports for each in report.slowest]
    times = sorted(run.took_ms for run in counted if run.took_ms is not None and run.state is State.PASSED)
    return Insights(
        repo=repo,
        branch=branch,
        runs=runs,
        counted=len(counted),
        passed=sum(run.state is State.PASSED for run in counted),
        median_ms=int(median(times)) if times else None,
        slow_ms=times[len(times) * 95 // 100] if times else None,
        green_after_ms=_green_after(counted),
        slowest_steps=_first(steps, lambda each: each.median_ms),
        failing_steps=_first(steps, lambda each: each.failed),
        flaky_tests=_first(_tests(failures), lambda each: each.flaky),
        slowest_tests=_slowest(slowest),
    )


def _first(items: Iterable[_K], key: Callable[[_K], int]) -> list[_K]:
    return [each for each in sorted(items, key=key, reverse=True) if key(each)][:SHOWN_MAX]


def _steps(steps: Iterable[PastStep]) -> list[StepInsight]:
    by_name: dict[tuple[str, str], list[PastStep]] = defaultdict(list)
    for step in steps:
        by_name[step.workflow, step.name].append(step)
    return [
        StepInsight(*name, len(each), sum(step.state in _RED for step in each), int(median(s.took_ms for s in each)))
        for name, each in by_name.items()
    ]


def _tests(failures: Iterable[PastFailure]) -> list[TestInsight]:
    """In how many runs each test failed, and in how many it was flaky."""
    failed: dict[CaseName, set[int]] = defaultdict(set)
    flaky: dict[CaseName, set[int]] = defaultdict(set)
    for each in failures:
        test = CaseName(each.suite, each.group, each.name)
        if each.failed:
            failed[test].add(each.run_id)
        if each.flaky:
            flaky[test].add(each.run_id)
    return [TestInsight(test, len(failed[test]), len(flaky[test])) for test in failed.keys() | flaky.keys()]


def _slowest(slowest: Iterable[dict[str, object]]) -> list[TestInsight]:
    times: dict[CaseName, list[int]] = defaultdict(list)
    for each in slowest:
        times[CaseName(str(each["suite"]), str(each["group"]), str(each["name"]))].append(int(str(each["duration_ms"])))
    tests = [TestInsight(test, median_ms=int(median(each))) for test, each in times.items()]
    return _first(tests, lambda test: test.median_ms)


def _green_after(runs: Sequence[PastRun]) -> int | None:
    """The median time from the end of the first red run to that of the next one that passed."""
    lengths: list[int] = []
    red_since: int | None = None
    for run in runs:
        if run.state in _RED and red_since is None:
            red_since = run.finished_ms
        elif run.state is State.PASSED:
            if red_since is not None and run.finished_ms is not None:
                lengths.append(run.finished_ms - red_since)
            red_since = None
    return int(median(lengths)) if lengths else None
