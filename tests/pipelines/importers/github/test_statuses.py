"""After which statuses jobs and steps of GitHub Actions run: functions, results of jobs, callers and what they call."""

from typing import Any

import pytest
import yaml

from pipelines.importers.github.expressions.statuses import RESULTS_COUNT_MAX
from tests.pipelines.importers.github.test_calls import CALLED
from tests.pipelines.importers.github.test_composite_actions import USES, action, job
from tests.pipelines.importers.github.test_github import imported, of_steps
from tests.support.imports import Import

CANNOT = "which no condition can here"


def jobs_of(text: str, files: dict[str, str] | None = None) -> tuple[dict[str, Any], Import]:
    found = Import("github", text, files)
    names = {path: path.removeprefix(".headway/ci-").removesuffix(".yml") for path in found.texts}
    return {names[path]: yaml.safe_load(each) for path, each in found.texts.items()}, found


def of_job(condition: str, needs: str = "[t]", steps: str = "run: ls") -> tuple[Any, Import]:
    """The job ``j`` with this condition after ``t`` and ``u``; None if it is left out."""
    two = "  t: {steps: [run: ls]}\n  u: {steps: [run: ls]}\n"
    files, found = jobs_of(f'on: push\njobs:\n{two}  j: {{needs: {needs}, if: "{condition}", steps: [{steps}]}}\n')
    return files.get("j"), found


@pytest.mark.parametrize(
    ("condition", "statuses"),
    [
        ("always()", ["success", "failure"]),
        ("failure()", ["failure"]),
        ("!cancelled()", ["success", "failure"]),
        ("cancelled()", ["canceled"]),
        ("failure() || cancelled()", ["failure", "canceled"]),
        ("${{ !(failure() || cancelled()) }}", None),
        ("!failure()", None),
        ("!success()", ["failure"]),
        ("success() || failure()", ["success", "failure"]),
        ("success() == false", ["failure"]),
        ("always() && needs.t.result == 'success'", None),
        ("always() && Needs.T.Result == 'Success'", None),
        ("always() && needs.t.result == 'failure'", ["failure"]),
        ("always() && needs.t.result != 'success'", ["failure"]),
        ("always() && (needs.t.result == 'success' || needs.t.result == 'skipped')", None),
        ("always() && needs.t.result == 'cancelled'", ["canceled"]),
        ("!cancelled() && needs.t.result == 'failure'", ["failure"]),
        ("always() && !contains(needs.*.result, 'failure')", None),
        ("always() && contains(needs.*.result, 'failure')", ["failure"]),
        ("failure() && github.actor", ["failure"]),
        ("needs.t.result == 'success'", None),
    ],
)
def test_the_statuses_of_a_job(condition: str, statuses: list[str] | None) -> None:
    made, found = of_job(condition)
    assert found.remarks == []
    assert made["when"].get("status") == statuses


@pytest.mark.parametrize(
    ("condition", "statuses"),
    [
        ("always() && needs.t.result == 'success' && needs.u.result == 'success'", None),
        ("always() && (needs.t.result == 'failure' || needs.u.result == 'failure')", ["failure"]),
        ("always() && !(needs.t.result == 'failure' || needs.u.result == 'failure')", None),
        ("needs.t.result == 'success'", None),
    ],
)
def test_results_of_all_jobs_before_it(condition: str, statuses: list[str] | None) -> None:
    made, found = of_job(condition, "[t, u]")
    assert found.remarks == []
    assert made["when"].get("status") == statuses


@pytest.mark.parametrize("condition", ["failure() && success()", "needs.t.result == 'failure'"])
def test_a_job_that_never_runs(condition: str) -> None:
    made, found = of_job(condition)
    assert made is None
    assert "the condition of job 'j' never holds here; it is left out" in found.remarks[0]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("always() && needs.t.result == 'success'", "the results of some jobs of several"),
        ("always() && needs.no.result == 'success'", "needs.no.result"),
        ("always() && needs.t.result != 'skipped'", "the result 'skipped'"),
        ("always() && contains(needs.*.result, 'success')", "whether any job had success"),
    ],
)
def test_results_that_no_condition_can_say(condition: str, why: str) -> None:
    made, found = of_job(condition, "[t, u]")
    assert made is None
    assert found.imported.failed
    assert any(f"error: the condition of job 'j' asks for {why}, {CANNOT}" in each for each in found.remarks)


def test_how_many_results_a_condition_may_ask_for() -> None:
    def failed(count: int) -> bool:
        names = [f"j{each}" for each in range(count)]
        jobs = "".join(f"  {name}: {{steps: [run: ls]}}\n" for name in names)
        test = " && ".join(f"needs.{name}.result == 'success'" for name in names)
        text = f"on: push\njobs:\n{jobs}  j: {{needs: [{', '.join(names)}], if: always() && {test}, steps: [run: ls]}}"
        return imported(text).imported.failed

    assert not failed(RESULTS_COUNT_MAX)
    assert failed(RESULTS_COUNT_MAX + 1)


def test_another_condition_for_each_status() -> None:
    made, found = of_job("failure() || github.ref == 'refs/heads/main'")
    assert made["when"] == [{"event": ["push"], "branch": "main"}, {"event": ["push", "tag"], "status": ["failure"]}]
    assert found.remarks == []
    steps = of_steps("- run: ls\n- {run: ./n, if: failure() || github.ref == 'refs/heads/main'}\n- run: pwd").workflow
    assert [step["commands"] for step in steps["steps"]] == [["ls"], ["./n"], ["pwd"]]
    assert [each.get("status") for each in steps["steps"][1]["when"]] == [None, ["failure"]]


