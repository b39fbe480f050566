"""Hints about the platforms of a build: what several need, and which of them is tested."""

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import ANY_REPO, lint_files

NEED = "an image of several platforms can only be kept in the containerd image store of the Docker Engine"
EMULATED = "step 'test' runs in this image, which is not built for linux/amd64: it needs emulation there"
BUILD = "{{name: app, build: {{context: ., platforms: {}}}}}"
PLUGIN = "{{name: app, image: 'woodpeckerci/plugin-docker-buildx:5', settings: {{repo: a/b, tags: x, platforms: {}}}}}"
OLD = "{{name: app, image: 'plugins/docker:20', settings: {{repo: a/b, tags: x, platform: {}}}}}"
TEST = "\n  - {name: test, image: {build: app}, commands: x}\n"


def lint(text: str) -> list[str]:
    problems = lint_files([PipelineFile(".headway.yml", text.encode())], ANY_REPO)
    return [str(problem).partition(": hint: ")[2].partition("; ")[0] for problem in problems]


@pytest.mark.parametrize("step", [BUILD, PLUGIN, OLD])
@pytest.mark.parametrize(
    ("named", "hints"),
    [
        ("[linux/amd64, linux/arm64]", [NEED]),
        ("'linux/arm64,x86_64'", [NEED]),
        ("['linux/amd64', amd64, 'linux/x86_64/v1']", []),
        ("linux/arm64", [EMULATED]),
        ("[linux/arm64, aarch64, linux/arm/v7]", [NEED, EMULATED]),
        ("[]", []),
    ],
)
def test_what_is_needed_is_said_once(step: str, named: str, hints: list[str]) -> None:
    assert lint(f"steps:\n  - {step.format(named)}{TEST}") == hints


def test_nothing_is_said_where_nothing_runs_in_the_image() -> None:
    assert lint(f"steps:\n  - {BUILD.format('linux/arm64')}\n") == []


def test_the_platform_of_the_workflow_counts() -> None:
    labels = "labels: {platform: linux/arm64}\n"
    assert lint(f"{labels}steps:\n  - {BUILD.format('[arm64, arm]')}{TEST}") == [NEED]
    (hint,) = lint(f"{labels}steps:\n  - {BUILD.format('amd64')}{TEST}")
    assert hint == EMULATED.replace("amd64", "arm64")
