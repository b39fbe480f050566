"""``headway lint`` of files that are no workflows."""

import io
from pathlib import Path

import pytest

from runner.cli.lint import LintOptions, lint

FRAGMENT = "inputs: {VERSION: null}\nsteps:\n  - name: t\n    image: 'i:${VERSION}'\n    commands: x ${VERSON}\n"
INCLUDES = "steps:\n  - include: ci/steps.yml\n"
STEPS = "steps: [{name: s, image: 'i:1', comands: x}]\n"


def run(*paths: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return lint(LintOptions(paths), out, err), out.getvalue(), err.getvalue()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci/test.yml").write_text(FRAGMENT)
    (tmp_path / "ci/steps.yml").write_text(STEPS)
    (tmp_path / ".headway.yml").write_text(INCLUDES)
    return tmp_path


def test_a_fragment_has_its_inputs(repository: Path) -> None:
    code, out, err = run(repository / "ci/test.yml")
    assert code == 0
    assert out.startswith(f"{repository}/ci/test.yml:5:17: warning: ${{VERSON}} is not a variable here")
    assert "did you mean VERSION?" in out
    assert "    commands: x ${VERSON}\n" in out
    assert err == "1 warning in 1 file\n"


def test_what_the_pipeline_includes_has_the_rules_of_the_pipeline(repository: Path) -> None:
    code, out, _ = run(repository / "ci/steps.yml")
    assert (code, "error: unknown key 'comands'" in out) == (1, True)
    (repository / ".headway.yml").unlink()
    code, out, _ = run(repository / "ci/steps.yml")
    assert (code, "warning: unknown key 'comands'" in out) == (0, True), "it may be a workflow of any name"


def test_of_a_repository_of_woodpeckers_files_the_rules_are_those(repository: Path) -> None:
    (repository / ".headway.yml").rename(repository / ".woodpecker.yml")
    code, out, _ = run(repository / "ci/steps.yml")
    assert (code, "warning: unknown key 'comands'" in out) == (0, True)


def test_files_that_a_fragment_includes_are_read_from_the_root_of_the_repository(repository: Path) -> None:
    (repository / "ci/test.yml").write_text("inputs: {A: x}\nsteps: [{include: ci/steps.yml}]\n")
    code, out, err = run(repository / "ci/test.yml", repository)
    assert code == 1
    assert (
        f"{repository}/ci/steps.yml:1:33: error: unknown key 'comands' in step 's' (included at ci/test.yml:2:19)"
        in out
    )
    assert err.endswith("in 3 files\n")


def test_without_a_repository_around_it_its_own_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("services: [{name: db, image: 'postgres:17'}]\n")
    assert run(tmp_path / "a.yml")[0] == 0
