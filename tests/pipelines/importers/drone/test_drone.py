"""Files of Drone, version 1 and 2: one small file for each feature."""

import pytest

from tests.support.imports import Import

STEP = "steps: [{name: t, image: alpine, commands: [ls]}]"


def imported(text: str) -> Import:
    return Import("drone", text)


def of_pipeline(more: str) -> Import:
    return imported(f"kind: pipeline\nname: default\n{more}\n{STEP}\n")


def of_step(more: str) -> Import:
    return imported(f"kind: pipeline\nsteps:\n- name: t\n  image: alpine\n  {more}\n")


def test_a_file_becomes_readable_in_our_order_with_our_names() -> None:
    found = imported(
        """\
        kind: pipeline
        type: docker
        name: default
        steps:
        - name: test
          image: golang:1.25
          environment:
            TOKEN: {from_secret: token}
            VERSION: ${DRONE_TAG##v}
          commands:
          - go test ./...
          - |
            echo $DRONE_COMMIT_SHA $${DRONE_BRANCH}
            echo $$DRONE_BUILD_NUMBER
          when: {event: [push, promote]}
        trigger: {branch: main}
        """
    )
    assert found.remarks == []
    assert list(found.texts) == [".headway/default.yml"]
    assert (
        found.text
        == """\
when:
  branch: [main]

steps:
  - name: test
    image: golang:1.25
    commands:
      - go test ./...
      - |
        echo $CI_COMMIT_SHA $${CI_COMMIT_BRANCH}
        echo $$CI_PIPELINE_NUMBER
    environment:
      TOKEN:
        from_secret: token
      VERSION: ${CI_COMMIT_TAG##v}
    when:
      event: [push, deployment]
"""
    )


def test_documents_become_files_that_wait_for_each_other() -> None:
    found = imported(
        f"kind: pipeline\nname: unit tests\ntrigger: {{event: push}}\n{STEP}\n---\n---\n"
        f"kind: pipeline\nname: Lint\n{STEP}\n---\n"
        f"kind: pipeline\nname: deploy\ndepends_on: [unit tests, Lint, gone]\n{STEP}\n---\n"
        "kind: secret\nname: token\ndata: abc\n---\nkind: signature\nhmac: abc\n---\nkind: template\nload: x\n"
    )
    assert list(found.texts) == [".headway/unit-tests.yml", ".headway/Lint.yml", ".headway/deploy.yml"]
    assert "depends_on:\n  - name: unit-tests\n    optional: true\n  - Lint\n" in found.texts[".headway/deploy.yml"]
    assert found.remarks == [
        "13 warning: there is no pipeline 'gone' to wait for; it is left out",
        "16 warning: the secret 'token' is kept by the server; store it: headway secret set token",
        "20 hint: a signature is not needed here",
        "23 error: a document of kind 'template' is no pipeline; it is left out",
    ]
    assert "# look (line 13): there is no pipeline 'gone'" in found.texts[".headway/deploy.yml"]


def test_pipelines_of_one_name_get_files_of_their_own() -> None:
    found = imported(f"kind: pipeline\n{STEP}\n---\nkind: pipeline\n{STEP}\n---\nkind: pipeline\nname: '...'\n{STEP}")
    assert list(found.texts) == [".headway/default.yml", ".headway/default-2.yml", ".headway/workflow.yml"]


