"""``headway plan`` of steps with sources: which would run, and what has changed."""

import time
from pathlib import Path

import pytest

from pipelines.plan import Checkout, Plan
from runner.cli.cache_folder import cache_folder
from runner.cli.plan_reuse import _Job, reuse_of
from runner.cli.run.choice.plan import plan_of
from runner.cli.run.options import RunOptions
from runner.cli.run.record_folder import Draft, fingerprints, records_of, title_of
from runner.reuse.sources import SourceTree
from runner.reuse.working_files import working_entries
from runner.source.working_tree import working_tree
from tests.runner.reuse.test_working_files import Folder

PIPELINE = """\
steps:
  - {name: make, image: i, commands: [make], sources: src}
  - {name: check, image: i, commands: [check], sources: [src, other], environment: {A: b, S: {from_secret: s}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "tree").mkdir()
    folder = Folder(tmp_path / "tree")
    folder.write(".headway.yml", PIPELINE)
    folder.commit()
    return folder


def said(folder: Folder, *, keep: bool = False) -> list[str]:
    tree, environment = working_tree(folder.path), {"XDG_CACHE_HOME": str(folder.path.parent / "cache")}
    plan = plan_of(tree, RunOptions())
    if keep:
        _keep_all(plan, folder, environment)
    return list(reuse_of(plan, tree, environment).values())


def _keep_all(plan: Plan, folder: Folder, environment: dict[str, str]) -> None:
    tree, base = working_tree(folder.path), cache_folder(environment, "reuse")
    (job,), records, keyed = plan.jobs, records_of(base, tree), fingerprints(base)
    files = SourceTree(lambda: working_entries(tree, job.checkout or Checkout()))
    for step in job.steps:
        assert step.kind == "commands"
        parts = _Job(job, records, files, keyed)._parts(step)
        more = {"image": "sha256:1", "variable S": "secret", "variable CI": "x", "step make": "k"}
        records.store(Draft(step.name, title_of(job, step), parts | more, 1.0, time.time()), b"", [], None)


def test_it_says_what_has_changed(folder: Folder) -> None:
    first, second = said(folder)
    assert first == "runs: there is no earlier result to reuse"
    assert second == "runs: step 'make' before it runs"
    for sentence in said(folder, keep=True):
        assert sentence.startswith("unchanged since the run of ")
        assert sentence.endswith(": it does not run if its image is the same")
    folder.write("other", "changed")
    first, second = said(folder)
    assert first.startswith("unchanged since ")
    assert second.startswith("runs: source 'other' changed since the run of ")
    folder.write(".headway.yml", PIPELINE.replace("[make]", "[make all]"))
    assert said(folder)[0].startswith("runs: its commands changed since the run of ")
    folder.write(".headway.yml", PIPELINE.replace("sources: src}", "sources: none}"))
    assert said(folder)[0] == "runs: no file matches its source 'none'"


def test_a_step_without_sources_makes_those_after_it_run(folder: Folder) -> None:
    folder.write(".headway.yml", PIPELINE.replace(", sources: src}", "}"))
    assert said(folder) == ["runs: step 'make' before it runs"]


def test_without_a_folder_for_results_all_run(folder: Folder) -> None:
    (folder.path.parent / "cache").write_text("a file")
    assert all("cannot be read" in sentence for sentence in said(folder))
