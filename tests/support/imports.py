"""Imports a file in a test. Every import is linted and planned: neither may find an error."""

from textwrap import dedent
from typing import Any

import yaml

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.importers.importing import Imported, import_files
from pipelines.linter.linter import lint_files
from pipelines.problem import Level
from tests.support.pipelines import TRUSTED, push

PATHS = {"drone": ".drone.yml", "gitlab": ".gitlab-ci.yml", "github": ".github/workflows/ci.yml"}


class Import:
    """One imported file."""

    def __init__(self, system: str, text: str, includes: dict[str, str] | None = None, path: str = "") -> None:
        known = includes or {}
        file = PipelineFile(path or PATHS[system], dedent(text).encode())
        self.imported: Imported = import_files(
            [file], system, lambda _source, name: known[name].encode() if name in known else None
        )
        self.texts = {each.path: each.text.decode() for each in self.imported.files}
        self.remarks = [
            f"{each.line} {each.level}: {each.message}" + (f"; {each.hint}" if each.hint else "")
            for each in self.imported.remarks
        ]
        found = lint_files(self.imported.files)
        assert [str(each) for each in found if each.level is Level.ERROR] == [], self.texts
        if self.imported.files:
            compile_pipeline(self.imported.files, push(), TRUSTED)

    @property
    def text(self) -> str:
        """The text of the only file, without the comment at its head."""
        (text,) = self.texts.values()
        return text.partition("\n")[2].lstrip("\n")

    @property
    def workflow(self) -> dict[str, Any]:
        """The only file."""
        (text,) = self.texts.values()
        return dict(yaml.safe_load(text))

    @property
    def step(self) -> dict[str, Any]:
        """The only step of the only file."""
        (step,) = self.workflow["steps"]
        return dict(step)
