"""Names that only Headway gives to images, in any spelling."""

import ast
import re
from pathlib import Path

import pytest

from pipelines.images import own_images
from pipelines.images.own_images import canonical, is_own_image, repository
from tests.support.pipelines import problems_of

OWN = (
    *("headway/build", "headway/build:key", "docker.io/headway/build:key", "index.docker.io/headway/sandbox:1"),
    *(
        "headway/borrowed@sha256:0",
        "headway/before:x",
        "headway/guard:1",
        "docker.io/headway/GUARD",
        "localhost/headway/sandbox",
        "registry-1.docker.io/headway/build:x",
    ),
)


@pytest.mark.parametrize("name", OWN)
def test_a_pipeline_cannot_name_an_image_of_headways_own(name: str) -> None:
    assert is_own_image(name)
    for text in (f"steps: [{{image: '{name}', commands: x}}]", f"steps: [{{image: '{name}', settings: {{a: b}}}}]",
                 f"services: [{{name: s, image: '{name}'}}]\nsteps: [{{image: i, commands: x}}]"):  # fmt: skip
        (problem,) = problems_of(text)
        assert f"'{name}' is an image of Headway's own; name an image of a registry" in problem


@pytest.mark.parametrize("repo", ["headway/sandbox", "docker.io/headway/build"])
def test_a_pipeline_cannot_push_under_a_name_of_headways_own(repo: str) -> None:
    (problem,) = problems_of(f"steps: [{{name: b, build: .}}, {{name: p, push: {{repo: {repo}, tags: ['1']}}}}]")
    assert f"'{repo}' is a name of Headway's own; push to a repository of yours" in problem


@pytest.mark.parametrize(
    "name", ["headway", "headway/app", "x/headway/build", "registry.test/headway/build:1", "build"]
)
def test_other_names_are_free(name: str) -> None:
    assert not is_own_image(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("busybox", "busybox:latest"),
        ("docker.io/library/busybox:1", "busybox:1"),
        ("index.docker.io/team/app", "team/app:latest"),
        ("registry.test:5000/app", "registry.test:5000/app:latest"),
        ("registry.test:5000/library/app:1", "registry.test:5000/library/app:1"),
        ("app:1@sha256:0", "app@sha256:0"),
    ],
)
def test_a_name_is_compared_as_the_engine_shows_it(name: str, shown: str) -> None:
    assert canonical(name) == shown


ROOT = Path(own_images.__file__).parents[2]
NAMED = {name: value for name, value in vars(own_images).items() if name.endswith("_REPO")}


def test_every_name_in_the_list_is_one_of_headways_own() -> None:
    assert len(NAMED) == 5
    assert all(is_own_image(f"{name}:1") for name in NAMED.values())


@pytest.mark.slow
def test_the_code_takes_its_image_names_from_the_list() -> None:
    """A name that only the code knows could be built or pushed by a pipeline, and would run as Headway's own."""
    found = []
    for file in (
        file for package in ("pipelines", "runner", "workers", "web") for file in ROOT.glob(f"{package}/**/*.py")
    ):
        for node in ast.walk(ast.parse(file.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(r"headway/[a-z0-9._-]+(?:[:@].*)?", text):
                found.append((file.relative_to(ROOT).as_posix(), text))
    assert sorted(found) == sorted(("pipelines/images/own_images.py", name) for name in NAMED.values())


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("docker.io/library/busybox", "busybox"), ("busybox:1", "busybox"), ("team/app:1", "team/app"),
        ("host:5000/app", "host:5000/app"), ("host:5000/a/b:x", "host:5000/a/b"),
        (f"host:5000/app@sha256:{'0' * 64}", "host:5000/app"), (f"app:1@sha256:{'0' * 64}", "app"),
    ],
)  # fmt: skip
def test_a_repository_is_the_name_without_tag_and_digest(name: str, repo: str) -> None:
    assert repository(name) == repo