@pytest.mark.parametrize(
    ("trigger", "when"),
    [
        ("{event: {exclude: [pull_request, promote]}}", {"event": ["push", "tag", "cron", "manual"]}),
        ("{event: {include: [push], exclude: [tag]}}", {"event": ["push"]}),
        ("{event: [custom, rollback]}", {"event": ["manual", "deployment"]}),
        ("{branch: {exclude: ['feature/*']}, ref: refs/heads/*, repo: a/b}",
         {"branch": {"exclude": ["feature/*"]}, "ref": ["refs/heads/*"], "repo": ["a/b"]}),
        ("{cron: nightly}", {"cron": ["nightly"], "event": ["cron"]}),
        ("{event: [cron, push], cron: [nightly]}", {"cron": ["nightly"], "event": ["cron", "push"]}),
        ("{status: [success, failure]}", {"status": ["success", "failure"]}),
        ("{status: {exclude: [success]}}", {"status": ["failure"]}),
        ("{status: {include: [killed]}}", {"status": ["canceled"]}),
        ("{paths: {include: [src/**]}}", {"path": {"include": ["src/**"]}}),
        ("{event: pull_request, action: [opened]}", {"event": ["pull_request"]}),
        ("{event: pull_request, action: [closed]}", {"event": ["pull_request_closed"]}),
        ("{event: pull_request, action: [closed, opened]}", {"event": ["pull_request", "pull_request_closed"]}),
        ("{target: {exclude: b}}", {"evaluate": 'not (CI_PIPELINE_DEPLOY_TARGET matches "^(b)$")'}),
        ("{target: production}", {"evaluate": 'CI_PIPELINE_DEPLOY_TARGET matches "^(production)$"'}),
        ("{target: {include: ['p*.x', 'a?'], exclude: [b]}}",
         {"evaluate": 'CI_PIPELINE_DEPLOY_TARGET matches "^(p.*[.]x|a.)$" && '
                      'not (CI_PIPELINE_DEPLOY_TARGET matches "^(b)$")'}),
    ],
)  # fmt: skip
def test_triggers(trigger: str, when: object) -> None:
    found = of_pipeline(f"trigger: {trigger}")
    assert found.remarks == []
    assert found.workflow["when"] == when


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ("trigger: {instance: drone.example.org}", "3 warning: 'instance' is compared with the host of this server"),
        ("trigger: {event: [push, bogus]}", "3 warning: there is no event 'bogus'; it is left out"),
        ("trigger: {status: changed}", "3 warning: there is no status 'changed'; it is left out"),
        ("trigger: {event: pull_request, action: [labeled]}", "3 warning: the action 'labeled' starts nothing here"),
        ("trigger: {color: red}", "3 warning: 'color' of 'trigger' has no counterpart; it is left out"),
        ("trigger: push", "3 error: a map is wanted at 'trigger', not a single value; it is left out"),
        ("platform: {os: windows}", "3 error: there are no workers for windows"),
        ("node_selector: {a: b}", "3 warning: 'node_selector' of the pipeline has no counterpart; it is left out"),
        ("x-anchors: {a: b}", "3 hint: 'x-anchors' is no key of a pipeline; it is left out"),
        ("type: exec", "3 error: a pipeline of type 'exec' runs without containers; choose an image for each step"),
        ("image_pull_secrets: [d]",
         "3 hint: logins of registries are settings of the repository; log in with `headway registry login`"),
        ("clone: {skip_verify: true}", "3 hint: 'skip_verify' of 'clone' has no counterpart; it is left out"),
    ],
)  # fmt: skip
def test_what_a_pipeline_cannot_say_has_a_remark(more: str, remark: str) -> None:
    assert of_pipeline(more).remarks == [remark]


def test_none_of_the_events_is_one_here() -> None:
    found = of_pipeline("trigger: {event: bogus}")
    assert "3 error: none of the events of 'trigger' is one here" in found.remarks
    assert "# TODO (line 3): none of the events of 'trigger' is one here" in found.texts[".headway/default.yml"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("platform: {os: linux, arch: arm64, variant: v8, version: '1'}", {"labels": {"platform": "linux/arm64"}}),
        ("node: {disk: ssd}", {"labels": {"disk": "ssd"}}),
        ("clone: {disable: true}", {"skip_clone": True}),
        ("clone: {depth: 50}", {"clone": {"git": {"settings": {"depth": 50}}}}),
        ("concurrency: {limit: 2}", {"concurrency": 2}),
        ("workspace: {path: /src/app}", {"workspace": {"base": "/drone", "path": "src/app"}}),
        ("workspace: {base: /go}", {"workspace": {"base": "/go", "path": "src"}}),
        ("x: &a 1\nnode: {}", {}),
    ],
)
def test_keys_of_a_pipeline(more: str, expected: dict[str, object]) -> None:
    assert {key: value for key, value in of_pipeline(more).workflow.items() if key != "steps"} == expected


def test_the_checkout_is_where_it_was_and_has_the_history_where_commands_read_it() -> None:
    found = of_step("commands: [cd /drone/src && git describe]")
    assert found.workflow["workspace"] == {"base": "/drone", "path": "src"}
    assert found.workflow["clone"] == {"git": {"settings": {"depth": 0, "tags": True}}}
    assert found.remarks == ["2 hint: commands read the history: the checkout has all commits and tags"]


