"""Workflows of GitHub Actions: whole files, jobs, their triggers, steps and scripts."""

import pytest

from tests.support.imports import Import

TOP = "on: push\njobs:\n  t:\n    runs-on: ubuntu-latest\n"


def imported(text: str) -> Import:
    return Import("github", text)


def of_job(more: str, top: str = "on: push") -> Import:
    """A file of one job with these keys, indented by four."""
    lines = "\n".join(f"    {line}" for line in more.strip("\n").split("\n"))
    return imported(f"{top}\njobs:\n  t:\n    runs-on: ubuntu-latest\n{lines}\n")


def of_steps(steps: str, more: str = "", top: str = "on: push") -> Import:
    """A file of one job with these steps."""
    return of_job(f"{more}\nsteps:\n{steps.strip(chr(10))}", top)


def test_a_job_becomes_a_workflow_and_its_runs_one_step() -> None:
    found = imported(
        """\
        name: CI
        on:
          push: {branches: [main]}
          pull_request:
        env: {LEVEL: full}
        jobs:
          lint:
            runs-on: ubuntu-latest
            steps:
            - uses: actions/checkout@v4
            - uses: actions/setup-python@v5
              with: {python-version: "3.13", cache: pip}
            - run: pip install ruff
            - name: Check
              run: ruff check
          deploy:
            needs: lint
            runs-on: ubuntu-latest
            if: github.event_name == 'push' && github.ref == 'refs/heads/main'
            timeout-minutes: 5
            steps:
            - uses: actions/checkout@v4
              with: {fetch-depth: 0}
            - run: ./deploy.sh ${{ github.sha }}
              env: {TOKEN: "${{ secrets.TOKEN }}"}
        """
    )
    assert found.remarks == []
    assert (
        found.texts[".headway/ci-lint.yml"]
        == """\
# Imported from .github/workflows/ci.yml.

when:
  - event: [push]
    branch: [main]
  - event: [pull_request]

steps:
  - name: lint
    image: python:3.13
    commands:
      - pip install ruff
      - |-
        # Check
        ruff check
    environment:
      LEVEL: full
    cache: [pip]
"""
    )
    assert (
        found.texts[".headway/ci-deploy.yml"]
        == """\
# Imported from .github/workflows/ci.yml.

when:
  event: [push]
  branch: [main]

depends_on: [ci-lint]
timeout: 5m

clone:
  git:
    settings:
      depth: 0
      tags: true

steps:
  - name: deploy
    image: buildpack-deps:24.04
    commands:
      - ./deploy.sh ${CI_COMMIT_SHA}
    environment:
      LEVEL: full
      TOKEN:
        from_secret: token
"""
    )


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("on: push\njobs: {}", "this is no workflow of GitHub Actions: it has no jobs"),
        ("- a", "this is no workflow of GitHub Actions: it has no jobs"),
        ("", "this is no workflow of GitHub Actions: it has no jobs"),
        ("on: push\njobs: {a: {runs-on: windows-2022, steps: [run: dir]}}", "no job of this file can run here"),
        ("jobs: {a: {steps: [run: ls]}}", "nothing that starts a run here is in 'on'; no job would run"),
        ("on: workflow_call\njobs: {a: {steps: [run: ls]}}", "the workflows that call this one get its jobs"),
        ("on: [push\njobs: ", "this is not YAML"),
    ],
)
def test_a_file_without_anything_that_can_run(text: str, remark: str) -> None:
    found = imported(text)
    assert found.texts == {}
    assert any(remark in each for each in found.remarks), found.remarks


