# ruff: noqa: ISC004 - commands that are longer than a line
"""Scripts of GitHub Actions: what runs of one job set for each other, their shells, and expressions in them."""

import pytest

from tests.pipelines.importers.github.test_github import of_job, of_steps


def commands(steps: str, more: str = "", top: str = "on: [push, pull_request]") -> list[str]:
    return list(of_steps(steps, more, top).step["commands"])


def of_text(text: str, more: str = "") -> str:
    """The only command of a job with a script of this text."""
    (command,) = commands(f"- run: {text}", more)
    return str(command)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("sudo apt-get install x && sudo -E make", "apt-get install x && make"),
        ("ls | sudo tee x; pseudo sudo x", "ls | tee x; pseudo sudo x"),
        ("echo ${HOME} $HOME", "echo ${HOME} $HOME"),
        ("echo ${{ 'it''s' }} ${{ 3 }} ${{ null }}", "echo it's 3 "),
        (
            "echo ${{ github.sha }} ${{ github.ref_name }}",
            "echo ${CI_COMMIT_SHA} ${CI_COMMIT_TAG:-${CI_COMMIT_BRANCH}}",
        ),
        ("echo ${{ env.A }} ${{ runner.os }} ${{ github.workspace }}", "echo ${A} Linux /headway/src"),
        ("echo ${{ github.event.repository['name'] }} ${{ github.run_attempt }}", "echo ${CI_REPO_NAME} 1"),
        ("echo ${{ format('{0}-{1}-{2}', github.sha, 'a') }}", "echo ${CI_COMMIT_SHA}-a-"),
        ("echo ${{ steps.no.outputs.x }}.", "echo ."),
        (
            "echo ${{ github.actor == 'a' && 'b$' || github.sha }}",
            'echo $(if [ "${CI_PIPELINE_AUTHOR}" = "a" ]; then printf %s "b\\$"; else printf %s "${CI_COMMIT_SHA}"; fi)',  # noqa: E501 - one command
        ),
        (
            "echo ${{ github.head_ref || github.sha }}",
            'echo $(if [ -n "${CI_COMMIT_SOURCE_BRANCH}" ] && [ "${CI_COMMIT_SOURCE_BRANCH}" != false ]; '
            'then printf %s "${CI_COMMIT_SOURCE_BRANCH}"; else printf %s "${CI_COMMIT_SHA}"; fi)',
        ),
        (
            "echo ${{ !github.head_ref && github.event_name == 'push' }}",
            'echo $(if ! { [ -n "${CI_COMMIT_SOURCE_BRANCH}" ] && [ "${CI_COMMIT_SOURCE_BRANCH}" != false ]; }; then '
            'printf %s "$(if case "$CI_PIPELINE_EVENT" in push|tag) true ;; *) false ;; esac; then printf %s "true"; '
            'else printf %s "false"; fi)"; else printf %s "$(if ! { [ -n "${CI_COMMIT_SOURCE_BRANCH}" ] && '
            '[ "${CI_COMMIT_SOURCE_BRANCH}" != false ]; }; then printf %s "true"; else printf %s "false"; fi)"; fi)',
        ),
        (
            "echo ${{ github.event_name != 'none' }}",
            'echo $(if case "$CI_PIPELINE_EVENT" in -) false ;; *) true ;; esac; then printf %s "true"; '
            'else printf %s "false"; fi)',
        ),
    ],
)
def test_a_script_means_the_same(text: str, command: str) -> None:
    found = of_text(f"|\n    {text}", "env: {A: x}")
    assert found.replace("$${", "${") == command


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("echo ${{ toJSON(github) }}", "an expression has tojson(), which has no counterpart; it is left out"),
        ("echo ${{ github.x }}", "an expression has github.x, which has no counterpart; it is left out"),
        ("echo ${{ a b }}", "an expression has b, which is not known here; it stays as it is"),
        ("echo $GITHUB_API_URL", "$GITHUB_API_URL is not set here; write its value into 'environment'"),
        (
            "echo ${{ github.token }} ${{ secrets.GITHUB_TOKEN }}",
            "GITHUB_TOKEN is made for each run there; here it is the secret github_token; "
            "store a token of your own, or leave out what needs it",
        ),
    ],
)
def test_what_a_script_cannot_have(text: str, remark: str) -> None:
    found = of_steps(f"- run: {text}")
    assert [each.partition(": ")[2] for each in found.remarks] == [remark]


