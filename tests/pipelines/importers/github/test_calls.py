"""Workflows that a job of GitHub Actions calls in its own repository (``workflow_call``)."""

from typing import Any

import pytest
import yaml

from tests.support.imports import Import

CALLED = ".github/workflows/x.yml"
SAYS = "put what it does into this file"


def called(caller: str, inside: str, declared: str = "", **more: str) -> Import:
    """A job ``c`` with these keys that calls a workflow with these jobs."""
    text = f"on: {{workflow_call: {{{declared}}}}}\n{inside}"
    return Import("github", f"on: push\njobs:\n  c: {{uses: ./{CALLED}, {caller}}}\n", {CALLED: text, **more})


def commands(found: Import) -> list[Any]:
    """The commands of each step of the only file."""
    return [line for step in found.workflow["steps"] for line in step["commands"]]


def test_the_jobs_of_a_called_workflow_stand_for_the_job_that_calls_it() -> None:
    main = f"""\
        on: push
        jobs:
          before:
            outputs: {{v: "${{{{ steps.v.outputs.v }}}}"}}
            steps: [{{id: v, run: echo v=1 >> $GITHUB_OUTPUT}}]
          c:
            needs: before
            if: github.ref == 'refs/heads/main'
            uses: ./{CALLED}
            with: {{version: "${{{{ needs.before.outputs.v }}}}"}}
          after:
            needs: [c]
            steps: [run: "echo ${{{{ needs.c.outputs.image }}}}"]
        """
    inside = """\
on:
  workflow_call:
    inputs: {version: {type: string}}
    outputs: {image: {value: "i-${{ jobs.build.outputs.name }}"}}
env: {LEVEL: full}
jobs:
  test: {steps: [run: "./t ${{ inputs.version }}"]}
  build:
    needs: test
    outputs: {name: "${{ steps.b.outputs.name }}"}
    steps: [{id: b, run: echo name=2 >> $GITHUB_OUTPUT}]
"""
    found = Import("github", main, {CALLED: inside})
    assert found.remarks == []
    files = {path.removeprefix(".headway/ci-"): yaml.safe_load(text) for path, text in found.texts.items()}
    assert list(files) == ["before.yml", "c-test.yml", "c-build.yml", "after.yml"]
    test, build, after = files["c-test.yml"], files["c-build.yml"], files["after.yml"]
    assert [test["depends_on"], build["depends_on"]] == [["ci-before"], ["ci-c-test", "ci-before"]]
    assert after["depends_on"] == ["ci-c-test", "ci-c-build"]
    assert test["when"] == build["when"] == {"event": ["push"], "branch": "main"}
    assert test["steps"][0]["commands"] == ["./t $(sed -n 's/^v=//p' /headway/src/.outputs/before | tail -n 1)"]
    assert after["steps"][0]["commands"] == ["echo i-$(sed -n 's/^name=//p' /headway/src/.outputs/c-build | tail -n 1)"]
    assert test["steps"][0]["environment"] == {"LEVEL": "full"}
    assert "environment" not in after["steps"][0]


@pytest.mark.parametrize(
    ("given", "declared", "text", "made"),
    [
        ("with: {level: low}", "level: {type: string, default: high}", "${{ inputs.level }}", "low"),
        ("", "level: {type: string, default: high}", "${{ inputs.level }}", "high"),
        ("", "level: {type: string}", "[${{ inputs.level }}]", "[]"),
        ("with: {Level: low}", "level: {type: string}", "${{ inputs.LEVEL }}", "low"),
        ("with: {n: 3}", "n: {type: number}", "${{ inputs.n }}", "3"),
        ("", "n: {type: number}", "${{ inputs.n }}", "0"),
        ("", "b: {type: boolean}", "${{ inputs.b }}", "false"),
        ("", "", "a${{ inputs.none }}b", "ab"),
        ("", "", "${{ github.workflow }}", "ci.yml"),
        ("with: {a: it's}", "a: {type: string}", "${{ inputs['a'] || 'x' }}", "it's"),
        ("with: {a: ''}", "a: {type: string}", "${{ inputs.a || 'x' }}", "x"),
        ("with: {a: '${{ github.sha }}'}", "a: {type: string}", "${{ inputs.a }}", "${CI_COMMIT_SHA}"),
        (
            "with: {a: 'v{${{ github.sha }}}'}",
            "a: {type: string}",
            "${{ format('{0}', inputs.a) }}",
            "v{${CI_COMMIT_SHA}}",
        ),
        ("with: {a: 'x'}", "a: {type: string}", "${{ format('{0}-{{}}', inputs.a) }}", "x-{}"),
        ("with: {a: 'x'}", "a: {type: string}", "${{ inputs.a &}} ${{ github.sha }}", None),
    ],
)
def test_inputs_are_what_the_caller_gives(given: str, declared: str, text: str, made: str | None) -> None:
    found = called(given, f'jobs: {{t: {{steps: [run: "./t {text}"]}}}}', f"inputs: {{{declared}}}")
    assert found.imported.failed == (made is None)
    if made is not None:
        assert (commands(found), found.remarks) == ([f"./t {made}"], [])


