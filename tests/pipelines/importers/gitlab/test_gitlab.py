"""Files of GitLab CI: one small file for each feature."""

import json

import pytest
import yaml

from tests.support.imports import Import

BASE = {"event": ["push", "tag", "cron", "manual"]}
BRANCH = '(CI_PIPELINE_EVENT == "pull_request" ? "" : CI_COMMIT_BRANCH)'
REF = f'(CI_COMMIT_TAG != "" ? CI_COMMIT_TAG : {BRANCH})'


def imported(text: str, **includes: str) -> Import:
    return Import("gitlab", text, {name.replace("__", ".").replace("_", "/"): each for name, each in includes.items()})


def of_job(more: str, top: str = "") -> Import:
    return imported(f"{top}\nt:\n  image: alpine\n  script: [ls]\n  {more}\n")


def test_a_file_becomes_one_workflow_in_the_order_of_its_stages() -> None:
    found = imported(
        """\
        stages: [check, deploy]
        default:
          image: python:3.13
          before_script: [pip install .]
        variables: {LEVEL: full, TOKEN: $API_TOKEN, TAG: "v$CI_PIPELINE_IID-$LEVEL"}
        deploy:
          stage: deploy
          script: ["./deploy.sh ${CI_COMMIT_SHORT_SHA} $CI_COMMIT_SHA"]
          needs: [{job: test}, lint]
        test:
          stage: check
          script:
          - pytest
          after_script: [rm -rf tmp]
        lint: {stage: check, script: ruff check, before_script: [], image: {name: ruff, entrypoint: [""]}}
        .hidden: {script: [ls]}
        """
    )
    assert found.remarks == []
    assert (
        found.text
        == """\
# Jobs of one stage run one after the other here: they share the checkout.

when:
  event: [push, tag, cron, manual]

steps:
  - name: test
    image: python:3.13
    commands:
      - |-
        after_script() {
          set +e
          rm -rf tmp
        }
        trap after_script EXIT
      - pip install .
      - pytest
    environment:
      LEVEL: full
      TOKEN:
        from_secret: api_token
      TAG: v${CI_PIPELINE_NUMBER}-full
  - name: lint
    image: ruff
    commands:
      - ruff check
    environment:
      LEVEL: full
      TOKEN:
        from_secret: api_token
      TAG: v${CI_PIPELINE_NUMBER}-full
  - name: deploy
    image: python:3.13
    commands:
      - pip install .
      - ./deploy.sh $${CI_COMMIT_SHORT_SHA} $CI_COMMIT_SHA
    environment:
      LEVEL: full
      TOKEN:
        from_secret: api_token
      TAG: v${CI_PIPELINE_NUMBER}-full
      CI_COMMIT_SHORT_SHA: ${CI_COMMIT_SHA:0:8}
"""
    )