def test_variables_of_github_that_a_script_reads() -> None:
    found = of_steps("- run: echo $GITHUB_SHA ${GITHUB_REF_NAME} $RUNNER_TEMP $GITHUB_WORKSPACE $GITHUB_STEP_SUMMARY")
    assert found.step["environment"] == {
        "GITHUB_SHA": "${CI_COMMIT_SHA}",
        "GITHUB_REF_NAME": "${CI_COMMIT_TAG:-${CI_COMMIT_BRANCH}}",
        "RUNNER_TEMP": "/tmp",
        "GITHUB_WORKSPACE": "/headway/src",
        "GITHUB_STEP_SUMMARY": "/dev/stdout",
    }


def test_secrets_and_variables_of_the_repository() -> None:
    found = of_steps(
        "- run: ./t ${{ secrets.KEY }} ${{ vars.LEVEL }}\n  env: {URL: 'x:${{ secrets.PW }}', A: '${{ secrets.B }}'}"
    )
    assert found.step["commands"] == ['export URL="x:$${PW}"', "./t $${KEY} $${LEVEL}"]
    assert found.step["environment"] == {
        "A": {"from_secret": "b"},
        "KEY": {"from_secret": "key"},
        "LEVEL": {"from_secret": "level"},
        "PW": {"from_secret": "pw"},
    }


def test_a_run_with_secrets_that_not_every_event_has_is_a_step_of_its_own() -> None:
    found = of_steps(
        """\
- run: pip install twine
- name: Upload ${{ github.sha }}
  if: github.event_name == 'push'
  run: twine upload
  env: {TOKEN: "${{ secrets.TOKEN }}", MODE: full}
  working-directory: dist
  timeout-minutes: 3
  continue-on-error: true
- if: never(
  run: echo ${{ secrets.A }}
- if: always()
  run: echo end
- if: always()
  run: echo more""",
        top="on: [push, pull_request]",
    )
    first, second, third, fourth = found.workflow["steps"]
    assert first == {"name": "t", "image": "python:3", "commands": ["pip install twine"]}
    assert second == {
        "name": "upload", "image": "python:3", "commands": ["twine upload"],
        "environment": {"TOKEN": {"from_secret": "token"}, "MODE": "full"}, "directory": "dist",
        "when": {"event": ["push", "tag"]}, "failure": "ignore", "timeout": "3m",
    }  # fmt: skip
    assert third["commands"] == ["echo $${A}"]
    assert fourth == {
        "name": "t-3", "image": "python:3", "commands": ["echo end", "echo more"],
        "when": {"status": ["success", "failure"]},
    }  # fmt: skip
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "the commands of job 't' are in 4 containers: what one installs the others do not have",
        "the condition of a step cannot be taken over, for 'the end of the expression'; it is left out",
    ]


def test_conditions_of_runs_that_share_a_container() -> None:
    found = of_steps(
        """\
- run: echo first
- if: github.event_name == 'push'
  run: echo push
- if: github.event_name != 'release'
  run: echo always
- if: github.event_name == 'release'
  run: echo never
- if: contains(github.head_ref, 'a') || startsWith(github.head_ref, 'b') || endsWith(github.head_ref, 'c')
  run: echo some
- if: github.run_number > 3 && github.run_number < 5
  run: echo four
- if: github.run_number > '3.5'
  run: echo x
- if: fromJSON(github.sha)
  run: echo y
- if: env.A && 'x'
  run: echo z""",
        top="on: [push, pull_request]",
    )
    found_commands = found.step["commands"]
    assert found_commands[:4] == [
        "echo first",
        'if case "$CI_PIPELINE_EVENT" in push|tag) true ;; *) false ;; esac; then\necho push\nfi',
        "echo always",
        'if { { case "${CI_COMMIT_SOURCE_BRANCH}" in *"a"*) true ;; *) false ;; esac; } || '
        '{ case "${CI_COMMIT_SOURCE_BRANCH}" in "b"*) true ;; *) false ;; esac; }; } || '
        '{ case "${CI_COMMIT_SOURCE_BRANCH}" in *"c") true ;; *) false ;; esac; }; then\necho some\nfi',
    ]
    assert found_commands[4:] == [
        'if { [ "${CI_PIPELINE_NUMBER}" -gt "3" ]; } && { [ "${CI_PIPELINE_NUMBER}" -lt "5" ]; }; then\necho four\nfi',
        "echo x",
        "echo y",
        'if { [ -n "$${A}" ] && [ "$${A}" != false ]; } && { true; }; then\necho z\nfi',
    ]
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "the condition github.event_name == 'release' never holds here; its step is left out",
        "the condition github.run_number > '3.5' cannot be taken over, for 'the number 3.5'; it is left out",
        "the condition fromJSON(github.sha) cannot be taken over, for 'fromjson()'; it is left out",
    ]