@pytest.mark.parametrize(
    ("on", "when"),
    [
        ("push", {"event": ["push", "tag"]}),
        ("[push, pull_request]", {"event": ["push", "tag", "pull_request"]}),
        ("{push: {branches: ['**']}}", {"event": ["push"]}),
        (
            "{push: {branches: [main, 'v*', '!v1']}}",
            {"event": ["push"], "branch": {"include": ["main", "v*"], "exclude": ["v1"]}},
        ),
        ("{push: {branches-ignore: [gh-pages]}}", {"event": ["push"], "branch": {"exclude": ["gh-pages"]}}),
        (
            "{push: {tags: ['v*', '!v0*']}}",
            {"event": ["tag"], "ref": {"include": ["refs/tags/v*"], "exclude": ["refs/tags/v0*"]}},
        ),
        ("{push: {tags: ['v[0-9]+.*']}}", {"event": ["tag"], "evaluate": 'CI_COMMIT_TAG matches "^v[0-9]+[.][^/]*$"'}),
        (
            "{push: {branches: ['a+', 'b/**/c', '!d?']}}",
            {
                "event": ["push"],
                "evaluate": '(CI_COMMIT_BRANCH matches "^a+$" || CI_COMMIT_BRANCH matches "^b/(.*/)?c$")'
                ' && not (CI_COMMIT_BRANCH matches "^d?$")',
            },
        ),
        ("{push: {branches-ignore: ['a+']}}", {"event": ["push"], "evaluate": 'not (CI_COMMIT_BRANCH matches "^a+$")'}),
        (
            "{push: {branches: [main], tags: ['v*'], paths: ['src/**', '!src/a']}}",
            [
                {"event": ["push"], "branch": ["main"], "path": {"include": ["src/**"], "exclude": ["src/a"]}},
                {"event": ["tag"], "ref": ["refs/tags/v*"]},
            ],
        ),
        (
            "{pull_request: {branches: [main], paths: [a]}}",
            {"event": ["pull_request"], "branch": ["main"], "path": ["a"]},
        ),
        ("{pull_request: {types: [closed]}}", {"event": ["pull_request_closed"]}),
        ("{pull_request: {types: [opened, labeled]}}", {"event": ["pull_request", "pull_request_metadata"]}),
        (
            "{workflow_dispatch: , release: {types: [published]}, merge_group: , workflow_call: }",
            {"event": ["manual", "release"]},
        ),
    ],
)
def test_what_starts_a_workflow(on: str, when: object) -> None:
    found = of_steps("- run: ls", top=f"on: {on}")
    assert found.workflow["when"] == when
    assert not found.imported.failed


def test_events_without_a_counterpart_have_a_remark() -> None:
    found = of_steps(
        "- run: ls", top="on: {push: {x: 1}, issues: , schedule: [{cron: '1 2 * * *'}, a], pull_request_target: }"
    )
    assert found.remarks == [
        "1 warning: 'x' of 'push' has no counterpart; it is left out",
        "1 error: the event 'issues' starts no run here; it is left out",
        "1 warning: the times of 'schedule' are not in the file here; headway cron add NAME schedule \"1 2 * * *\"",
        "1 warning: the times of 'schedule' are not in the file here; headway cron add NAME schedule \"\"",
        "1 warning: here runs of forks get no secrets, and run the files of their own commit, unlike 'pull_request_target'",  # noqa: E501 - one remark
    ]
    assert found.workflow["when"] == {"event": ["push", "tag", "cron", "pull_request"]}


def test_inputs_of_a_run_by_hand() -> None:
    found = of_steps(
        "- run: ./t ${{ inputs.level }} ${{ github.event.inputs.dry-run }} ${{ inputs.no }}",
        top="""\
on:
  workflow_dispatch:
    inputs:
      level: {type: choice, options: [a, b], default: a, description: How much, deprecationMessage: x}
      dry-run: {type: boolean, default: false, required: true}
      count: {type: number, default: 3}
      env: {type: environment, required: true}
      text: {default: "${{ github.sha }}"}
      path:
""",
    )
    assert found.workflow["inputs"] == {
        "LEVEL": {"type": "choice", "choices": ["a", "b"], "default": "a", "description": "How much"},
        "DRY_RUN": {"type": "boolean", "default": False},
        "COUNT": {"type": "number", "default": 3},
        "INPUT_ENV": {"required": True},
        "TEXT": {"type": "string"},
        "INPUT_PATH": {"type": "string"},
    }
    assert found.step["commands"] == ["./t $${LEVEL} $${DRY_RUN} "]