def test_a_step_that_clones_is_the_checkout() -> None:
    found = imported(
        "kind: pipeline\nclone: {disable: true}\nsteps:\n- {name: git, image: plugins/git, settings: {depth: 9}}\n"
        "- {name: t, image: alpine, commands: [ls], depends_on: [git]}\n- {image: alpine, commands: [ls]}\n"
    )
    assert found.workflow["clone"] == {"git": {"settings": {"depth": 9}}}
    assert [step["name"] for step in found.workflow["steps"]] == ["t", "step-2"]
    assert found.workflow["steps"][0]["depends_on"] == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("commands: [ls]\n  pull: always", {"pull": True}),
        ("commands: [ls]\n  pull: if-not-exists", {}),
        ("commands: [ls]\n  user: '1000'", {"backend_options": {"docker": {"user": "1000"}}}),
        ("commands: [ls]\n  working_dir: sub", {"directory": "sub"}),
        ("commands: [ls]\n  failure: ignore", {"failure": "ignore"}),
        ("commands: [ls]\n  failure: always", {}),
        ("commands: [ls]\n  detach: true", {"detach": True}),
        ("commands: [ls]\n  network_mode: none\n  ports: [80]", {"network_mode": "none"}),
        ("entrypoint: [/bin/echo]\n  command: [hello, $DRONE_TAG]",
         {"entrypoint": ["/bin/echo", "hello", "$CI_COMMIT_TAG"]}),
        ("commands: [ls]\n  environment: [A=b]", {"environment": {"A": "b"}}),
        ("settings: {a-b: [1, {from_secret: c}], d: true}",
         {"settings": {"a-b": [1, {"from_secret": "c"}], "d": True}}),
        ("settings: {x: 1}\n  environment: {PLUGIN_Y_Z: 2}", {"settings": {"x": 1, "y_z": 2}}),
        ("settings: {x: 1}\n  environment: {PLUGIN_Y: 2, Z: 3}",
         {"settings": {"x": 1, "y": 2}, "environment": {"Z": 3}}),
        ("commands: [ls]\n  settings: {x-y: 1}", {"environment": {"PLUGIN_X_Y": 1}}),
    ],
)  # fmt: skip
def test_keys_of_a_step(more: str, expected: dict[str, object]) -> None:
    found = of_step(more)
    assert found.remarks == []
    assert {key: value for key, value in found.step.items() if key not in {"name", "image", "commands"}} == expected


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ("commands: []", "5 warning: step 't' has no commands; it does nothing"),
        ("commands: [{a: b}, ls]", "5 error: a command of step 't' is no text; it is left out; put it in quotes"),
        ("commands: [ls]\n  command: a b", "6 hint: 'command' of step 't' has no effect beside 'commands'"),
        ("command: a b", ("5 error: 'command' of step 't' are arguments of an entrypoint that only the image knows; "
                          "write entrypoint: [PROGRAM, ARGUMENT, ...]")),
        ("commands: [ls]\n  privileged: true", ("6 warning: 'privileged' of step 't' needs the repository to be "
                                                "trusted; an administrator allows it with `headway repo trust`")),
        ("commands: [ls]\n  failure: odd", "6 warning: there is no 'failure: odd'; it is left out"),
        ("commands: [ls]\n  shm_size: 1g", "6 warning: 'shm_size' of step 't' has no counterpart; it is left out"),
        ("commands: [ls]\n  user: [a]", "6 error: 'user' of step 't' is not a single value; it is left out"),
        ("commands: [ls]\n  settings: {x: [1]}",
         "6 warning: 'x' of step 't' has no counterpart beside 'commands'; it is left out"),
        ("commands: ['echo ${DRONE_STAGE_OS}']",
         "5 warning: DRONE_STAGE_OS is not set here; write its value, or set it in 'environment'"),
        ("commands: ['echo $DRONE_SEMVER']",
         "5 hint: CI_COMMIT_TAG, which replaces DRONE_SEMVER, keeps a leading v of the tag"),
        ("commands: [ls]\n  volumes: [{name: v, path: /v}]",
         "6 error: the volume 'v' is none of a Docker host; it is left out"),
    ],
)  # fmt: skip
def test_what_a_step_cannot_say_has_a_remark(more: str, remark: str) -> None:
    found = of_step(more)
    assert found.remarks == [remark]
    assert " hint: " in remark or f"  # {'TODO' if ' error: ' in remark else 'look'} (line" in found.text


def test_a_step_without_an_image_needs_one() -> None:
    assert imported("kind: pipeline\nsteps:\n- name: t\n  commands: [ls]\n").remarks == [
        "3 error: step 't' has no image; write one"
    ]


def test_variables_of_the_pipeline_are_those_of_its_steps() -> None:
    found = of_pipeline("environment: {A: $DRONE_TAG, B: 1}")
    assert found.step["environment"] == {"A": "$CI_COMMIT_TAG", "B": 1}