@pytest.mark.parametrize(
    ("more", "when"),
    [
        ("rules: [{if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH}]",
         {"event": ["push", "cron", "manual"], "branch": ["${CI_REPO_DEFAULT_BRANCH}"]}),
        ("rules: [{if: '$CI_PIPELINE_SOURCE == \"merge_request_event\"'}]", {"event": ["pull_request"]}),
        ("rules: [{if: $CI_COMMIT_TAG}]", {"event": ["tag"]}),
        ("rules: [{if: $CI_COMMIT_BRANCH}]", {"event": ["push", "cron", "manual"]}),
        ("rules: [{if: $CI_MERGE_REQUEST_ID}, {if: $CI_COMMIT_TAG, when: always}]",
         [{"event": ["pull_request"]}, {"event": ["tag"], "status": ["success", "failure"]}]),
        ("rules: [{if: '$CI_COMMIT_TAG =~ /^v\\d+\\.[0-9]/i'}]",
         {"evaluate": 'CI_COMMIT_TAG matches "(?i)^v[0-9]+[.][0-9]"'}),
        ("rules: [{if: '$CI_COMMIT_REF_NAME !~ \"/^a/\"'}]", {"evaluate": f'not ({REF} matches "^a")'}),
        ("rules: [{if: '$CI_COMMIT_REF_NAME =~ \"a\\-b\"'}]", {"evaluate": f'{REF} matches "a-b"'}),
        ("rules: [{if: '$CI_PIPELINE_SOURCE != \"push\" && ($X == null || !$CI_COMMIT_TAG)'}]",
         {"evaluate": 'CI_PIPELINE_EVENT not in ["push", "tag"] && ("" == "" || !CI_COMMIT_TAG != "")'}),
        ("rules: [{if: '$CI_PIPELINE_SOURCE == \"bogus\"'}]", {"evaluate": 'CI_PIPELINE_EVENT in ["bogus"]'}),
        ("rules: [{if: '$A == \"x\"'}]\n  variables: {A: y}", {"evaluate": '"y" == "x"'}),
        ("rules: [{if: $CI_COMMIT_TAG, when: never}, {changes: [src/*]}]",
         {"path": ["src/*"], "evaluate": '!(CI_COMMIT_TAG != "")'}),
        ("rules: [{if: $CI_COMMIT_TAG, when: never}, {if: $CI_COMMIT_BRANCH}, {when: never}, {if: $CI_COMMIT_TAG}]",
         {"evaluate": f'!(CI_COMMIT_TAG != "") && ({BRANCH} != "")'}),
        ("rules: [[{changes: {paths: [a]}, when: on_failure}]]", {"path": ["a"], "status": ["failure"]}),
        ("rules: [{when: on_success}]", None),
        ("only: [main, /^release/, tags, branches, merge_requests@a/b, $CI_DEFAULT_BRANCH]",
         [{"event": ["push", "cron", "manual"], "branch": ["main", "${CI_REPO_DEFAULT_BRANCH}"]},
          {"evaluate": f'{REF} matches "^release"'},
          {"event": ["push", "cron", "manual"]},
          {"event": ["tag", "pull_request"]}]),
        ("only: {refs: [schedules], changes: [a], variables: ['$CI_COMMIT_TAG']}",
         {"event": ["cron"], "path": ["a"], "evaluate": '(CI_COMMIT_TAG != "")'}),
        ("only: {variables: [$CI_COMMIT_TAG]}\n  except: [main, tags, branches, /x/]",
         {**BASE, "evaluate": f'((CI_COMMIT_TAG != "")) && !({REF} == "main" || CI_PIPELINE_EVENT in ["tag"] || '
                              f'(CI_COMMIT_TAG == "" && CI_PIPELINE_EVENT != "pull_request") || {REF} matches "x")'}),
        ("when: always", {**BASE, "status": ["success", "failure"]}),
    ],
)  # fmt: skip
def test_conditions(more: str, when: object) -> None:
    found = of_job(more)
    assert [remark for remark in found.remarks if " hint: " not in remark] == []
    assert found.step.get("when", found.workflow.get("when")) == when


