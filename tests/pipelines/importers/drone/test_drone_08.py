"""Files of Drone 0.8: a map ``pipeline``, and settings beside the other keys of a step."""

import pytest

from tests.support.imports import Import


def test_a_pipeline_is_a_map_of_steps() -> None:
    found = Import(
        "drone",
        """\
        workspace: {base: /go, path: src/example.org/app}
        clone:
          git: {image: plugins/git, depth: 50, tags: true, colour: red}
        branches: [main, release/*]
        labels: {disk: ssd}
        platform: linux/arm64
        matrix:
          GO: ["1.24", "1.25"]
        pipeline:
          test:
            image: golang:${GO}
            commands: [go test ./...]
            secrets: [token, {source: a, target: b}]
            volumes: ["/cache:/go/pkg"]
          publish:
            image: plugins/docker
            repo: team/app
            tags: [latest, "${DRONE_TAG}"]
            secrets: [docker_username, {source: password, target: docker_password}]
            when: {event: tag, local: false, matrix: {GO: "1.25"}, environment: production}
        services:
          database: {image: "postgres:17"}
        """,
    )
    assert found.workflow == {
        "when": {"branch": ["main", "release/*"]},
        "labels": {"disk": "ssd", "platform": "linux/arm64"},
        "matrix": {"GO": ["1.24", "1.25"]},
        "clone": {"git": {"settings": {"depth": 50, "tags": True}}},
        "workspace": {"base": "/go", "path": "src/example.org/app"},
        "services": [{"name": "database", "image": "postgres:17"}],
        "steps": [
            {
                "name": "test",
                "image": "golang:${GO}",
                "commands": ["go test ./..."],
                "environment": {"TOKEN": {"from_secret": "token"}, "B": {"from_secret": "a"}},
                "volumes": ["/cache:/go/pkg"],
            },
            {
                "name": "publish",
                "image": "plugins/docker",
                "settings": {
                    "username": {"from_secret": "docker_username"},
                    "password": {"from_secret": "password"},
                    "repo": "team/app",
                    "tags": ["latest", "${CI_COMMIT_TAG}"],
                },
                "when": {
                    "event": ["tag"],
                    "evaluate": 'CI_PIPELINE_DEPLOY_TARGET matches "^(production)$"',
                    "matrix": {"GO": ["1.25"]},
                    "local": False,
                },
            },
        ],
    }
    assert [remark.partition(";")[0] for remark in found.remarks] == [
        "3 warning: 'colour' of a step of 'clone' has no counterpart",
        "14 warning: /cache:/go/pkg of the host needs the repository to be trusted in volumes",
    ]


@pytest.mark.parametrize(
    ("groups", "needs"),
    [
        (["", "", ""], [None, None, None]),
        (["a", "a", ""], [[], [], ["s0", "s1"]]),
        (["", "a", "a", "b"], [[], ["s0"], ["s0"], ["s1", "s2"]]),
    ],
)
def test_steps_of_one_group_run_side_by_side(groups: list[str], needs: list[object]) -> None:
    steps = "".join(
        f"  s{number}: {{image: alpine, commands: [ls]{f', group: {group}' if group else ''}}}\n"
        for number, group in enumerate(groups)
    )
    found = Import("drone", f"pipeline:\n{steps}")
    assert [step.get("depends_on") for step in found.workflow["steps"]] == needs
    assert found.remarks == []


def test_a_step_that_is_no_map() -> None:
    found = Import("drone", "pipeline:\n  a: ls\n  b: {image: alpine, group: x, commands: [ls]}\n")
    assert (
        found.remarks
        == [
            "2 error: a map is wanted at step 'a', not a single value; it is left out",
            "1 error: step 'a' has no image; write one",
        ][::-1]
    )