def test_what_a_step_waits_for() -> None:
    found = imported(
        "kind: pipeline\nsteps:\n- {name: a, image: alpine, commands: [ls], when: {event: push}}\n"
        "- {name: c, image: x/drone-cache, settings: {restore: true, mount: [./node_modules]}, depends_on: [a, c]}\n"
        "- {name: b, image: alpine, commands: [ls], depends_on: [clone, c]}\n"
    )
    assert found.workflow["steps"][1]["depends_on"] == [{"name": "a", "optional": True}]
    assert found.workflow["steps"][1]["cache"] == ["node_modules"]


@pytest.mark.parametrize("settings", ["mount: [/drone/src/a, b]", "mount: 'a, b'", "mount: [/drone/src, a, b, a]"])
def test_cache_plugins_are_the_key_cache(settings: str) -> None:
    found = imported(
        "kind: pipeline\nsteps:\n"
        f"- {{name: restore, image: 'drillster/drone-volume-cache:1', settings: {{restore: true, {settings}}}}}\n"
        "- {name: t, image: alpine, commands: [ls]}\n- {name: p, image: plugins/slack, settings: {channel: c}}\n"
        f"- {{name: rebuild, image: drillster/drone-volume-cache, settings: {{rebuild: true, {settings}}}}}\n"
    )
    assert [step.get("cache") for step in found.workflow["steps"]] == [["a", "b"], None]
    assert found.remarks[0] == "3 hint: step 'restore' keeps a, b: here 'cache' of the steps with commands does"


VOLUMES = """\
kind: pipeline
steps:
- {name: a, image: alpine, commands: [ls], volumes: [{name: v, path: PATH}]}
- {name: b, image: alpine, commands: [ls], volumes: [{name: v, path: PATH}]}
volumes: [{name: v, KIND}]
"""


@pytest.mark.parametrize(
    ("path", "kind", "key", "value", "level"),
    [
        ("/go", "temp: {}", "cache", [{"key": "v-${CI_PIPELINE_NUMBER}", "paths": ["/go"]}], "warning"),
        ("/drone/src/x", "temp: {}", "cache", None, "hint"),
        ("x", "color: red", "cache", None, "warning"),
        ("/x", "host: {path: /y}", "volumes", ["/y:/x"], "warning"),
        ("/x, read_only: true", "host: {path: /y}", "volumes", ["/y:/x:ro"], "warning"),
        ("/x", "claim: {name: y}", "volumes", None, "error"),
    ],
)
def test_volumes(path: str, kind: str, key: str, value: object, level: str) -> None:
    found = imported(VOLUMES.replace("PATH", path).replace("KIND", kind))
    assert [step.get(key) for step in found.workflow["steps"]] == [value, value]
    assert f" {level}: " in found.remarks[-1]


def test_the_socket_of_a_docker_daemon_is_its_port() -> None:
    found = imported(
        "kind: pipeline\nservices:\n"
        "- {name: d, image: 'docker:dind', privileged: true, volumes: [{name: s, path: /var/run}]}\n"
        "steps:\n- {name: a, image: docker, commands: [docker ps], volumes: [{name: s, path: /var/run}]}\n"
        "volumes: [{name: s, temp: {}}]\n"
    )
    assert found.step["environment"] == {"DOCKER_HOST": "tcp://d:2375"}
    assert found.workflow["services"][0]["environment"] == {"DOCKER_TLS_CERTDIR": ""}


def test_a_service_cannot_share_a_volume_with_steps() -> None:
    found = imported(
        "kind: pipeline\nservices:\n"
        "- {name: d, image: 'postgres:17', volumes: [{name: s, path: /x}], command: [-c, a=b]}\n"
        "steps:\n- {name: a, image: alpine, commands: [ls], volumes: [{name: s, path: /x}]}\n"
        "volumes: [{name: s, temp: {}}]\n"
    )
    assert found.remarks[0] == "3 error: the service shares the volume 's' with steps; it is left out here"
    assert found.workflow["services"][0]["entrypoint"] == ["docker-entrypoint.sh", "-c", "a=b"]


def test_a_service_may_run_commands_or_nothing() -> None:
    found = imported(
        "kind: pipeline\nservices:\n- {name: d, image: 'redis:7', commands: [], ports: [6379]}\n" + STEP + "\n"
    )
    assert found.workflow["services"] == [{"name": "d", "image": "redis:7", "ports": [6379]}]


@pytest.mark.parametrize("text", ["steps: []", "steps: [3]", "clone: {disable: true}\nsteps:"])
def test_a_pipeline_without_steps_needs_one(text: str) -> None:
    found = imported(f"kind: pipeline\n{text}\n")
    assert any(" error: " in remark for remark in found.remarks)
