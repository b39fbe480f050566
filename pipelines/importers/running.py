"""Runs a repository that has only a file of Drone: its pipeline is what the import makes of that file."""

from collections.abc import Sequence

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import Context, PipelineFile
from pipelines.parser.discovery import DRONE_FILES
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments
from pipelines.plan import Plan
from pipelines.problem import InvalidPipelineError, Level, Problem
from pipelines.trigger import Trigger


def own_files(files: Sequence[PipelineFile]) -> tuple[list[PipelineFile], list[Problem]]:
    """The files as Headway's own, those of Drone imported, and the remarks of the import."""
    if not any(file.path in DRONE_FILES for file in files):
        return list(files), []
    from pipelines.importers.importing import import_files  # noqa: PLC0415 - `headway run` starts without it

    imported = import_files(files, "drone")
    return list(imported.files), list(imported.remarks)


def compile_own_files(
    files: Sequence[PipelineFile], trigger: Trigger, context: Context, fragments: Fragments = NO_FRAGMENTS
) -> Plan:
    """The plan, as ``compile_pipeline`` makes it; files of Drone are imported first.

    Raises InvalidPipelineError, also where the import lacks something essential.
    """
    own, remarks = own_files(files)
    if any(remark.level is Level.ERROR for remark in remarks):
        raise InvalidPipelineError(remarks)
    try:
        plan = compile_pipeline(own, trigger, context, fragments)
    except InvalidPipelineError as error:
        raise InvalidPipelineError([_of_import(problem, files, own) for problem in error.problems]) from None
    warnings = [remark for remark in remarks if remark.level is Level.WARNING]
    return plan.model_copy(update={"warnings": (*warnings, *plan.warnings)}) if warnings else plan


def _of_import(problem: Problem, files: Sequence[PipelineFile], own: Sequence[PipelineFile]) -> Problem:
    """A problem of a file that only the import has made says how to see that file."""
    if list(files) == own:
        return problem
    hint = f"`headway import {files[0].path}` writes this file"
    return problem._replace(hint=f"{problem.hint}; {hint}" if problem.hint else hint)
