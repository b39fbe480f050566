"""Plans the reports of a step: which of its files hold results of tests, and coverage."""

from pipelines.compiler.selection.step_candidates import StepCandidates
from pipelines.compiler.step_options.artifacts import plain_pattern, steps_with_files, wrong_patterns
from pipelines.model.reports import Reports
from pipelines.step_options.report_files import Reports as PlannedReports


def plan_reports(asked: Reports | None) -> PlannedReports | None:
    """What is read of the step. The patterns have been checked."""
    if asked is None:
        return None
    junit, coverage = (tuple(map(plain_pattern, patterns)) for patterns in (asked.junit, asked.coverage))
    return PlannedReports(junit=junit, coverage=coverage)


def check_reports(candidates: StepCandidates) -> None:
    """Reports the reports that no step could write."""
    job = candidates.job
    for group, index, step, why in steps_with_files(candidates):
        if step.reports is None:
            continue
        where, name = (group, index, "reports"), step.name or f"step-{index}"
        place = job.located.key_place(*where)
        if why:
            job.diagnostics.error(place, f"step '{name}' has no reports: {why}", "let another step write them")
        if not step.reports.junit and not step.reports.coverage:
            message = f"'reports' of step '{name}' names no file"
            job.diagnostics.error(place, message, "write for example reports: {junit: report.xml}")
        for key, patterns in (("junit", step.reports.junit), ("coverage", step.reports.coverage)):
            wrong_patterns(job, (*where, key), name, patterns, "reports")