def test_rules_of_the_workflow_and_of_jobs() -> None:
    top = "workflow: {name: x, rules: [{if: $CI_COMMIT_TAG}]}"
    found = of_job("rules: [{if: $CI_COMMIT_BRANCH}]", top)
    assert found.workflow["when"] == {"event": ["tag"]}
    assert found.step["when"] == {"event": ["push", "cron", "manual"]}
    assert "when" not in of_job("rules: [{when: on_success}]", "workflow: {rules: [{when: always}]}").workflow


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("allow_failure: true", {"failure": "ignore"}),
        ("rules: [{if: $CI_COMMIT_TAG, allow_failure: true}]", {"failure": "ignore"}),
        ("timeout: 1h 30m", {"timeout": "90m"}),
        ("timeout: 90 seconds", {"timeout": "90s"}),
        ("retry: 2", {"retry": 2}),
        ("retry: 0", {}),
        ("retry: {max: 2}", {"retry": 2}),
        ("retry: {max: 1, when: script_failure}", {"retry": 1}),
        ("cache: {paths: [.npm/, node_modules/]}", {"cache": [".npm", "node_modules"]}),
        ("cache: [{key: $CI_COMMIT_REF_SLUG, paths: [a], policy: pull}]",
         {"cache": [{"key": "${CI_COMMIT_BRANCH@tag}", "paths": ["a"]}]}),
        ("cache: {key: {files: [a.lock, b.lock], prefix: x}, paths: [a]}",
         {"cache": [{"key": "x-checksum(a.lock, b.lock)", "paths": ["a"]}]}),
        ("cache: {key: {prefix: x}, paths: [a], fallback_keys: [b]}", {"cache": [{"key": "x", "paths": ["a"]}]}),
        ("artifacts: {paths: [dist/, ./a, $CI_PROJECT_DIR/b]}", {"artifacts": ["dist/", "a", "b"]}),
        ("artifacts: {paths: [a], exclude: [b], expire_in: 1 week, when: always, name: x}",
         {"artifacts": {"paths": ["a"], "exclude": ["b"], "when": "always", "expire": "7d"}}),
        ("artifacts: {paths: [a], expire_in: 90 min, when: on_success}",
         {"artifacts": {"paths": ["a"], "expire": "1h"}}),
        ("artifacts: {paths: [a], expire_in: never}", {"artifacts": ["a"]}),
        ("artifacts: {reports: {junit: r.xml, coverage_report: {coverage_format: cobertura, path: c.xml}}}",
         {"reports": {"junit": ["r.xml"], "coverage": ["c.xml"]}}),
        ("variables: {A: {value: b, description: c}}", {"environment": {"A": "b"}}),
        ("coverage: /x/\n  tags: [docker]\n  environment: {name: x}", {}),
    ],
)  # fmt: skip
def test_keys_of_a_job(more: str, expected: dict[str, object]) -> None:
    found = of_job(more)
    assert [remark for remark in found.remarks if " hint: " not in remark] == []
    own = {key: value for key, value in found.step.items() if key not in {"name", "image", "commands", "when"}}
    assert own == expected


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ("timeout: soon", "5 warning: 'timeout' of job 't' is no time; it is left out"),
        ("color: red", "5 warning: 'color' of job 't' has no counterpart; it is left out"),
        ("secrets: {a: b}", "5 error: 'secrets' of job 't' has no counterpart; it is left out"),
        ("parallel: 4", "5 warning: job 't' runs once, not 4 times"),
        ("allow_failure: {exit_codes: 3}", "5 warning: 'allow_failure' of job 't' holds for every exit status here"),
        ("when: delayed\n  start_in: 1h", "6 warning: 'start_in' of job 't' has no counterpart; it starts at once"),
        ("stage: odd", "5 warning: there is no stage 'odd'; job 't' comes last"),
        ("artifacts: {untracked: true}",
         "5 warning: 'untracked' of 'artifacts' of job 't' has no counterpart: write 'paths'"),
        ("cache: {paths: ['a/*', b]}", "5 warning: a cache keeps folders, and no pattern such as a/*; it is left out"),
        ("artifacts: {reports: {sast: a}}", "5 hint: the report 'sast' of GitLab has no counterpart; it is left out"),
        ("extends: .gone", "5 error: '.gone', which 't' extends, is not there, or extends too many others"),
        ("rules: [{exists: [a]}]", "5 warning: 'exists' of a rule of job 't' has no counterpart; it counts as true"),
        ("rules: [{if: $CI_COMMIT_TAG, variables: {A: b}}]",
         "5 warning: 'variables' of a rule of job 't' are left out"),
        ("rules: [{if: $CI_COMMIT_TAG, when: manual}, {if: $CI_COMMIT_BRANCH}]",
         "5 warning: some rules of job 't' are manual; here it starts by itself for them too"),
        ("rules: [{changes: [a], when: never}, {if: $CI_COMMIT_TAG}]",
         "5 warning: 'when: never' for changed files of a rule of job 't' is left out"),
        ("rules: [{if: $CI_COMMIT_TAG}, {if: '$A ? b'}]",
         "5 error: the condition $A ? b cannot be taken over, for '? b'; its rule is left out"),
        ("rules: [{if: $CI_COMMIT_TAG}, {if: '$A =='}]",
         "5 error: the condition $A == cannot be taken over, for '=='; its rule is left out"),
        ("rules: [{if: $CI_COMMIT_TAG}, {if: '== $A'}]",
         "5 error: the condition == $A cannot be taken over, for '=='; its rule is left out"),
        ("only: {variables: ['$A ?']}", "5 error: a condition cannot be taken over, for '?'; it is left out"),
        ("variables: {CI_COMMIT_SHA: x}",
         "4 warning: the variable CI_COMMIT_SHA cannot be set here: the server sets it"),
        ("services: ['$CI_OPEN_MERGE_REQUESTS']", "5 error: a service has no image; it is left out"),
        ("only: {kubernetes: active}", "5 warning: 'kubernetes' of job 't' has no counterpart; it is left out"),
        ("except: {variables: [$A]}",
         "5 warning: 'except' of job 't' for anything but branches and tags is left out"),
        ("image: '$NAME'", "3 warning: $NAME is set nowhere in this file; it is empty here; write its value"),
    ],
)  # fmt: skip
def test_what_a_job_cannot_say_has_a_remark(more: str, remark: str) -> None:
    found = of_job(more) if "image" not in more else imported(f"t:\n  script: [ls]\n  {more}\n")
    assert remark in found.remarks


