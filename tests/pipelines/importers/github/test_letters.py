"""Names of contexts, jobs, steps, axes and secrets mean the same in capital letters."""

import pytest
import yaml

from tests.pipelines.importers.github.test_calls import called
from tests.pipelines.importers.github.test_composite_actions import action, commands, job
from tests.pipelines.importers.github.test_github import imported, of_job, of_steps


@pytest.mark.parametrize(
    ("given", "environment"),
    [("", ""), ("secrets: {deploy: '${{ Secrets.Mine }}'}", {"from_secret": "mine"})],
)
def test_a_called_workflow_has_no_other_secret(given: str, environment: object) -> None:
    found = called(given, "jobs: {t: {env: {A: '${{ Secrets.DEPLOY }}'}, steps: [run: ls]}}")
    assert found.step["environment"] == {"A": environment}


def test_inputs_outputs_and_jobs_of_calls() -> None:
    text = action(
        '{id: V, run: "./a ${{ Inputs.How }}"}', 'inputs: {how: {}}\noutputs: {N: {value: "${{ Steps.v.Outputs.n }}"}}'
    )
    found = job('{id: One, uses: ./.github/actions/a, with: {HOW: x}}, run: "./t ${{ steps.ONE.outputs.n }}"', a=text)
    assert found.remarks == []
    assert commands(found)[-1] == "./t $(sed -n 's/^n=//p' /headway/v.outputs | tail -n 1)"
    inside = (
        'jobs: {A: {outputs: {n: x}, steps: [run: ls]}, b: {needs: a, steps: [run: "./t ${{ Needs.A.outputs.n }}"]}}'
    )
    made = called("", inside)
    assert made.remarks == []
    assert yaml.safe_load(made.texts[".headway/ci-c-b.yml"])["depends_on"] == ["ci-c-A"]
    assert ".outputs/c-a | tail" in made.texts[".headway/ci-c-b.yml"]
    assert "/.outputs/c-a" in made.texts[".headway/ci-c-A.yml"]


def test_jobs_and_steps_of_a_file() -> None:
    found = imported(
        """\
        on: push
        jobs:
          Build:
            outputs: {v: "${{ Steps.S.outputs.v }}"}
            steps: [{id: s, run: "echo v=1 >> $GITHUB_OUTPUT"}]
          test:
            needs: build
            steps: [run: "./t ${{ needs.BUILD.outputs.v }}"]
        """
    )
    assert found.remarks == []
    test = yaml.safe_load(found.texts[".headway/ci-test.yml"])
    assert test["depends_on"] == ["ci-Build"]
    assert test["steps"][0]["commands"] == ["./t $(sed -n 's/^v=//p' /headway/src/.outputs/build | tail -n 1)"]
    assert "/headway/s.outputs" in found.texts[".headway/ci-Build.yml"]


def test_axes_and_contexts() -> None:
    found = of_job(
        'strategy: {matrix: {Py: ["1", "2"], include: [{py: "1", Extra: x}]}}\n'
        'container: "python:${{ Matrix.py }}"\n'
        'steps: [run: "./t ${{ matrix.PY }} ${{ GitHub.SHA }} ${{ matrix.extra }}"]'
    )
    assert found.workflow["matrix"] == {"include": [{"PY": "1", "EXTRA": "x"}, {"PY": "2", "EXTRA": ""}]}
    assert found.step["image"] == "python:${PY}"
    assert found.step["commands"] == ["./t ${PY} ${CI_COMMIT_SHA} ${EXTRA}"]


def test_a_variable_and_the_key_of_an_output_keep_their_letters() -> None:
    found = of_steps("- {id: s, run: ls}\n- run: ./t ${{ ENV.Ab }} ${{ steps.s.outputs.Cd }}", "env: {Ab: x}")
    assert found.step["commands"][-1] == "./t $${Ab} $(sed -n 's/^Cd=//p' /headway/s.outputs | tail -n 1)"


def test_a_run_with_a_secret_in_capital_letters_is_a_step_of_its_own() -> None:
    text = "- run: ls\n- {run: './d ${{ SECRETS.A }}', if: github.event_name == 'push'}"
    assert len(of_steps(text, top="on: [push, pull_request]").workflow["steps"]) == 2


def test_images_of_docker() -> None:
    found = of_steps(
        """\
- {id: Meta, uses: docker/metadata-action@v5, with: {images: r.example.org/x, tags: "type=raw,value=1"}}
- uses: docker/build-push-action@v6
  with: {push: true, tags: "${{ Steps.META.outputs.tags }}", secrets: "t=${{ Secrets.T }}"}"""
    )
    build, pushed = found.workflow["steps"]
    assert build["build"]["secrets"] == {"t": "t"}
    assert (pushed["push"]["repo"], pushed["push"]["tags"]) == ("r.example.org/x", ["1"])
