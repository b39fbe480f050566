"""Why a build failed, by the output of its client: one error that says what, where, and what to do."""

import os
import re
from contextlib import suppress
from pathlib import Path

from pipelines.images import cache_export, platforms
from pipelines.state import Reason
from runner.builds.progress import FOREIGN_PROGRAM, Progress
from runner.docker.error_mapping import classify_text, is_other_platform, is_refusal
from runner.docker.registry_answers import TransientRegistryError, transient_answer_of_build
from runner.errors import MachineError, StepError

_ENGINE_GONE = ("Cannot connect to the Docker daemon", "failed to receive status", "error reading from server")
_WRAPPING = re.compile(
    r"^(?:failed to build: )?(?:failed to solve(?: with frontend dockerfile\.v0)?: )?"
    r"(?:failed to create LLB definition: )?"
)
"""Prefixes of the error message: the first is from buildx 0.28 and newer, the last from Docker 20.10."""
_SHOWN = re.compile(r" > (\[.+\] .+):")
"""The line with the failed instruction in the output of clients without rawjson progress."""
_COMMAND_FAILED = ('process "', "executor failed running [")
"""The start of the error message if a command of RUN failed; the second is from Docker 20.10."""
_NO_EXPORT = "Cache export is not supported"
_PANIC = "panic: "
_PANIC_WITHOUT_LAYERS = "grpcclient.convertRef("
"""In a stack trace of buildx 0.13, which cannot build an image without a layer for several platforms."""
_NOT_UTF8 = "string field contains invalid UTF-8"
"""BuildKit of Docker 28 and newer cannot send such a name (protobuf)."""
_UNREADABLE = re.compile(r"error from sender: (?:open|lstat|readlink|read) (?P<path>[^\n]+): permission denied")
"""Where Headway's user is not root: a step in a container of an engine of that user's own may take its rights away."""
_LOOKED_AT_COUNT_MAX = 100_000


def failure(progress: Progress, output: list[str], context: Path) -> StepError:
    """The error for a failed build: with the instruction and its lines, or with the cause outside the Dockerfile."""
    last = next((line for line in reversed(output) if line), "")
    error = next((line.removeprefix("ERROR: ") for line in reversed(output) if line.startswith("ERROR: ")), last)
    error = _WRAPPING.sub("", error) or "the build client ended without an error message"
    place = next((line for line in output if re.fullmatch(r"\S+:\d+", line)), "")
    at = f" ({place})" if place else ""
    if error.startswith(_COMMAND_FAILED):
        return _of_command(progress, output, error, at)
    if of_client := _client_error(error, output, context):
        return of_client
    if any(sign in error for sign in _ENGINE_GONE):
        return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away while the image was built: {error}")
    if answer := transient_answer_of_build(error):
        return TransientRegistryError("the image cannot be built: ", answer)
    known = classify_text(error)
    if known.reason is not Reason.INTERNAL:
        return known
    if base := _base_image_error(error, at):
        return base
    if progress.failed:
        return StepError(
            Reason.BUILD_FAILED, f"the instruction {progress.failed.text!r} failed{at}: {progress.failed.error}"
        )
    return StepError(Reason.BUILD_FAILED, f"the image could not be built{at}: {error}")


def _of_command(progress: Progress, output: list[str], error: str, at: str) -> StepError:
    # The user's own command failed. Its text is in the message, so the tests for other errors must not see it.
    shown = next((found[1] for line in output if (found := _SHOWN.fullmatch(line))), "RUN")
    named = progress.failed.text if progress.failed else shown
    foreign = progress.foreign_program or any(line.endswith(FOREIGN_PROGRAM.decode()) for line in output)
    hint = f"; this machine cannot run programs of that platform: {platforms.EMULATION}" if foreign else ""
    return StepError(Reason.BUILD_FAILED, f"the instruction {named!r} failed{at}: {error}{hint}")


def _client_error(error: str, output: list[str], context: Path) -> StepError | None:
    """The error where the client itself crashed, or cannot do what the step asks for, or with such a context."""
    panic = next((line for line in output if line.startswith(_PANIC)), "")
    if panic and not any(line.startswith("ERROR: ") for line in output):
        empty = any(_PANIC_WITHOUT_LAYERS in line for line in output)
        hint = "an image of several platforms needs a file in it: add a COPY, or " if empty else ""
        what = f"the build client crashed: {panic}"
        return StepError(Reason.BUILD_FAILED, f"{what}; {hint}upgrade docker's buildx plugin")
    if error.startswith(_NO_EXPORT):
        return StepError(Reason.INVALID_PIPELINE, f"{cache_export.NEED}; {cache_export.REMEDY}")
    if unreadable := _UNREADABLE.search(error):
        name = os.path.relpath(unreadable["path"], context)
        what = f"Headway's user may not read {name} of the build context"
        return StepError(Reason.BUILD_FAILED, f"{what}; give it rights (chmod -R u+rX), or name it in .dockerignore")
    if _NOT_UTF8 in error:
        name = _name_not_utf8(context)
        what = f"the build context has a file name that is not UTF-8{name and f', {name}'}"
        hint = "rename it, or name it in .dockerignore"
        return StepError(Reason.BUILD_FAILED, f"{what}, which this BuildKit does not take; {hint}")
    return None


def _base_image_error(error: str, at: str) -> StepError | None:
    if is_other_platform(error):
        hint = (
            "name only platforms under 'platforms' that it has, use another image in FROM, or take it for this machine "
            "alone (FROM --platform=$BUILDPLATFORM)"
        )
        return StepError(
            Reason.IMAGE_NOT_FOUND, f"a base image does not exist for a platform of the build{at}: {error}; {hint}"
        )
    if _is_about_base_image(error):
        hint = "check the name in FROM; for a private image log in: headway registry login HOST"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the base image cannot be pulled: {error}; {hint}")
    return None


def _is_about_base_image(error: str) -> bool:
    resolving = "failed to resolve source metadata" in error or "failed to authorize" in error
    if re.fullmatch(r"[^\s\"]+: not found|pulling from host \S+ failed with status code .*: 40[13] .*", error):
        return True  # the messages of Docker 20.10
    return "pull access denied" in error or (resolving and ("not found" in error or is_refusal(error)))


def _name_not_utf8(context: Path) -> str:
    """The first such path in the context, with its bytes escaped; an empty text if it is not found soon."""
    folders, looked_at = [os.fsencode(context)], 0
    while folders and looked_at < _LOOKED_AT_COUNT_MAX:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                looked_at += 1
                try:
                    entry.name.decode()
                except UnicodeDecodeError:
                    return os.path.relpath(entry.path, os.fsencode(context)).decode(errors="backslashreplace")
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return ""
