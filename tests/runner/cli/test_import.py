"""``headway import``: what it writes, what it says, and what it refuses."""

import os
from io import StringIO
from pathlib import Path

import pytest

from runner.cli.import_ import ImportOptions, import_paths

DRONE = "kind: pipeline\nsteps:\n- {name: t, image: alpine, commands: [ls]}\n"


def _run(*paths: Path, **options: object) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    code = import_paths(ImportOptions(paths, **options), out, err)  # type: ignore[arg-type]
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_of_this_folder_is_imported(folder: Path) -> None:
    (folder / ".drone.yml").write_text(DRONE)
    assert _run() == (0, "wrote .headway/default.yml\n", "1 workflow, no remarks\n")
    assert (folder / ".headway" / "default.yml").read_text().startswith("# Imported from .drone.yml.\n")


def test_the_workflows_of_this_folder_are_imported(folder: Path) -> None:
    (folder / ".github" / "workflows").mkdir(parents=True)
    for name in ("b.yml", "a.yaml", "c.txt"):
        text = "on: push\njobs: {t: {runs-on: ubuntu-latest, steps: [run: ls]}}"
        (folder / ".github" / "workflows" / name).write_text(text)
    assert _run()[:2] == (0, "wrote .headway/a.yml\nwrote .headway/b.yml\n")


def test_remarks_have_their_places_and_a_summary(folder: Path) -> None:
    (folder / "x.yml").write_text(DRONE + "type: exec\nnode_selector: {}\nfoo: [1]\nbar: [1]\n")
    code, _, err = _run(Path("x.yml"))
    assert code == 1
    assert err.splitlines() == [
        "x.yml:4: error: a pipeline of type 'exec' runs without containers; choose an image for each step",
        "x.yml:5: warning: 'node_selector' of the pipeline has no counterpart; it is left out",
        "x.yml:6: note: 'foo' is no key of a pipeline; it is left out",
        "x.yml:7: note: 'bar' is no key of a pipeline; it is left out",
        "1 workflow, 1 error, 1 warning, 2 notes",
    ]


def test_nothing_is_overwritten_without_force(folder: Path) -> None:
    (folder / ".drone.yml").write_text(f"{DRONE}name: a\n---\n{DRONE}name: b\n")
    target = folder / ".headway" / "b.yml"
    target.parent.mkdir()
    target.write_text("mine")
    code, out, err = _run()
    assert (code, out) == (2, "")
    assert err == "headway: .headway/b.yml exists; --force overwrites it, --output DIR writes to another folder\n"
    assert [path.name for path in target.parent.iterdir()] == ["b.yml"]
    assert _run(force=True)[0] == 0
    assert target.read_text() != "mine"


def test_a_link_is_replaced_and_not_followed(folder: Path) -> None:
    (folder / ".drone.yml").write_text(DRONE)
    (folder / ".headway").mkdir()
    (folder / "other").write_text("mine")
    (folder / ".headway" / "default.yml").symlink_to(folder / "other")
    assert _run(force=True)[0] == 0
    assert (folder / "other").read_text() == "mine"


def test_a_dry_run_shows_the_files(folder: Path) -> None:
    (folder / ".drone.yml").write_text(DRONE)
    code, out, _ = _run(dry_run=True, output=Path("ci"))
    assert code == 0
    assert out.startswith("--- ci/default.yml\n# Imported from .drone.yml.\n")
    assert not (folder / "ci").exists()


def test_what_cannot_be_imported(folder: Path) -> None:
    assert _run()[::2] == (
        2,
        "headway: this folder has no file of Drone, GitLab CI or GitHub Actions; name the files to import\n",
    )
    assert _run(Path("gone.yml"))[2] == "headway: gone.yml cannot be read: No such file or directory\n"
    assert "there is no importer for 'jenkins'; they are drone, gitlab" in _run(system="jenkins")[2]
    (folder / "x.yml").write_text("a: b")
    assert _run(Path("x.yml"))[0] == 2
    (folder / "file").write_text("")
    (folder / ".drone.yml").write_text(DRONE)
    assert _run(output=Path("file"))[2] == "headway: file cannot be written: File exists\n"


def test_lint_and_plan_read_a_file_of_drone_alone(folder: Path) -> None:
    from runner.cli.lint import LintOptions, lint
    from runner.cli.plan import PlanOptions, show_plan

    (folder / ".drone.yml").write_text(DRONE + "node_selector: {}\n")
    out, err = StringIO(), StringIO()
    assert lint(LintOptions(), out, err) == 0
    assert ".drone.yml:4:1: warning: 'node_selector' of the pipeline" in out.getvalue()
    out = StringIO()
    assert show_plan(PlanOptions(Path(os.curdir)), out, err) == 0
    assert "workflow 'default'" in out.getvalue()


def test_a_workflow_of_github_calls_files_of_the_repository(folder: Path) -> None:
    texts = {
        "r/.github/workflows/ci.yml": "on: push\njobs: {c: {uses: ./.github/workflows/x.yml}}",
        "r/.github/workflows/x.yml": "on: workflow_call\njobs: {t: {steps: [uses: ./a, uses: ./../b, uses: ./l]}}",
        "r/a/action.yml": "runs: {using: composite, steps: [run: ./made]}",
        "b/action.yml": "runs: {using: composite, steps: [run: ./outside]}",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "r" / "l").symlink_to(folder / "b")
    code, out, err = _run(Path("r/.github/workflows/ci.yml"), dry_run=True)
    assert code == 1
    assert "- ./made" in out
    assert "outside" not in out
    assert "the action ./../b is not in this repository" in err
    assert "the file 'l/action.yml' cannot be read" in err
    assert _run(Path("r/.github/workflows/x.yml"))[0] == 2


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\\0b", "\\ud800", "."])
def test_a_workflow_of_github_with_an_odd_name_of_a_file(folder: Path, name: str) -> None:
    (folder / "x.yml").write_text(
        f'on: push\njobs: {{c: {{uses: "./{name}"}}, t: {{steps: [uses: "./{name}", run: ls]}}}}'
    )
    code, _, err = _run(Path("x.yml"))
    assert code in {1, 2}, err
    assert "error" in err