@pytest.mark.parametrize(
    ("line", "environment", "remarks"),
    [
        ("echo $CI_JOB_TOKEN", {"CI_JOB_TOKEN": {"from_secret": "ci_job_token"}},
         ["4 warning: $CI_JOB_TOKEN is taken for a secret; store it: headway secret set ci_job_token"]),
        ("API_KEY=x; echo $API_KEY", None, []),
        ("echo $CI_JOB_STATUS $HOME $CI_COMMIT_TAG", None, []),
        ("echo $CI_SERVER_PORT",
         None, ["4 warning: $CI_SERVER_PORT is not set here; write its value into 'environment'"]),
        ("echo $THING", None, [("4 hint: $THING is set nowhere in this file; "
                                "if it is a variable of the project, write it into 'environment'")]),
        ("echo $CI_REGISTRY", {"CI_REGISTRY": "registry.example.org"},
         ["4 warning: $CI_REGISTRY is registry.example.org here; write the address of your registry"]),
        ("[[ -f a ]]", None, ["4 warning: commands run in sh here, and those of job 't' look like bash; call bash -c"]),
        ("docker ps", None, ["4 warning: job 't' calls docker, which needs an engine; add a service docker:dind"]),
    ],
)  # fmt: skip
def test_what_commands_read_and_call(line: str, environment: object, remarks: list[str]) -> None:
    found = imported(f"t:\n  image: alpine\n\n  script: ['{line}']\n")
    assert found.step.get("environment") == environment
    assert found.remarks == remarks


def test_variables_in_each_other_end_somewhere() -> None:
    found = imported("variables: {A: $B, B: $A$$}\nt: {image: 'a:$A', script: [[ls, [pwd]], '', {a: b}]}\n")
    assert found.step["commands"] == ["ls", "pwd"]
    assert any("set nowhere" in remark for remark in found.remarks)


def test_a_job_that_a_person_starts_has_an_input() -> None:
    found = imported(
        "a: {image: alpine, script: [ls], stage: build}\n"
        "deploy it!: {image: alpine, script: [ls], when: manual, resource_group: production}\n"
        "r: {image: alpine, script: [ls], rules: [{if: $CI_COMMIT_TAG, when: manual}], variables: {A: b}}\n"
    )
    assert list(found.texts) == [".headway/ci.yml", ".headway/deploy-it.yml", ".headway/r.yml"]
    assert """\
when:
  event: [manual]
  evaluate: RUN_DEPLOY_IT == "true"

depends_on:
  - name: ci
    optional: true

concurrency:
  group: production
  limit: 1

inputs:
  RUN_DEPLOY_IT:
    type: boolean
    default: false
    description: Run the job deploy it!
""" in found.texts[".headway/deploy-it.yml"]


def test_what_rules_say_of_branches_counts_for_a_job_that_a_person_starts() -> None:
    found = imported(
        "deploy:\n  image: alpine\n  script: [ls]\n  rules:\n"
        "  - {if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH, when: manual}\n"
        "  - {if: $CI_COMMIT_TITLE =~ /deploy/, when: manual}\n"
        "  - {if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH, when: manual, allow_failure: false}\n"
    )
    when = yaml.safe_load(found.texts[".headway/deploy.yml"])["when"]
    of_branch, of_title = when
    assert of_branch == {
        "event": ["manual"],
        "evaluate": 'RUN_DEPLOY == "true"',
        "branch": ["${CI_REPO_DEFAULT_BRANCH}"],
    }
    assert of_title["evaluate"].startswith('RUN_DEPLOY == "true" && (')
    assert [each.partition(":")[0] for each in found.remarks] == ["2 hint"]