def test_runs_that_would_change_the_next_one_have_a_shell_of_their_own() -> None:
    found = commands(
        """\
- run: echo first
- run: cd web && ls
- run: ls
  working-directory: a b
- run: ls $B
  env: {B: 'x "y" $z', C: "${{ github.sha }}", D: "${{ env.D }}"}
- run: |
    cat <<END
    x
    END
    exit 0
- run: make
  continue-on-error: true
- run: import os
  shell: python
  env: {B: c}
- run: print "a"
  shell: perl {0}
- run: a=(1 2)
- run: echo a
  shell: bash
- run: ls | cat
  shell: bash
- run: ls
  shell: fish"""
    )
    assert found == [
        "echo first",
        "sh -e /dev/fd/3 3<<'END'\ncd web && ls\nEND",
        "sh -e /dev/fd/3 3<<'END'\ncd \"a b\"\nls\nEND",
        'sh -e /dev/fd/3 3<<\'END\'\nexport B="x \\"y\\" \\$z"\nexport C="${CI_COMMIT_SHA}"\nls $B\nEND',
        "sh -e /dev/fd/3 3<<'END_'\ncat <<END\nx\nEND\nexit 0\nEND_",
        "sh -e /dev/fd/3 3<<'END' || true\nmake\nEND",
        "(\nexport B=\"c\"\npython3 /dev/fd/3 3<<'END'\nimport os\nEND\n)",
        "perl /dev/fd/3 3<<'END'\nprint \"a\"\nEND",
        "bash -e /dev/fd/3 3<<'END'\na=(1 2)\nEND",
        "echo a",
        "bash -eo pipefail /dev/fd/3 3<<'END'\nls | cat\nEND",
        "fish /dev/fd/3 3<<'END'\nls\nEND",
    ]


def test_shells_that_images_do_not_have() -> None:
    found = of_steps("- run: dir\n  shell: pwsh")
    assert found.remarks == ["6 error: the shell 'pwsh' is not in images of Linux; sh runs these commands"]


def test_files_that_runs_leave_for_later_ones() -> None:
    found = of_steps(
        """\
- id: v
  run: |
    echo "::set-output name=tag::1"
    echo A=b >> $GITHUB_ENV
- run: echo /x >> $GITHUB_PATH
- if: always()
  run: echo ${{ steps.v.outputs.tag }}"""
    )
    first, second = found.workflow["steps"]
    load = (
        'if [ -f /headway/github.env ]; then while IFS= read -r line; do export "$line"; done < /headway/github.env; fi'
    )
    paths = load.replace("github.env", "github.path").replace('export "$line"', 'PATH="$line:$PATH"')
    assert first["commands"] == [
        "sh -e /dev/fd/3 3<<'END'\nexport GITHUB_OUTPUT=/headway/v.outputs\nexport GITHUB_ENV=/headway/github.env\n"
        'echo "tag=1" >> "$GITHUB_OUTPUT"\necho A=b >> $GITHUB_ENV\nEND',
        load,
        "sh -e /dev/fd/3 3<<'END'\nexport GITHUB_PATH=/headway/github.path\necho /x >> $GITHUB_PATH\nEND",
        paths,
    ]
    assert second["commands"] == [load, paths, "echo $(sed -n 's/^tag=//p' /headway/v.outputs | tail -n 1)"]


def test_nothing_is_left_where_no_run_of_a_step_ever_holds() -> None:
    found = of_steps("- run: a\n  if: false\n- run: b\n  if: false")
    assert found.step["commands"] == ["true"]


def test_a_step_that_never_holds_alone() -> None:
    found = of_steps("- run: a\n  if: github.event_name == 'release'")
    assert found.step["when"] == {"evaluate": "false"}


def test_values_of_the_file_in_values_of_the_file() -> None:
    found = of_job(
        """\
env: {A: "x-${{ env.B }}", B: "${{ env.C || 'c' }}", C: "${{ github.sha }}", LOOP: "${{ env.LOOP }}", P: "${{ a b }}"}
container: "${{ env.A }}"
steps: [run: ls]"""
    )
    assert found.step["image"] == "x-${CI_COMMIT_SHA:-c}"
    assert found.step["environment"]["A"] == "x-${CI_COMMIT_SHA:-c}"
    assert found.step["commands"][0] == 'export LOOP="$${LOOP}"'
    assert "P" not in found.step["environment"]


def test_outputs_are_not_values_of_the_file() -> None:
    found = of_job("container: 'a:${{ steps.s.outputs.v }}${{ !github.sha }}'\nsteps:\n- {run: ls, id: s}")
    assert [each.partition(": ")[2] for each in found.remarks] == [
        "an expression has the output v, which has no counterpart; it is left out",
        "an expression has a negation, which has no counterpart; it is left out",
    ]
