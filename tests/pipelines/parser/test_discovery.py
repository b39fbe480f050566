"""Which files of a commit are its pipeline, and in which dialect."""

import subprocess
import sys

import pytest

from pipelines.parser.discovery import choose_files, dialect_of, other_systems_hint, workflow_name
from tests.support.paths import ROOT
from tests.support.pipelines import problems_of


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["README.md", ".headway.yml"], [".headway.yml"]),
        ([".headway.yml", ".headway.yaml"], [".headway.yaml"]),
        ([".headway/b.yml", ".headway/a.yaml", ".headway.yaml"], [".headway/a.yaml", ".headway/b.yml"]),
        ([".headway/README.md", ".headway/sub/x.yml", ".headway.yml"], [".headway.yml"]),
        ([".woodpecker/test.yml", ".headway.yml"], [".headway.yml"]),
        ([".woodpecker/test.yml", ".woodpecker.yml"], [".woodpecker/test.yml"]),
        ([".woodpecker.yml", ".woodpecker.yaml"], [".woodpecker.yaml"]),
        (["app/.headway.yml", "Dockerfile"], []),
        ([], []),
    ],
)
def test_the_first_folder_or_file_in_order_of_precedence_is_the_pipeline(names: list[str], chosen: list[str]) -> None:
    assert choose_files(names) == chosen


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (".headway.yml", "headway"),
        (".woodpecker/.lint.yaml", "lint"),
        (".headway/build.test.yml", "build.test"),
        (".headway/a.yml.yaml", "a.yml"),
        (".headway/.yml", ".headway/.yml"),
    ],
)
def test_a_workflow_is_named_after_its_file_without_one_suffix_and_one_dot(path: str, name: str) -> None:
    assert workflow_name(path) == name


def test_woodpeckers_files_are_lenient() -> None:
    assert dialect_of(".woodpecker/test.yml").lenient
    assert dialect_of(".woodpecker.yml").lenient
    assert not dialect_of(".headway.yml").lenient
    assert not dialect_of("./.headway/x.yml").lenient


def test_a_file_of_another_ci_system_gets_a_hint() -> None:
    assert other_systems_hint(["README", ".gitlab-ci.yml"]) == (
        "; .gitlab-ci.yml is read by GitLab alone: "
        "`headway import .gitlab-ci.yml` writes it as pipeline files of Headway"
    )
    assert other_systems_hint(["README", ".github", "drone.yml"]) == ""


def test_the_registry_of_dialects_loads_neither_pydantic_nor_yaml() -> None:
    code = "import sys, pipelines.parser.discovery; print({'pydantic', 'yaml'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"


def test_a_drone_pipeline_is_recognized_by_its_kind() -> None:
    (warning, *_) = problems_of("kind: pipeline\nsteps: [{name: a, image: b:1, commands: c}]\n", path=".woodpecker.yml")
    assert "only Drone's pipelines have it" in str(warning)