@pytest.mark.parametrize(
    "more",
    ["rules: [{if: $CI_COMMIT_TAG, when: manual}]", "rules: [{changes: [a], when: manual}]",
     "rules: [{if: '$CI_COMMIT_TAG != null && $A', when: manual}]"],
)  # fmt: skip
def test_conditions_that_a_run_by_hand_never_meets_are_left_out_with_a_warning(more: str) -> None:
    found = of_job(more)
    said = "3 warning: job 't' is started by a run by hand with the input RUN_T; its conditions for tags, events and "
    assert [each for each in found.remarks if each.startswith(said)] != []
    assert "event: [manual]" in found.texts[".headway/t.yml"]


def test_a_needed_job_that_is_not_there_is_warned_of() -> None:
    found = imported(
        "t:\n  image: alpine\n  script: [ls]\n  needs:\n  - gone\n  - {job: away}\n  - {job: perhaps, optional: true}\n"
    )
    assert found.remarks == [
        f"{line} warning: job 't' needs '{name}', which is no job of this file; it does not wait"
        for line, name in ((5, "gone"), (6, "away"))
    ]


def test_jobs_that_no_longer_wait_for_a_matrix_are_warned_of() -> None:
    found = imported(
        "stages: [a, b, c]\n"
        "x: {stage: a, image: alpine, script: [ls]}\n"
        "y: {stage: b, image: alpine, script: [ls], parallel: {matrix: [{A: [1, 2]}]}}\n"
        "z: {stage: c, image: alpine, script: [ls]}\n"
    )
    assert found.remarks == ["3 warning: job 'y' has a workflow of its own; here 'z' do not wait for it"]


def test_a_matrix_is_a_workflow() -> None:
    found = imported(
        "a:\n  stage: build\n  image: python:$PY\n  script: [ls $PY]\n"
        "  parallel: {matrix: [{PY: ['3.12', '3.13'], OS: linux}]}\n"
        "z: {image: alpine, script: [ls], stage: deploy}\n"
    )
    assert "depends_on: [a]" in found.texts[".headway/ci.yml"]
    assert "    - PY: '3.12'\n      OS: linux\n    - PY: '3.13'\n" in found.texts[".headway/a.yml"]
    assert "image: python:${PY}" in found.texts[".headway/a.yml"]
    assert found.remarks == []


@pytest.mark.parametrize(("count", "failed"), [(256, False), (257, True)])
def test_a_matrix_at_the_limit_and_past_it(count: int, failed: bool) -> None:
    found = imported(f"a:\n  image: alpine\n  script: [ls]\n  parallel: {{matrix: [{{A: {list(range(count))}}}]}}\n")
    assert found.imported.failed is failed


def test_services_are_those_of_the_workflow_with_what_they_read() -> None:
    found = imported(
        """\
        variables: {POSTGRES_DB: a, OTHER: b}
        services: [postgres:17, {name: example.org/own/thing:1, alias: "x y", command: [serve]}, redis, '$GONE']
        a: {image: alpine, script: [ls]}
        b: {image: alpine, script: [ls], services: [{name: postgres:16, alias: postgres, variables: {POSTGRES_DB: c}}]}
        c: {image: alpine, script: [ls], services: [{name: minio/minio, entrypoint: [m], command: [s]}]}
        """
    )
    assert (
        "  - name: postgres\n    image: postgres:17\n    environment:\n      POSTGRES_DB: a\n  - name: x\n"
        in (found.texts[".headway/ci.yml"])
    )
    assert "image: postgres:16\n    environment:\n      POSTGRES_DB: c\n" in found.texts[".headway/b.yml"]
    assert "  - name: minio-minio\n    image: minio/minio\n    entrypoint: [m, s]\n" in found.texts[".headway/ci.yml"]
    assert any("arguments that only the image knows" in remark for remark in found.remarks)


@pytest.mark.parametrize("text", ["$A == 'a\\\\b'", '$A =~ /\\"/'])
def test_texts_that_an_expression_cannot_have(text: str) -> None:
    found = of_job(f"rules: [{{if: $CI_COMMIT_TAG}}, {{if: {json.dumps(text)}}}]")
    assert f"5 error: the condition {text} cannot be taken over" in found.remarks[0]


