"""Scripts of GitLab CI that build and push images."""

import pytest

from tests.support.imports import Import

IMAGE = "registry.example.org/${CI_REPO}"


def steps_of(*lines: str, image: str = "docker:27", more: str = "") -> list[dict[str, object]]:
    script = "".join(f"  - {line!r}\n" for line in lines)
    found = Import("gitlab", f"b:\n  image: {image}\n  services: [docker:27-dind]\n  script:\n{script}{more}")
    return [{key: value for key, value in step.items() if key != "when"} for step in found.workflow["steps"]]


def test_a_script_becomes_build_and_push() -> None:
    steps = steps_of(
        "echo $P | docker login -u $U --password-stdin $CI_REGISTRY",
        "docker pull $CI_REGISTRY_IMAGE:latest || true",
        "docker build --pull -f web/Dockerfile --build-arg A=1 --build-arg CI_COMMIT_SHA --target x "
        "--platform=linux/amd64 -t $CI_REGISTRY_IMAGE:$CI_COMMIT_SHORT_SHA web",
        "docker tag a b && docker push $CI_REGISTRY_IMAGE:$CI_COMMIT_SHORT_SHA; docker push localhost:5000/x",
        "docker image push -q localhost:5000/x",
        "# done",
    )
    assert steps == [
        {
            "name": "b",
            "build": {
                "context": "web",
                "dockerfile": "Dockerfile",
                "args": {"A": "1", "CI_COMMIT_SHA": "${CI_COMMIT_SHA}"},
                "target": "x",
                "platforms": ["linux/amd64"],
                "pull": True,
            },
        },
        {"name": "b-push", "push": {"repo": IMAGE, "tags": ["${CI_COMMIT_SHA:0:8}"], "image": {"build": "b"}}},
        {"name": "b-push-2", "push": {"repo": "localhost:5000/x", "tags": ["latest"], "image": {"build": "b"}}},
    ]


@pytest.mark.parametrize(
    ("line", "build"),
    [
        ("docker build .", {"context": "."}),
        (
            "docker image build --no-cache -f ci/Dockerfile a/b/",
            {"context": "a/b", "dockerfile": "../../ci/Dockerfile"},
        ),
        ("docker build -f x/Dockerfile $CI_PROJECT_DIR/a", {"context": "a", "dockerfile": "../x/Dockerfile"}),
    ],
)
def test_a_build_alone(line: str, build: dict[str, object]) -> None:
    (step,) = steps_of(line)
    found = dict(step["build"])  # type: ignore[call-overload]
    found.pop("no_cache", None)
    assert (step["name"], found) == ("b", build)


def test_kaniko_pushes_what_it_builds() -> None:
    steps = steps_of(
        'echo "{}" > /kaniko/.docker/config.json',
        "/kaniko/executor --context dir://$CI_PROJECT_DIR --dockerfile $CI_PROJECT_DIR/Dockerfile "
        "--destination $CI_REGISTRY_IMAGE:1 --cache=true --target x",
        image="gcr.io/kaniko-project/executor:debug",
    )
    assert steps[0] == {"name": "b", "build": {"context": ".", "dockerfile": "Dockerfile", "target": "x"}}
    assert steps[1]["push"] == {"repo": IMAGE, "tags": ["1"], "image": {"build": "b"}}


@pytest.mark.parametrize(
    "lines",
    [
        ("docker build . && make",),
        ("docker build -f /x/Dockerfile a",),
        ("docker build -f ../x a",),
        ("docker build ..",),
        ("docker build --squash .",),
        ("docker build a b",),
        ("docker build .", "docker build x"),
        ("docker build $(pwd)",),
        ("docker build . | tee log",),
        ("docker build 'a",),
        ("docker login",),
        ("docker push a",),
        ("/kaniko/executor --odd x",),
    ],
)
def test_other_scripts_stay_and_get_a_daemon(lines: tuple[str, ...]) -> None:
    (step,) = steps_of(*lines)
    assert step["commands"] == list(lines)
    assert step["environment"] == {"DOCKER_HOST": "tcp://docker:2375", "DOCKER_TLS_CERTDIR": ""}


def test_later_jobs_use_the_image_just_built() -> None:
    steps = steps_of(
        "docker build -t $CI_REGISTRY_IMAGE:x --push .",
        more="""\
test:
  image: $CI_REGISTRY_IMAGE:x
  script: [pytest]
release:
  image: docker
  script: ["docker push example.org/a:1"]
  artifacts: {paths: [a]}
  allow_failure: true
""",
    )
    assert steps[2] == {"name": "test", "image": {"build": "b"}, "commands": ["pytest"]}
    push = {"repo": "example.org/a", "tags": ["1"], "image": {"build": "b"}}
    assert steps[3] == {"name": "release", "push": push, "failure": "ignore"}
