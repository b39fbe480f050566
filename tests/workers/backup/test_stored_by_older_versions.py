"""Triggers and plans are stored as JSON. A newer version reads what an older one stored."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.plan import JobPlan
from pipelines.trigger import Event, Trigger

# As version 0.1 wrote them. Never change these lines: give new fields a default.
LINES = Path(__file__).with_name("stored_by_0_1.jsonl").read_text().splitlines()


def test_triggers_of_an_older_version_are_read() -> None:
    push, pull_request = (Trigger.model_validate_json(line) for line in LINES[:2])
    assert (push.event, push.branch) == (Event.PUSH, "main")
    assert pull_request.pull_request is not None
    assert pull_request.pull_request.from_fork


def test_plans_of_an_older_version_are_read() -> None:
    plan = JobPlan.model_validate_json(LINES[2])
    assert [step.name for step in plan.steps] == ["step-1", "step-2"]


def test_an_older_worker_refuses_what_it_does_not_know() -> None:
    """So workers of two versions must not be mixed (docs/running/upgrade.md)."""
    with pytest.raises(ValidationError, match="extra"):
        Trigger.model_validate_json(json.dumps({**json.loads(LINES[0]), "of_a_newer_version": 1}))
    with pytest.raises(ValidationError, match="extra"):
        JobPlan.model_validate_json(json.dumps({**json.loads(LINES[2]), "of_a_newer_version": 1}))
