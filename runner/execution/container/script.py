"""The script of a step with commands: what its shell runs."""

import base64
import shlex
from collections.abc import Mapping, Sequence

from pipelines.environment.environment_size import WORD_BYTES_MAX, word_bytes
from pipelines.state import Reason
from runner.errors import StepError
from runner.execution.container.open_commands import OpenCommands


def missing_directory(directory: str) -> str:
    """What the log says where a step's directory is not there."""
    return f"the directory {directory} is not there, and is made; `directory` is relative to the checkout"


def script_of(
    commands: Sequence[str], directory: str, environment: Mapping[str, str], restore: Sequence[str] = ()
) -> str:
    """The script of a step: sets its late variables, changes to its folder, and prints each command before it runs.

    What the shell reads together, such as ``a |`` and the next command, is printed together before it. One shell runs
    all commands, with ``sh -e``, as in Woodpecker. If ``directory`` is empty, the step stays in the working directory
    of its image. ``restore`` are the lines that set the rest of the user's environment.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if directory:
        folder, told = shlex.quote(directory), shlex.quote(f"headway: {missing_directory(directory)}")
        lines += [f"[ -d {folder} ] || {{ printf '%s\\n' {told} >&2; mkdir -p {folder}; }}", f"cd {folder}"]
    lines += restore
    reader, waiting = OpenCommands(), list[str]()
    for command in commands:
        lines.append(f"printf '%s\\n' {shlex.quote('+ ' + command.strip())}")
        waiting.append(command)
        if reader.read(f"{command}\n"):
            continue  # a trace line behind `a |` or in quotes would become a part of it
        lines += waiting
        waiting.clear()
        if command.endswith("\\"):
            lines.append("")  # else the backslash would join the next line to this one
    lines += waiting
    return "\n".join(lines) + "\n"


def script_variable(script: str) -> str:
    """The script as an image's own entrypoint gets it, in a variable. Raises StepError if it is too long for one."""
    value = base64.b64encode(script.encode(errors="surrogateescape")).decode()
    if word_bytes("CI_SCRIPT", len(value)) > WORD_BYTES_MAX:
        hint = "put them into a file of the repository, or leave `entrypoint` out"
        message = f"the commands are too long for an image's own entrypoint, which gets them in a variable; {hint}"
        raise StepError(Reason.BAD_COMMAND, message)
    return value