def test_a_name_that_no_branch_has_excludes_nothing() -> None:
    found = of_job("except: ['a\"b']")
    assert found.workflow["when"]["evaluate"] == "!(false)"


def test_services_may_have_names_of_variables() -> None:
    found = of_job("services: ['$CI_REGISTRY_IMAGE', 'a/$CI_COMMIT_SHA']")
    assert len(found.workflow["services"]) == 2


def test_the_checkout() -> None:
    found = of_job("", "variables: {GIT_DEPTH: '9', GIT_SUBMODULE_STRATEGY: recursive}")
    assert found.workflow["clone"] == {"git": {"settings": {"depth": 9, "recursive": True}}}
    assert imported("a: {image: alpine, script: [git log]}").workflow["clone"] == {
        "git": {"settings": {"depth": 0, "tags": True}}
    }


def test_includes_extends_and_references() -> None:
    found = imported(
        """\
        include:
        - local: /ci/base.yml
        - ci/base.yml
        - {template: Security/SAST.gitlab-ci.yml}
        - https://example.org/x.yml
        - gone.yml
        t:
          extends: [.a, .b]
          script:
          - !reference [.a, script]
          - !reference [.gone, script]
          variables: {X: "1"}
        """,
        ci_base__yml=".a: {image: alpine, script: [ls], variables: {Y: '2'}}\n"
        ".b: {stage: build, extends: .c}\n.c: {retry: 1}\n",
    )
    assert found.step["commands"] == ["ls"]
    assert found.step["environment"] == {"Y": "2", "X": "1"}
    assert found.step["retry"] == 1
    assert [remark.partition("; ")[0] for remark in found.remarks] == [
        "4 warning: 'include' of a template of GitLab is left out",
        "5 error: 'include' of a file from the network is left out",
        "6 error: the file 'gone.yml' cannot be read",
        "11 error: !reference [.gone, script] names nothing",
    ]


def test_a_mistake_in_an_included_file_has_its_place() -> None:
    found = Import("gitlab", "include: a.yml\nt: {image: alpine, script: [ls]}", {"a.yml": "x: ["})
    assert found.imported.remarks[0].file == "a.yml"
    found = Import("gitlab", "include: a.yml\nt: {image: alpine, script: [ls]}", {"a.yml": "\x01"})
    assert found.imported.remarks[0].file == "a.yml"
    assert Import("gitlab", "include: a.yml\nt: {image: alpine, script: [ls]}", {"a.yml": "spec: {}"}).remarks == []


def test_circles_end() -> None:
    found = Import("gitlab", "include: a.yml\nt: {image: alpine, script: [ls]}", {"a.yml": "include: a.yml"})
    assert "more than 50 files are included" in found.remarks[0]
    found = imported("a: {extends: a, image: alpine, script: [ls]}")
    assert "extends too many others" in found.remarks[0]
    found = imported("a: {image: alpine, script: [ls, !reference [a, script]]}")
    assert any("too many '!reference'" in remark for remark in found.remarks)
    found = imported("a: {image: alpine, needs: [b], script: [ls]}\nb: {image: alpine, needs: [a, c], script: [ls]}")
    assert [step["name"] for step in found.workflow["steps"]] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("stages: [a]", "1 error: this is no file of GitLab CI: it has no job"),
        ("- a", "1 error: this is no file of GitLab CI: it has no job"),
        ("a: b: c", "1 error: this is not YAML"),
        ("a: {trigger: x}", "1 error: job 'a' starts another pipeline; it is left out"),
        ("a: {script: [ls], when: never}", "1 error: no job of this file can run here"),
    ],
)
def test_files_without_a_job(text: str, remark: str) -> None:
    found = imported(text)
    assert any(each.startswith(remark) for each in found.remarks)
    assert found.texts == {}


def test_a_job_without_image_or_script() -> None:
    found = imported("a: {stage: test}")
    assert found.step["image"] == "ruby:3.1"
    assert [remark.partition(";")[0] for remark in found.remarks] == [
        "1 error: job 'a' has no script",
        "1 warning: job 'a' has no image",
    ]