def test_results_in_steps_of_a_job_that_runs_after_failures() -> None:
    bad = "{run: ./bad, if: \"contains(needs.*.result, 'failure')\"}"
    steps = f"{bad}, {{run: ./ok, if: needs.t.result == 'success'}}, run: ls"
    made, found = of_job("always()", steps=steps)
    assert found.remarks == []
    assert [(step["commands"], step.get("when", {}).get("status")) for step in made["steps"]] == [
        (["./bad"], ["failure"]),
        (["./ok"], ["success"]),
        (["ls"], None),
    ]
    _, found = of_job("always()", steps='run: "./t ${{ needs.t.result }}"')
    assert "needs.t.result, which has no counterpart" in found.remarks[0]


def test_results_in_steps_of_a_job_that_only_runs_after_success() -> None:
    steps = "{run: ./bad, if: \"contains(needs.*.result, 'failure')\"}, {run: ./ok, if: needs.t.result == 'success'}"
    made, _ = of_job("success()", steps=f'{steps}, run: "./t ${{{{ needs.t.result }}}}"')
    assert made["steps"][0]["commands"] == ["./ok", "./t success"]


@pytest.mark.parametrize("more", ["", ", run: ls"])
def test_a_step_that_asks_for_what_no_condition_can(more: str) -> None:
    made, found = of_job("always()", "[t, u]", f"{{run: ./a, if: needs.t.result == 'success'}}{more}")
    assert any(f"asks for the results of some jobs of several, {CANNOT}" in each for each in found.remarks)
    assert "./a" not in str([step for step in made["steps"] if step.get("when") != {"evaluate": "false"}])


@pytest.mark.parametrize(
    ("caller", "own", "statuses"),
    [
        ("", "always()", None),
        ("", "failure()", "never"),
        ("failure()", "always()", ["failure"]),
        ("failure()", "", ["failure"]),
        ("always()", "failure()", ["failure"]),
        ("always()", "always()", ["success", "failure"]),
        ("github.ref == 'refs/heads/x'", "always()", None),
    ],
)
def test_a_step_of_an_action_has_only_the_statuses_of_its_caller(
    caller: str, own: str, statuses: list[str] | str | None
) -> None:
    call = f'{{{USES}, if: "{caller}"}}' if caller else f"{{{USES}}}"
    found = job(call, a=action(f'{{run: ls, if: "{own}"}}' if own else "run: ls"))
    when = found.step.get("when", {})
    assert (when.get("status") if when != {"evaluate": "false"} else "never") == statuses


def test_a_later_step_of_an_action_that_would_run_after_its_failure_has_a_remark() -> None:
    text = "{run: ./a}, {run: ./b, if: always()}"
    found = job(USES, a=action(text))
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "a step of an action that runs after a failure of the action runs only after success here"
    ]
    assert job(f"{{{USES}, if: always()}}", a=action(text)).remarks == []


def _called(caller: str, jobs: str) -> tuple[dict[str, Any], Import]:
    text = f"on: push\njobs:\n  x: {{steps: [run: ls]}}\n  c: {{uses: ./{CALLED}{caller}}}\n"
    return jobs_of(text, {CALLED: f"on: workflow_call\njobs: {{{jobs}}}"})


def test_what_a_call_needs_is_needed_by_all_its_jobs() -> None:
    jobs = "a: {if: always(), steps: [run: ls]}, b: {needs: a, if: always(), steps: [run: ls]}"
    files, found = _called(", needs: x", jobs)
    assert [files["c-a"]["depends_on"], files["c-b"]["depends_on"]] == [["ci-x"], ["ci-c-a", "ci-x"]]
    assert "status" not in files["c-a"]["when"] | files["c-b"]["when"]
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "this job of a call does not run after a failure here, because what the call needs may have failed"
    ]
    files, found = _called("", jobs)
    assert found.remarks == []
    assert files["c-b"]["when"]["status"] == ["success", "failure"]
    files, found = _called(", needs: x, if: failure()", jobs)
    assert (found.remarks, files["c-a"]["when"]["status"]) == ([], ["failure"])
    assert files["c-b"]["depends_on"] == [{"name": "ci-c-a", "optional": True}]


def test_artifacts_are_kept_after_the_statuses_of_their_step() -> None:
    upload = "uses: actions/upload-artifact@v4, with: {path: x}"
    for condition, when in (("always()", "always"), ("failure()", "failure"), ("success() && always()", None)):
        found = of_steps(f"- run: ls\n- {{{upload}, if: {condition}}}")
        artifacts = found.step["artifacts"]
        assert (artifacts["when"] if isinstance(artifacts, dict) else None) == when


def test_no_later_run_is_in_the_container_of_a_secret() -> None:
    steps = "- run: ls\n- {run: './d ${{ secrets.A }}', if: github.event_name == 'push'}\n- run: pwd"
    found = of_steps(steps, top="on: [push, pull_request]")
    assert [step["commands"] for step in found.workflow["steps"]] == [["ls"], ["./d $${A}"], ["pwd"]]
    assert [step.get("environment") for step in found.workflow["steps"]] == [None, {"A": {"from_secret": "a"}}, None]


def test_no_command_that_installs_a_tool_is_in_the_container_of_a_secret() -> None:
    tools = "- uses: actions/setup-node@v4\n- uses: actions/setup-python@v5\n"
    secret = "- {run: 'python d ${{ secrets.A }}', if: github.event_name == 'push'}\n- run: node x"
    found = of_steps(tools + secret, top="on: [push, pull_request]")
    assert any("no image is known to have both" in each for each in found.remarks)
    assert found.workflow["steps"][0]["when"] == {"event": ["push", "tag"]}
