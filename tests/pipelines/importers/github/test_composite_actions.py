"""Composite actions of the repository, and how much the calls of a file may be."""

import pytest

from pipelines.importers.github.calls.files import CALL_LEVELS_MAX, CALLED_FILES_COUNT_MAX, CALLS_COUNT_MAX
from pipelines.importers.github.calls.replacing import EXPANDED_CHARACTERS_MAX, Budget, TooLargeError
from pipelines.importers.github.expressions.parser import TOKENS_COUNT_MAX
from tests.support.imports import Import

ACTION = ".github/actions/a/action.yml"
USES = "uses: ./.github/actions/a"


def action(steps: str, head: str = "") -> str:
    """A composite action with these steps."""
    return f"{head}\nruns:\n  using: composite\n  steps: [{steps}]"


def job(steps: str, more: str = "", **files: str) -> Import:
    """A job with these steps; ``a`` is the text of the action ``a``, and so on."""
    known = {f".github/actions/{name}/action.yml": text for name, text in files.items()}
    return Import("github", f"on: push\njobs:\n  t:\n    {more}\n    steps: [{steps}]\n", known)


def commands(found: Import) -> list[str]:
    assert not found.imported.failed, found.remarks
    return list(found.step["commands"])


def test_the_steps_of_an_action_stand_for_the_step_that_uses_it() -> None:
    text = action(
        'uses: actions/setup-node@v4, {run: "npm ci ${{ inputs.how }} ${{ inputs.none }}", shell: bash}, run: npm test',
        "inputs: {how: {default: --slow}}",
    )
    assert commands(job(f"{USES}, run: ls", a=text)) == ["npm ci --slow", "npm test", "ls"]
    assert commands(job(f"{{{USES}, with: {{how: --fast}}}}", a=text)) == ["npm ci --fast", "npm test"]


def test_outputs_of_an_action_are_those_of_its_steps() -> None:
    text = action('{id: v, run: "echo n=1 >> $GITHUB_OUTPUT"}', 'outputs: {N: {value: "x${{ steps.v.outputs.n }}"}}')
    steps = f'{{id: v, run: pwd}}, {{id: one, {USES}}}, {{id: two, {USES}}}, run: "./t ${{{{ steps.two.outputs.n }}}}"'
    made = commands(job(steps, a=text))
    assert "export GITHUB_OUTPUT=/headway/v-2.outputs" in made[1]
    assert "export GITHUB_OUTPUT=/headway/v-3.outputs" in made[2]
    assert made[3] == "./t x$(sed -n 's/^n=//p' /headway/v-3.outputs | tail -n 1)"


def test_outputs_of_actions_in_actions() -> None:
    inner = action('{id: v, run: "echo n=1 >> $GITHUB_OUTPUT"}', 'outputs: {n: {value: "${{ steps.v.outputs.n }}"}}')
    outer = action("{id: i, uses: ./.github/actions/b}", 'outputs: {m: {value: "${{ steps.i.outputs.n }}"}}')
    made = commands(job(f'{{id: o, {USES}}}, run: "./t ${{{{ steps.o.outputs.m }}}}"', a=outer, b=inner))
    assert made[1] == "./t $(sed -n 's/^n=//p' /headway/v.outputs | tail -n 1)"


def test_a_step_of_an_action_has_the_condition_and_the_variables_of_its_caller() -> None:
    text = action("{run: ./a, env: {B: own}}, {run: ./b, if: github.sha == 'x'}")
    caller = f"{{{USES}, if: github.ref == 'refs/heads/main', env: {{A: all, B: given}}}}, run: ls"
    one, two, _ = commands(job(caller, a=text))
    assert one.startswith('if [ "${CI_COMMIT_REF}" = "refs/heads/main" ]; then')
    assert 'export A="all"\nexport B="own"' in one
    assert two.startswith(
        'if { [ "${CI_COMMIT_REF}" = "refs/heads/main" ]; } && { [ "${CI_COMMIT_SHA}" = "x" ]; }; then'
    )
    assert 'export B="given"' in two
    assert commands(job(f"{{{USES}, if: github.event_name == 'release'}}, run: ls", a=text)) == ["ls"]


def test_the_folder_of_an_action_and_the_folder_of_its_steps() -> None:
    text = action(
        '{run: "${{ github.action_path }}/a.sh"}, {run: $GITHUB_ACTION_PATH/b.sh}, {run: ls, working-directory: x}'
    )
    more = "defaults: {run: {working-directory: web}}"
    first, second, third = commands(job(f"{USES}", more, a=text))
    folder = "/headway/src/.github/actions/a"
    assert [first, second] == [f"{folder}/a.sh", f"{folder}/b.sh"]
    assert 'cd "x"' in third
    (only,) = job("run: ls", more).step["commands"]
    assert (only, job("run: ls", more).step["directory"]) == ("ls", "web")


def test_what_a_caller_says_of_failures_and_times() -> None:
    caller = f"{{{USES}, continue-on-error: true, timeout-minutes: 3}}, run: ls"
    found = job(caller, a=action("run: ./a, run: ./b"))
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "'continue-on-error' holds for each step of the action here: those after the failed one run too",
        "'timeout-minutes' of a step that uses an action is left out: write 'timeout' of the whole",
    ]
    assert [each.endswith("|| true\n./a\nEND") or "|| true" in each for each in commands(found)] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "runs: {using: node20, main: a.js}",
            "is a program for 'node20', which runs on GitHub's machines; it is left out",
        ),
        ("runs: {using: docker, image: Dockerfile}", "is a program for 'docker', which runs on"),
        ("name: x", "is a program for '', which runs on"),
        (action(USES), f"the action ./.github/actions/a calls itself: {ACTION} calls {ACTION}; it is left out"),
    ],
)
def test_actions_that_are_left_out(text: str, why: str) -> None:
    found = job(f"{USES}, run: ls", a=text)
    assert any(why in each for each in found.remarks), found.remarks
    assert found.imported.failed
    assert found.step["commands"] == ["ls"]


