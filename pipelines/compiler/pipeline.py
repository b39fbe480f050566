"""Compiles the files of a pipeline and a trigger to a plan."""

from collections.abc import Sequence

from pipelines.compiler.inputs import check_given, check_required, declared_inputs, merged, with_inputs
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.jobs import PlannedJob, plan_job, with_number
from pipelines.compiler.workflow_dependencies import check_needs, drop_unreachable, find_cycle
from pipelines.context import Context, PipelineFile
from pipelines.environment.variables import AT_RUN_TIME, run_variables
from pipelines.images.build_values import is_one_line
from pipelines.inputs import DeclaredInput
from pipelines.interpolation.renderer import Variables
from pipelines.parser.discovery import workflow_name
from pipelines.parser.file_limits import too_large_files
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments
from pipelines.parser.reader import ReadWorkflow, read_file
from pipelines.plan import JobPlan, LeftOut, Plan
from pipelines.problem import InvalidPipelineError, Level, Problem
from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics
from pipelines.trigger import Trigger
from pipelines.visible import visible_line

JOBS_COUNT_MAX = 256


def compile_pipeline(
    files: Sequence[PipelineFile], trigger: Trigger, context: Context, fragments: Fragments = NO_FRAGMENTS
) -> Plan:
    """The plan for ``trigger``. Raises InvalidPipelineError with all problems.

    A plan without jobs is valid: no condition holds, and ``left_out`` has the reasons.
    """
    if problem := too_large_files(files):
        raise InvalidPipelineError([problem])
    names = {workflow_name(file.path) for file in files}
    planned: list[PlannedJob] = []
    problems: list[Problem] = []
    declared: list[DeclaredInput] = []
    for file in sorted(files, key=lambda file: file.path):
        diagnostics = Diagnostics(file.path)
        read = _read_file(file, trigger, context, diagnostics, fragments)
        planned += _plan_file(file, read, trigger, context, names, declared)
        problems += sorted(diagnostics.problems)
    left_out = [item for result in planned for item in result.left_out]
    jobs, dropped, more = join_jobs(planned)
    problems += more
    if not _has_errors(problems):  # else the files may declare more than could be read
        problems += check_given([file.path for file in files], declared, trigger)
    if _has_errors(problems):
        raise InvalidPipelineError(problems)
    left_out += dropped
    return Plan(
        jobs=tuple(_numbered(jobs)), left_out=tuple(left_out), warnings=tuple(problems), inputs=merged(declared)
    )


def _has_errors(problems: Sequence[Problem]) -> bool:
    return any(problem.level is Level.ERROR for problem in problems)


def join_jobs(planned: Sequence[PlannedJob]) -> tuple[list[JobPlan], list[LeftOut], list[Problem]]:
    """The jobs of all files without those whose needs do not run, these, and the problems between files."""
    jobs = [result.job for result in planned if result.job]
    problems = []
    if len(jobs) > JOBS_COUNT_MAX:
        message = f"this pipeline has {len(jobs)} jobs, and at most {JOBS_COUNT_MAX} are run"
        problems.append(Problem(jobs[0].file, 1, 1, message, "make the matrix smaller"))
    jobs, dropped = drop_unreachable(jobs, {need for result in planned for need in result.optional_needs})
    cycle = find_cycle(jobs)
    return jobs, dropped, problems + ([cycle] if cycle else [])


def _numbered(jobs: list[JobPlan]) -> list[JobPlan]:
    """The jobs, numbered from 1. Containers have the number as CI_WORKFLOW_NUMBER."""
    return [with_number(job, number) for number, job in enumerate(jobs, start=1)]


def _read_file(
    file: PipelineFile, trigger: Trigger, context: Context, diagnostics: Diagnostics, fragments: Fragments
) -> list[ReadWorkflow]:
    name = workflow_name(file.path)
    if not is_one_line(name):
        message = f"the name of this file has a line break or a control character: {visible_line(name)}"
        diagnostics.error(WHOLE_FILE, message, "rename it: its workflow has the same name")
        return []
    return read_file(file, variables_for(name, trigger, context), diagnostics, fragments)


def _plan_file(
    file: PipelineFile,
    read: Sequence[ReadWorkflow],
    trigger: Trigger,
    context: Context,
    names: set[str],
    declared: list[DeclaredInput],
) -> list[PlannedJob]:
    """Plans the jobs of one file. Adds to ``declared`` what inputs it declares."""
    name = workflow_name(file.path)
    for workflow in read:
        check_needs(name, workflow.located, names)
    planned = []
    for workflow in read:
        own = with_inputs(workflow.located, trigger)
        planned.append(plan_job(JobInput(name, workflow.cell, workflow.located, own, context)))
        if planned[-1].job:
            check_required(workflow.located, trigger)
    declared += declared_inputs(read[0].located) if read else ()
    return planned


def variables_for(workflow: str, trigger: Trigger, context: Context) -> Variables:
    """The variables for ``${NAME}`` in the file of a workflow."""
    run = {**run_variables(trigger, context), "CI_WORKFLOW_NAME": workflow}
    given = {name: value for name, value in run.items() if value}
    return Variables(
        given, known=frozenset(run), at_run_time=AT_RUN_TIME | {"CI_WORKFLOW_NUMBER"} | set(trigger.inputs)
    )
