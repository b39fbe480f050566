"""Plans the artifacts of a job: what its steps keep, and from which workflows it gets some."""

from collections.abc import Iterable, Iterator
from posixpath import normpath

from pipelines import plan
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.selection.step_candidates import StepCandidates, steps_with_programs
from pipelines.images.build_values import is_one_line
from pipelines.matching.glob import BadPatternError, expand_braces, matches
from pipelines.model.artifacts import Artifacts
from pipelines.model.workflow import CommandsStep, PluginStep
from pipelines.syntax.diagnostics import did_you_mean
from pipelines.visible import visible_line

PATTERNS_COUNT_MAX = 64
NAME_CHARACTERS_MAX = 100
_PATTERN_HINT = "write it relative to where the step starts, for example dist/** or report.xml"


def plan_artifacts(step: str, asked: Artifacts | None) -> plan.Artifacts | None:
    """What the step with this name keeps. The patterns have been checked."""
    if asked is None:
        return None
    return plan.Artifacts(
        name=asked.name or step[:NAME_CHARACTERS_MAX],
        paths=tuple(map(plain_pattern, asked.paths)),
        exclude=tuple(map(plain_pattern, asked.exclude)),
        expire_s=asked.expire,
        when=asked.when,
    )


def plain_pattern(pattern: str) -> str:
    """The pattern without ``./`` at its beginning, and without slashes at its end."""
    return pattern.removeprefix("./").rstrip("/")


def steps_with_files(candidates: StepCandidates) -> Iterator[tuple[str, int, CommandsStep | PluginStep, str]]:
    """Each step of the file that runs a program: its group, its index, and why it leaves no files; empty if it does."""
    for group, index, step, builds in steps_with_programs(candidates):
        yield group, index, step, _why_no_files(group, step, builds=builds)


def check_artifacts(candidates: StepCandidates) -> None:
    """Reports artifacts that no step could keep."""
    job = candidates.job
    for group, index, step, why in steps_with_files(candidates):
        if step.artifacts is not None:
            name = step.name or f"step-{index}"
            if why:
                place = job.located.key_place(group, index, "artifacts")
                job.diagnostics.error(place, f"step '{name}' keeps no artifacts: {why}", "let another step do it")
            _check(job, (group, index, "artifacts"), name, step.artifacts)


def _why_no_files(group: str, step: CommandsStep | PluginStep, *, builds: bool) -> str:
    """Why no files of this step are read when it has ended; empty if they can be."""
    if group == "clone":
        return "it makes the checkout"
    if builds:
        return "it builds or pushes an image, and writes no files"
    return "with 'detach' it has no end of its own" if step.detach else ""


def _check(job: JobInput, where: tuple[str, int, str], name: str, asked: Artifacts) -> None:
    for key, patterns in (("paths", asked.paths), ("exclude", asked.exclude)):
        wrong_patterns(job, (*where, key), name, patterns, "artifacts")
    if not is_one_line(asked.name) or len(asked.name) > NAME_CHARACTERS_MAX:
        message = f"the name of artifacts is one line of at most {NAME_CHARACTERS_MAX} characters"
        job.diagnostics.error(job.place(*where, "name"), message, "shorten it")


def wrong_patterns(
    job: JobInput, where: tuple[str | int, ...], name: str, patterns: tuple[str, ...], what: str
) -> None:  # fmt: skip
    """Reports patterns of the step ``name`` that are none, or too many."""
    if len(patterns) > PATTERNS_COUNT_MAX:
        message = f"step '{name}' has {len(patterns)} patterns, and at most {PATTERNS_COUNT_MAX} are read"
        job.diagnostics.error(job.place(*where), message, "name a folder in place of its files")
    for index, pattern in enumerate(patterns[:PATTERNS_COUNT_MAX]):
        if why := next(_wrong(pattern), ""):
            message = f"'{visible_line(pattern[:NAME_CHARACTERS_MAX])}' cannot be a pattern of {what}: {why}"
            job.diagnostics.error(job.place(*where, index), message, _PATTERN_HINT)


def _wrong(pattern: str) -> Iterator[str]:
    """Why this is no pattern of files below the folder in which the step starts."""
    try:
        matches(plain_pattern(pattern), "name")
        choices = list(expand_braces(pattern))
    except BadPatternError as error:
        yield str(error)
    else:
        yield from _wrong_choices(choices)
    if not pattern.isprintable():
        yield "it has a character that cannot be shown"


def _wrong_choices(choices: Iterable[str]) -> Iterator[str]:
    for choice in choices:
        if choice.startswith("/"):
            yield "it begins with a slash"
        elif ".." in choice.split("/"):
            yield "'..' leaves the folder"
        elif normpath(choice) == "." or plain_pattern(choice) == "":
            yield "it names no file; '**' stands for all"


def restored_from(job: JobInput) -> tuple[str, ...]:
    """The workflows whose artifacts the job gets: all that it depends on, or those that ``from`` names."""
    needs = tuple(dict.fromkeys(dependency.name for dependency in job.workflow.depends_on))
    if job.workflow.artifacts is None:
        return needs
    names = tuple(dict.fromkeys(job.workflow.artifacts.from_))
    for index, name in enumerate(job.workflow.artifacts.from_):
        if name not in needs:
            place = job.place("artifacts", "from", index)
            message = f"artifacts are asked of workflow '{visible_line(name)}', which is not in 'depends_on'"
            hint = did_you_mean(name, needs) or "add it there: its artifacts are kept when it has ended"
            job.diagnostics.error(place, message, hint)
    return names
