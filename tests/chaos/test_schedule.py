"""Schedules of faults, and the runs whose outcomes are known."""

from itertools import pairwise

import pytest

from pipelines.plan import CommandsStep
from tests.chaos.faults import Fault, place_of, schedule, targets
from tests.chaos.workload import KINDS, MATRIX, counting, pipeline, steps_of
from tests.support.pipelines import plan_of


def moments(faults: list[Fault]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for fault in faults:
        found.setdefault(place_of(fault.kind, fault.target), []).append((fault.at_s, fault.at_s + fault.lasts_s))
    return found


@pytest.mark.parametrize("postgres", [True, False])
def test_a_seed_repeats_its_schedule_and_nothing_meets_two_faults_at_once(postgres: bool) -> None:
    faults = schedule("a seed", 3_000, postgres=postgres)
    assert faults == schedule("a seed", 3_000, postgres=postgres) != schedule("another", 3_000, postgres=postgres)
    assert {(fault.kind, fault.what, fault.target) for fault in faults} == set(targets(postgres=postgres))
    for spans in moments(faults).values():
        assert all(earlier[1] < later[0] for earlier, later in pairwise(spans))
    assert all(fault.at_s < 3_000 for fault in faults)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_run_is_a_pipeline_that_prints_what_is_expected(kind: str) -> None:
    steps = steps_of(kind, "a-1")
    text = pipeline(kind, "a-1", steps, "127.0.0.1:5000")
    jobs = plan_of(text).jobs
    assert len(jobs) == (len(MATRIX) if kind == "matrix" else 1)
    for job in jobs:
        found = {step.name: step for step in job.steps if step.name in steps}
        assert list(found) == list(steps)
        said = [step.commands for step in found.values() if isinstance(step, CommandsStep)]
        assert said == [(step.command,) for step in steps.values()]


def test_a_counting_step_knows_its_output() -> None:
    assert counting("a-1", 2, "0.5").log == (
        b'+ n=0; while [ $n -lt 2 ]; do n=$((n+1)); echo "a-1 $n"; sleep 0.5; done\na-1 1\na-1 2\n'
    )