@pytest.mark.parametrize(
    ("test", "when"),
    [
        ("${{ github.event_name == 'pull_request' }}", {"event": ["pull_request"]}),
        ("github.event_name != 'pull_request'", {"event": ["push", "tag", "manual"]}),
        ("startsWith(github.ref, 'refs/tags/')", [{"event": ["tag"]}, {"event": ["manual"], "ref": "refs/tags/**"}]),
        ("startsWith(github.ref, 'refs/tags/v')", {"event": ["tag", "manual"], "ref": "refs/tags/v**"}),
        (
            "startsWith(github.ref, 'refs/pull/')",
            [{"event": ["pull_request"]}, {"event": ["manual"], "ref": "refs/pull/**"}],
        ),
        ("github.ref == 'refs/tags/v1'", {"event": ["tag", "manual"], "ref": "refs/tags/v1"}),
        (
            "github.ref == 'refs/heads/main' && github.ref == 'refs/heads/main'",
            {"event": ["push", "manual"], "branch": "main"},
        ),
        (
            "github.ref == 'refs/heads/a' && github.ref == 'refs/heads/b' && github.actor == 'b'",
            {
                "event": ["push", "manual"],
                "branch": "a",
                "evaluate": 'CI_COMMIT_REF == "refs/heads/b" && CI_PIPELINE_AUTHOR == "b"',
            },
        ),
        (
            "github.actor == 'x' || !github.event.pull_request.draft",
            {
                "event": ["push", "tag", "pull_request", "manual"],
                "evaluate": '(CI_PIPELINE_AUTHOR == "x" || !(!(CI_COMMIT_PULL_REQUEST_DRAFT in ["", "false"])))',
            },
        ),
        (
            "contains(github.event.head_commit.message, '[x]') && !startsWith(github.head_ref, 'a')",
            {
                "event": ["push", "tag", "pull_request", "manual"],
                "evaluate": 'CI_COMMIT_MESSAGE contains "[x]" && !(CI_COMMIT_SOURCE_BRANCH startsWith "a")',
            },
        ),
        (
            "endsWith(env.NAME, 'x') && env.NAME == 'lax' || github.run_number > 3",
            {
                "event": ["push", "tag", "pull_request", "manual"],
                "evaluate": '(("lax" endsWith "x" && "lax" == "lax") || CI_PIPELINE_NUMBER > "3")',
            },
        ),
        (
            "contains('abc', 'B') && endsWith('abc', 'c') && !startsWith('abc', 'c')",
            {
                "event": ["push", "tag", "pull_request", "manual"],
            },
        ),
        (
            "contains(github.event.pull_request.labels.*.name, 'x')",
            {
                "event": ["push", "tag", "pull_request", "manual"],
                "evaluate": 'CI_COMMIT_PULL_REQUEST_LABELS contains "x"',
            },
        ),
        (
            "github.actor == 'a' && github.actor == 'a' && (github.actor || 'b')",
            {
                "event": ["push", "tag", "pull_request", "manual"],
                "evaluate": 'CI_PIPELINE_AUTHOR == "a" && (!(CI_PIPELINE_AUTHOR in ["", "false"]) || true)',
            },
        ),
        ("always()", {"event": ["push", "tag", "pull_request", "manual"], "status": ["success", "failure"]}),
        ("failure() && github.event_name == 'push'", {"event": ["push", "tag"], "status": ["failure"]}),
        ("!cancelled()", {"event": ["push", "tag", "pull_request", "manual"], "status": ["success", "failure"]}),
        (
            "!success() || cancelled()",
            {"event": ["push", "tag", "pull_request", "manual"], "status": ["failure", "canceled"]},
        ),
        ("!failure() && !(github.event_name == 'push')", {"event": ["pull_request", "manual"]}),
    ],
)
def test_the_condition_of_a_job(test: str, when: object) -> None:
    found = of_job(
        f'if: "{test}"\nenv: {{NAME: lax}}\nsteps: [run: ls]', top="on: [push, pull_request, workflow_dispatch]"
    )
    assert found.workflow["when"] == when


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("hashFiles('a') != ''", "hashfiles()"),
        ("contains(fromJSON('[1]'), github.ref)", "fromjson()"),
        ("github.event.x == 1", "github.event.x"),
        ("(github.sha == 'a') == 'b'", "'=='"),
        ("(!github.sha) == 'b'", "a negation"),
        ("github.sha == 'a\"b'", 'a"b'),
        ("a ~ b", "~ b"),
        ("a &&", "the end of the expression"),
        ("a == )", ")"),
        ("a.)", ")"),
        ("a[", "the end of the expression"),
        ("a['b'", "the end of the expression"),
        ("a b", "b"),
        ("f(a", "the end of the expression"),
        ("(" * 41 + "a", "more than 40 levels"),
    ],
)
def test_conditions_that_cannot_be_said(test: str, why: str) -> None:
    shown = test.replace('"', '\\"')
    found = of_job(f'if: "{shown}"\nsteps: [run: ls]')
    (remark,) = found.remarks
    assert remark == f"5 error: the condition of job 't' cannot be taken over, for '{why}'; it is left out"
    assert found.workflow["when"] == {"event": ["push", "tag"]}