def test_a_condition_on_an_input_is_decided() -> None:
    inside = (
        "jobs: {t: {steps: [{run: ./a, if: inputs.b}, {run: ./b, if: '!inputs.b'}, {run: ./c, if: inputs.b != true}]}}"
    )
    assert commands(called("with: {b: true}", inside, "inputs: {b: {type: boolean}}")) == ["./a"]
    assert commands(called("with: {b: false}", inside, "inputs: {b: {type: boolean}}")) == ["./b", "./c"]


def test_remarks_about_inputs_and_secrets() -> None:
    declared = "inputs: {need: {type: string, required: true}}, secrets: {key: {required: true}}"
    found = called("with: {other: 1}", "jobs: {t: {steps: [run: ls]}}", declared)
    what = f"3 warning: the workflow {CALLED}"
    assert found.remarks == [
        f"{what} needs the secret 'key', which is not given; it is empty",
        f"{what} needs the input 'need', which is not given; it is empty",
        f"{what} has no input 'other'; it is left out",
    ]


@pytest.mark.parametrize(
    ("given", "environment"),
    [
        ("secrets: inherit", {"A": {"from_secret": "key"}, "B": {"from_secret": "none"}}),
        ("secrets: {KEY: '${{ secrets.mine }}'}", {"A": {"from_secret": "mine"}, "B": ""}),
        ("", {"A": "", "B": ""}),
    ],
)
def test_a_called_workflow_has_the_secrets_that_it_is_given(given: str, environment: dict[str, object]) -> None:
    env = 'env: {A: "${{ secrets.Key }}", B: "${{ secrets.none }}"}'
    found = called(given, f"jobs: {{t: {{{env}, steps: [run: ls]}}}}")
    assert found.step["environment"] == environment
    deep = "jobs: {d: {uses: ./.github/workflows/y.yml, secrets: inherit}}"
    found = called(
        given, deep, **{".github/workflows/y.yml": f"on: workflow_call\njobs: {{t: {{{env}, steps: [run: ls]}}}}"}
    )
    assert found.step["environment"] == environment
    token = called(given, 'jobs: {t: {env: {T: "${{ secrets.GITHUB_TOKEN }}"}, steps: [run: ls]}}')
    assert token.step["environment"] == {"T": {"from_secret": "github_token"}}


def test_matrices_of_the_caller_and_of_its_job_are_multiplied() -> None:
    inside = 'jobs: {t: {strategy: {matrix: {py: "${{ fromJSON(inputs.py) }}"}}, steps: [run: "./t ${{ matrix.py }} ${{ inputs.os }}"]}}'  # noqa: E501
    declared = "inputs: {py: {type: string}, os: {type: string}}"
    caller = """strategy: {matrix: {os: [a, b]}}, with: {py: '["3.12", "3.13"]', os: '${{ matrix.os }}'}"""
    found = called(caller, inside, declared)
    assert found.workflow["matrix"] == {"OS": ["a", "b"], "PY": ["3.12", "3.13"]}
    assert commands(found) == ["./t ${PY} ${OS}"]
    found = called("strategy: {matrix: {os: [a, b]}}", "jobs: {t: {steps: [run: ls]}}")
    assert found.workflow["matrix"] == {"OS": ["a", "b"]}
    for own in ("{os: [c]}", "{py: [1], include: [{py: 2}]}", "'${{ fromJSON(github.sha) }}'"):
        found = called(
            "strategy: {matrix: {os: [a]}}", f"jobs: {{t: {{strategy: {{matrix: {own}}}, steps: [run: ls]}}}}"
        )
        assert "this matrix and that of a job in the called workflow cannot be one" in found.remarks[-1]


def test_a_status_of_the_caller_counts_for_the_first_jobs() -> None:
    jobs = "a: {steps: [run: ls]}, b: {needs: a, steps: [run: ls]}, c: {needs: a, if: failure(), steps: [run: ls]}"
    text = f"on: push\njobs:\n  x: {{steps: [run: ls]}}\n  c: {{needs: x, if: always(), uses: ./{CALLED}}}\n"
    found = Import("github", text, {CALLED: f"on: workflow_call\njobs: {{{jobs}}}"})
    files = {path.removeprefix(".headway/ci-"): yaml.safe_load(each) for path, each in found.texts.items()}
    assert files["c-a.yml"]["when"]["status"] == ["success", "failure"]
    assert "status" not in files["c-b.yml"]["when"]
    assert files["c-b.yml"]["depends_on"] == ["ci-c-a"]
    assert files["c-c.yml"]["when"]["status"] == ["failure"]


