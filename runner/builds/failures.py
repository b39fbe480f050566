"""Why a build failed, by the output of its client: one error that says what, where, and what to do."""

import os
import re
from contextlib import suppress
from pathlib import Path

from pipelines import cache_export, platforms
from pipelines.state import Reason
from runner.builds.progress import FOREIGN_PROGRAM, Progress
from runner.docker.error_mapping import classify_text, is_refusal
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
_NOT_UTF8 = "string field contains invalid UTF-8"
"""BuildKit of Docker 28 and newer cannot send such a name (protobuf)."""
_LOOKED_AT_COUNT_MAX = 100_000


def failure(progress: Progress, output: list[str], context: Path) -> StepError:
    """The error for a failed build: with the instruction and its lines, or with the cause outside the Dockerfile."""
    last = next((line for line in reversed(output) if line), "")
    error = next((line.removeprefix("ERROR: ") for line in reversed(output) if line.startswith("ERROR: ")), last)
    error = _WRAPPING.sub("", error) or "the build client ended without an error message"
    place = next((line for line in output if re.fullmatch(r"\S+:\d+", line)), "")
    at = f" ({place})" if place else ""
    if error.startswith(_COMMAND_FAILED):
        # The user's own command failed. Its text is in the message, so the tests for other errors must not see it.
        shown = next((found[1] for line in output if (found := _SHOWN.fullmatch(line))), "RUN")
        named = progress.failed.text if progress.failed else shown
        foreign = progress.foreign_program or any(line.endswith(FOREIGN_PROGRAM.decode()) for line in output)
        hint = f"; this machine cannot run programs of that platform: {platforms.EMULATION}" if foreign else ""
        return StepError(Reason.BUILD_FAILED, f"the instruction {named!r} failed{at}: {error}{hint}")
    if _NOT_UTF8 in error:
        name = _name_not_utf8(context)
        what = f"the build context has a file name that is not UTF-8{name and f', {name}'}"
        hint = "rename it, or name it in .dockerignore"
        return StepError(Reason.BUILD_FAILED, f"{what}, which this BuildKit does not take; {hint}")
    if _NO_EXPORT in error:
        return StepError(Reason.INVALID_PIPELINE, f"{cache_export.NEED}; {cache_export.REMEDY}")
    if any(sign in error for sign in _ENGINE_GONE):
        return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away while the image was built: {error}")
    known = classify_text(error)
    if known.reason is not Reason.INTERNAL:
        return known
    if _is_about_base_image(error):
        hint = "check the name in FROM; for a private image log in: headway registry login HOST"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the base image cannot be pulled: {error}; {hint}")
    if progress.failed:
        return StepError(
            Reason.BUILD_FAILED, f"the instruction {progress.failed.text!r} failed{at}: {progress.failed.error}"
        )
    return StepError(Reason.BUILD_FAILED, f"the image could not be built{at}: {error}")


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
