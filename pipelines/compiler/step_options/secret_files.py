"""Plans the secrets that a step gets as files, and reports places that no such file can have."""

import re
from collections.abc import Iterator
from posixpath import dirname, normpath

from pipelines.compiler.job_input import JobInput
from pipelines.compiler.selection.step_candidates import StepCandidates, steps_with_programs
from pipelines.compiler.workspace import HIDES, NEEDED
from pipelines.model.workflow import CommandsStep, PluginStep
from pipelines.step_options.secret_files import FILES_COUNT_MAX, PATH_BYTES_MAX, SecretFile
from pipelines.syntax.diagnostics import Place
from pipelines.visible import visible_line

_HINT = "write for example file: /run/secrets/NAME"
# As for the workspace: they stand between the parts of a mount, or change how it is read.
_NOT_IN_A_PATH = re.compile(r"[:,\"\\]")
_SHARED = frozenset(
    {"/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var", "/var/lib", "/var/run", "/var/tmp"}  # noqa: S108 - refused
)
_HOME = re.compile(r"/home/[^/]+")
_OWN = "/.headway"


def plan_secret_files(step: CommandsStep | PluginStep) -> tuple[SecretFile, ...]:
    """The files of the step. They have been checked."""
    return tuple(
        SecretFile(secret=each.source.lower(), path=normpath(each.file), mode=each.mode) for each in step.secrets
    )


def check_secret_files(candidates: StepCandidates) -> None:
    """Reports files of secrets that no step could have."""
    job = candidates.job
    for group, index, step, native in steps_with_programs(candidates):
        if not step.secrets:
            continue
        label = f"step '{step.name or f'step-{index}'}'"
        if why := _why_none(group, native=native):
            place = job.located.key_place(group, index, "secrets")
            job.diagnostics.error(place, f"{label} has no files of secrets: {why}", "let another step have them")
        for place, message, hint in _wrong(job, (group, index, "secrets"), step, label):
            job.diagnostics.error(place, message, hint)


def _why_none(group: str, *, native: bool) -> str:
    if group == "clone":
        return "it makes the checkout"
    return "it builds or pushes an image; `secrets` of a `build` are mounted in the Dockerfile" if native else ""


Found = Iterator[tuple[Place, str, str]]


def _wrong(job: JobInput, where: tuple[str, int, str], step: CommandsStep | PluginStep, label: str) -> Found:
    if len(step.secrets) > FILES_COUNT_MAX:
        message = f"{label} has {len(step.secrets)} files of secrets, and at most {FILES_COUNT_MAX} are possible"
        yield job.place(*where), message, "put values that belong together into one secret"
        return
    taken = _taken(step)
    paths = [normpath(each.file) for each in step.secrets]
    for index, each in enumerate(step.secrets):
        place = job.place(*where, index)
        path, shown = paths[index], visible_line(each.file[:80])
        if not each.source.strip():
            yield place, f"a file of {label} does not say which secret it has", "write source: NAME"
        elif why := _why_no_place(job, each.file, path):
            yield place, f"'{shown}' cannot be the file of a secret: {why}", _HINT
        elif paths.index(path) < index:
            yield place, f"{label} has two secrets in the file '{shown}'", "name another file"
        elif key := taken.get(dirname(path)):
            message = f"the folder of '{shown}' is in memory, for secrets alone, but '{key}' of {label} has it too"
            yield place, message, "name a file in another folder"
        elif any(other.startswith(f"{path}/") for other in paths):
            yield place, f"'{shown}' is a file and a folder of secrets in {label}", "name another file"


def _taken(step: CommandsStep | PluginStep) -> dict[str, str]:
    """Folders in which the step mounts something else, and the key that says so."""
    found = {normpath(entry.partition(":")[0]): "tmpfs" for entry in step.tmpfs}
    found |= {normpath(parts[1]): "volumes" for entry in step.volumes if len(parts := entry.split(":")) > 1}
    return found | {normpath(path): "cache" for cache in step.cache for path in cache.paths if path.startswith("/")}


def _why_no_place(job: JobInput, written: str, path: str) -> str:
    if not written.isprintable() or _NOT_IN_A_PATH.search(written) or len(written.encode()) > PATH_BYTES_MAX:
        return f"it is not a path of at most {PATH_BYTES_MAX} bytes without colons, commas, quotes and backslashes"
    if not written.startswith("/") or written.startswith("//") or written.endswith("/"):
        return "it is not the absolute path of a file"
    if ".." in written.split("/"):
        return "'..' leaves the folder in which it is"
    folder, base = dirname(path), job.workspace.base
    if folder in {"", *HIDES, *_SHARED} or NEEDED.match(folder) or _HOME.fullmatch(folder):
        return f"its folder is in memory, and would hide {folder or '/'} of the image"
    if f"{folder}/".startswith((f"{base}/", f"{_OWN}/")) or f"{base}/".startswith(f"{folder}/"):
        return f"its folder is in memory, and would hide {base if not folder.startswith(_OWN) else _OWN}"
    return ""