def test_forty_levels_are_read() -> None:
    found = of_job(f"if: {'(' * 39}github.actor == 'a'{')' * 39}\nsteps: [run: ls]")
    assert found.workflow["when"]["evaluate"] == 'CI_PIPELINE_AUTHOR == "a"'


def test_whether_a_run_is_of_a_tag() -> None:
    assert of_job("if: github.ref_type == 'tag'\nsteps: [run: ls]").workflow["when"] == {"event": ["tag"]}
    found = of_job("if: github.ref_type == 'tag'\nsteps: [run: ls]", "on: workflow_dispatch")
    assert [remark.partition(": ")[0] for remark in found.remarks] == ["5 error"]


def test_a_job_that_never_runs_is_left_out() -> None:
    found = imported(f"{TOP}    steps: [run: ls]\n  u:\n    if: false\n    steps: [run: ls]")
    assert found.remarks == ["7 hint: the condition of job 'u' never holds here; it is left out"]
    assert list(found.texts) == [".headway/ci-t.yml"]


def test_needs_outputs_and_results_of_other_jobs() -> None:
    found = imported(
        """\
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            outputs: {tag: "${{ steps.s.outputs.tag }}"}
            steps:
            - id: s
              run: echo "tag=1" >> $GITHUB_OUTPUT
          b:
            needs: [a, gone]
            runs-on: ubuntu-latest
            if: always()
            steps:
            - run: echo ${{ needs.a.outputs.tag }} ${{ needs.c.outputs.x }} ${{ job.status }}
        """
    )
    a, b = (found.texts[f".headway/ci-{name}.yml"] for name in "ab")
    assert "export GITHUB_OUTPUT=/headway/s.outputs" in a
    assert """echo "tag=$(sed -n 's/^tag=//p' /headway/s.outputs | tail -n 1)" >> $CI_WORKSPACE/.outputs/a""" in a
    assert "- .outputs/a" in a
    assert "- name: ci-a\n    optional: true" in b
    assert "echo $(sed -n 's/^tag=//p' /headway/src/.outputs/a | tail -n 1)  ${CI_PIPELINE_STATUS}" in b
    assert found.remarks == ["14 error: an expression has needs.c.outputs.x, which has no counterpart; it is left out"]


def test_options_of_a_job() -> None:
    found = of_job(
        """\
name: Test
permissions: {contents: read}
environment: production
continue-on-error: true
timeout-minutes: ${{ fromJSON('3') }}
concurrency: {group: "${{github.workflow}}-${{ github.head_ref || github.ref }}-${{github.job}}", cancel-in-progress: 1}
defaults: {run: {working-directory: web, shell: sh}}
strategy: {fail-fast: false, max-parallel: 0, x: 1}
y: 1
steps:
- uses: actions/checkout@v4
- run: ls""",
        top="name: Whole\nrun-name: x\npermissions: read-all\non: push",
    )
    assert found.workflow == {
        "when": {"event": ["push", "tag"]},
        "concurrency": {
            "limit": 1,
            "group": "Whole-${CI_COMMIT_SOURCE_BRANCH:-${CI_COMMIT_REF}}-t-t",
            "cancel": True,
        },
        "steps": [
            {"name": "t", "image": "buildpack-deps:24.04", "commands": ["ls"], "directory": "web", "failure": "ignore"}
        ],
    }
    assert [remark.partition(": ")[2] for remark in found.remarks] == [
        "'permissions' are left out: no token is made for a run",
        "'permissions' of job 't' is left out: no token is made for a run",
        "'environment' of job 't' is left out: secrets are those of the repository",
        "'timeout-minutes' of job 't' is no number; it is left out",
        "'x' of the strategy of job 't' has no counterpart; it is left out",
        "'y' of job 't' has no counterpart; it is left out",
    ]


def test_times_and_failures_that_an_expression_decides() -> None:
    found = of_job(
        """\
timeout-minutes: ${{ matrix.m }}
strategy: {matrix: {m: [5]}}
steps:
- run: ls
  timeout-minutes: 3
- run: make
  continue-on-error: ${{ github.sha }}"""
    )
    assert found.workflow["timeout"] == "5m"
    assert [remark.partition(": ")[2] for remark in found.remarks] == [
        "'timeout-minutes' of a step is left out: write 'timeout' of the whole",
        "'continue-on-error' counts as true here",
    ]


def test_a_step_that_does_nothing() -> None:
    assert of_steps("- name: nothing\n- run: ls").step["commands"] == ["ls"]