def test_an_action_in_the_root_and_one_whose_name_ends_in_yaml() -> None:
    known = {"action.yml": action("run: ./root"), "b/action.yaml": action("run: ./b")}
    found = Import("github", "on: push\njobs: {t: {steps: [uses: ./, uses: ./b]}}", known)
    assert commands(found) == ["./root", "./b"]


def test_a_called_workflow_may_use_actions() -> None:
    jobs = "{t: {steps: [{uses: ./b, with: {x: '${{ inputs.a }}'}}]}}"
    text = f"on: {{workflow_call: {{inputs: {{a: {{type: string}}}}}}}}\njobs: {jobs}"
    known = {"w.yml": text, "b/action.yml": action('run: "./b ${{ inputs.x }}"', "inputs: {x: }")}
    found = Import("github", "on: push\njobs: {c: {uses: ./w.yml, with: {a: '1'}}}", known)
    assert commands(found) == ["./b 1"]


def _chain(levels: int) -> Import:
    """Actions each of which uses the next."""
    files = {f"a{each}": action(f"uses: ./.github/actions/a{each + 1}, run: echo {each}") for each in range(1, levels)}
    return job("uses: ./.github/actions/a1", **files, **{f"a{levels}": action("run: echo last")})


def test_calls_may_be_ten_deep_and_no_deeper() -> None:
    assert commands(_chain(CALL_LEVELS_MAX))[0] == "echo last"
    found = _chain(CALL_LEVELS_MAX + 1)
    assert f"is more than {CALL_LEVELS_MAX} calls deep; it is left out" in found.remarks[0]
    assert "echo last" not in found.step["commands"]


def test_how_many_files_may_be_called() -> None:
    steps = [f"uses: ./.github/actions/a{each}" for each in range(CALLED_FILES_COUNT_MAX + 1)]
    files = {f"a{each}": action(f"run: echo {each}") for each in range(CALLED_FILES_COUNT_MAX + 1)}
    assert len(commands(job(", ".join(steps[:-1]), **files))) == CALLED_FILES_COUNT_MAX
    (remark,) = job(", ".join(steps), **files).remarks
    assert f"more than {CALLED_FILES_COUNT_MAX} files are called" in remark


def test_how_many_calls_there_may_be() -> None:
    text = action("run: ls")
    assert len(commands(job(", ".join([USES] * CALLS_COUNT_MAX), a=text))) == CALLS_COUNT_MAX
    (remark,) = job(", ".join([USES] * (CALLS_COUNT_MAX + 1)), a=text).remarks
    assert f"is one call more than {CALLS_COUNT_MAX}; it is left out" in remark


def test_how_many_characters_the_calls_may_be() -> None:
    budget = Budget(3)
    budget.spend(3)
    with pytest.raises(TooLargeError):
        budget.spend(1)


@pytest.mark.parametrize("call", ["{steps: [{uses: ./b, with: {x: '%s'}}]}", "{uses: ./w.yml, with: {x: '%s'}}"])
def test_values_that_grow_at_each_call_are_left_out(call: str) -> None:
    ten = "${{ inputs.x }}" * 10
    many = f'{{run: "{ten * 100}"}}'
    known = {
        "b/action.yml": action(f"{{uses: ./c, with: {{x: '{ten}'}}}}", "inputs: {x: }"),
        "c/action.yml": action(many, "inputs: {x: }"),
        "w.yml": "on: {workflow_call: {inputs: {x: {type: string}}}}\n"
        f"jobs: {{c: {{uses: ./v.yml, with: {{x: '{ten}'}}}}}}",
        "v.yml": f"on: {{workflow_call: {{inputs: {{x: {{type: string}}}}}}}}\njobs: {{t: {{steps: [{many}]}}}}",
    }
    text = f"on: push\njobs:\n  t: {call % ('x' * 1000)}\n  u: {{steps: [run: ls]}}\n"
    found = Import("github", text, known)
    assert any(f"more than {EXPANDED_CHARACTERS_MAX:,} characters" in each for each in found.remarks)
    assert sum(map(len, found.texts.values())) < 1000


def test_how_long_an_expression_may_be() -> None:
    most = " && ".join(["github.sha"] * ((TOKENS_COUNT_MAX + 2) // 4))
    assert not job(f"{{run: ls, if: {most}}}").imported.failed
    (remark,) = job(f"{{run: ls, if: {most} && github.sha}}").remarks
    assert f"for 'more than {TOKENS_COUNT_MAX} words and signs'" in remark


def test_an_expression_as_an_input_is_a_part_of_the_expression_that_uses_it() -> None:
    text = action('{run: "ls ${{ inputs.how || 1 }}"}', "inputs: {how: {}}")
    (made,) = commands(job(f'{{{USES}, with: {{how: "${{{{ github.ref_name }}}}"}}}}', a=text))
    assert made.startswith('ls $(if [ -n "${CI_COMMIT_TAG:-${CI_COMMIT_BRANCH}}" ] && ')


def test_what_is_no_step_has_a_remark() -> None:
    for found in (job(USES, a=action("text, run: ls")), job("text, run: ls")):
        assert commands(found) == ["ls"]
        assert "a step is a map" in str(found.remarks)