def test_names_that_are_taken_get_a_number() -> None:
    jobs = f"  c-t: {{steps: [run: ls]}}\n  c: {{uses: ./{CALLED}}}\n  d: {{needs: c, steps: [run: ls]}}\n"
    found = Import("github", f"on: push\njobs:\n{jobs}", {CALLED: "on: workflow_call\njobs: {t: {steps: [run: pwd]}}"})
    assert list(found.texts) == [".headway/ci-c-t.yml", ".headway/ci-c-t-2.yml", ".headway/ci-d.yml"]
    assert "depends_on: [ci-c-t-2]" in found.texts[".headway/ci-d.yml"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, f"the workflow ./{CALLED} is not here: the file '{CALLED}' cannot be read; it is left out; {SAYS}"),
        ({CALLED: "on: push\njobs: {}"}, f"the workflow ./{CALLED} has no 'workflow_call' in its 'on'; it is left out"),
        ({CALLED: "[a]"}, f"'{CALLED}' is no map; it is left out; {SAYS}"),
        (
            {CALLED: f"on: workflow_call\njobs: {{d: {{uses: ./{CALLED}}}}}"},
            f"the workflow ./{CALLED} calls itself: {CALLED} calls {CALLED}; it is left out; {SAYS}",
        ),
    ],
)
def test_calls_that_are_left_out(files: dict[str, str], why: str) -> None:
    found = Import("github", f"on: push\njobs:\n  c: {{uses: ./{CALLED}}}\n  t: {{steps: [run: ls]}}\n", files)
    (remark,) = found.remarks
    assert remark.partition("error: ")[2] == why
    assert list(found.texts) == [".headway/ci.yml"]


def test_a_workflow_outside_of_the_repository_is_left_out() -> None:
    other = "o/r/.github/workflows/x.yml@v1"
    jobs = f"  a: {{uses: {other}}}\n" + "  b: {uses: ./../x.yml}\n  t: {steps: [run: ls]}\n"
    found = Import("github", f"on: push\njobs:\n{jobs}", {"../x.yml": "on: workflow_call\njobs: {}"})
    assert found.remarks == [
        f"3 error: job 'a' calls the workflow {other} of another repository; it is left out; {SAYS}",
        f"4 error: the workflow ./../x.yml is not in this repository; it is left out; {SAYS}",
    ]


def test_a_mistake_in_a_called_file_has_its_place() -> None:
    found = called("", "jobs: {t: {steps: [run: ls], what: 1}}")
    (remark,) = found.imported.remarks
    assert (remark.file, remark.line) == (CALLED, 2)
    assert f"# look (line 2 of {CALLED}): 'what' of job 'c-t'" in next(iter(found.texts.values()))
    assert called("", "jobs: {").imported.remarks[-1].file == CALLED


def test_a_workflow_that_is_only_called_is_no_mistake() -> None:
    found = Import("github", "on: {workflow_call: {}}\njobs: {t: {steps: [run: ls]}}")
    assert found.remarks == ["1 hint: 'workflow_call' is left out: the workflows that call this one get its jobs"]
    assert not found.imported.failed


def test_a_value_that_cannot_be_read_has_a_remark() -> None:
    found = called("", 'jobs: {t: {steps: [{run: ls, if: "inputs.a == &"}]}}', "inputs: {a: }")
    assert found.imported.failed
    inside = 'jobs: {t: {steps: [run: "./t ${{ inputs.a }} ${{ & }}"]}}'
    assert called("with: {a: x}", inside, "inputs: {a: }").imported.failed
    inside = "jobs: {t: {steps: [run: \"./t ${{ inputs.a || 'x' }}\"]}}"
    (remark,) = called("with: {a: '${{ & }}'}", inside, "inputs: {a: }").remarks
    assert remark == f"3 error: the input 'a' of the workflow {CALLED} has &, which is not known here"
    inside = 'jobs: {t: {steps: ["${{ inputs.a }}", run: ls]}, u: "${{ inputs.a }}"}'
    assert "a map is wanted at job 'c-u'" in " ".join(called("with: {a: x}", inside, "inputs: {a: }").remarks)


def test_a_secret_that_need_not_be_given_or_is_given_has_no_remark() -> None:
    declared = "secrets: {a: {required: true}, b: {required: false}, c: {}}"
    found = called("secrets: {a: '${{ secrets.x }}'}", "jobs: {t: {steps: [run: ls]}}", declared)
    assert not [remark for remark in found.remarks if "secret" in str(remark)]


@pytest.mark.parametrize(
    ("given", "own"),
    [("{fail-fast: false}", "{matrix: {v: [1, 2]}}"), ("{matrix: {v: [1, 2]}}", "{fail-fast: false}")],
)
def test_a_strategy_without_a_matrix_leaves_the_other_one(given: str, own: str) -> None:
    found = called(f"strategy: {given}", f"jobs: {{t: {{strategy: {own}, steps: [run: ls]}}}}")
    assert found.workflow["matrix"] == {"V": ["1", "2"]}