def test_groups_of_a_file_are_one_for_each_job_and_a_limit_is_a_number() -> None:
    found = of_job("steps: [run: ls]", top="on: push\nconcurrency: pages")
    assert found.workflow["concurrency"] == {"limit": 1, "group": "pages-t"}
    found = of_job("strategy: {max-parallel: 2}\nsteps: [run: ls]")
    assert found.workflow["concurrency"] == 2


def test_jobs_that_cannot_be_taken_over() -> None:
    found = imported(
        f"{TOP}    steps: [run: ls]\n  u: {{uses: ./.github/workflows/x.yml}}\n  v: {{steps: []}}\n  w: [a]"
    )
    file = ".github/workflows/x.yml"
    why = f"is not here: the file '{file}' cannot be read; it is left out; put what it does into this file"
    assert sorted(found.remarks) == [
        "1 warning: job 'w' has no step here; it is left out",
        f"6 error: the workflow ./{file} {why}",
        "7 warning: job 'v' has no step here; it is left out",
        "8 error: a map is wanted at job 'w', not a list; it is left out",
    ]


def test_a_container_for_a_job() -> None:
    found = of_job("container: 'node:${{ matrix.v }}'\nstrategy: {matrix: {v: [20, 22]}}\nsteps: [run: npm test]")
    assert found.step["image"] == "node:${V}"
    found = of_job(
        """\
container: {image: ghcr.io/a/b:1, env: {A: b}, credentials: {username: a}, volumes: [a]}
steps: [run: npm test]"""
    )
    assert (found.step["image"], found.step["environment"]) == ("ghcr.io/a/b:1", {"A": "b"})
    assert of_job("container: {image: 'a:1'}\nsteps: [run: ls]").step["image"] == "a:1"
    assert [remark.partition(": ")[2] for remark in found.remarks] == [
        "log in once on the server: headway registry login",
        "'volumes' of the container of job 't' has no counterpart; it is left out",
    ]


def test_services_are_reached_by_their_names() -> None:
    found = of_job(
        """\
env: {DB_HOST: localhost, URL: "postgres://u@localhost/x", REDIS_URL: "redis://127.0.0.1:6380/0", OTHER: localhost:9}
services:
  redis: {image: "redis:7", ports: ["6380:6379/tcp"], command: [redis-server, --save, ""]}
  db:
    image: postgres:17
    env: {POSTGRES_PASSWORD: "${{ secrets.PW }}", A: "x-${{ secrets.PW }}"}
    ports: [5432, a]
    options: >-
      --health-cmd "pg_isready -U a" --health-interval 10s --shm-size 1g
    credentials: {username: a}
    x: 1
  mq: {image: "rabbitmq:4", options: --health-cmd=check}
  none: {ports: [1]}
steps:
- run: curl localhost:5432
- run: ls
  env: {HOST: 127.0.0.1}"""
    )
    assert found.workflow["services"] == [
        {"name": "redis", "image": "redis:7", "entrypoint": ["docker-entrypoint.sh", "redis-server", "--save"],
         "ready": {"port": 6379}},
        {"name": "db", "image": "postgres:17", "ready": "pg_isready -U a",
         "environment": {"POSTGRES_PASSWORD": {"from_secret": "pw"}, "A": "x-pw"}},
        {"name": "mq", "image": "rabbitmq:4", "ready": "check"},
    ]  # fmt: skip
    assert found.step["environment"] == {
        "DB_HOST": "db", "URL": "postgres://u@localhost/x", "REDIS_URL": "redis://redis:6379/0", "OTHER": "localhost:9",
    }  # fmt: skip
    assert found.step["commands"] == ["curl db:5432", "sh -e /dev/fd/3 3<<'END'\nexport HOST=\"redis\"\nls\nEND"]
    assert [remark.partition(": ")[2] for remark in found.remarks] == [
        "a secret cannot be a part of this value: the name 'pw' stands in its place; write the value",
        "the options --shm-size 1g of service 'db' are left out",
        "log in once on the server: headway registry login",
        "'x' of service 'db' has no counterpart; it is left out",
        "service 'none' has no image; it is left out",
    ]


def test_the_host_of_an_only_service() -> None:
    found = of_job('env: {URL: "postgres://u@localhost/x"}\nservices: {db: {image: "postgres:17"}}\nsteps: [run: ls]')
    assert found.step["environment"] == {"URL": "postgres://u@db/x"}
