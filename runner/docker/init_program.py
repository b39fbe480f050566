"""The first process of a step's or service's container: a program of Headway's own, in place of docker-init.

docker-init ends with the program that it starts, and the kernel then kills all others. This one forwards SIGTERM to all
processes of the container and waits for the last of them. It is also the gate (runner/execution/container/gate.py).
Its source is init/init.c.
"""

import os
from pathlib import Path

from pipelines.state import Reason
from runner.docker.containers.folders import Folder
from runner.errors import MachineError

INIT_FOLDER = "/.headway"
"""Where containers see the program, and the script of their step."""
SCRIPT = f"{INIT_FOLDER}/commands"
GATE_ENTRYPOINT = (f"{INIT_FOLDER}/init", "gate", "sh", SCRIPT)
GIT_GATE_ENTRYPOINT = (f"{INIT_FOLDER}/init", "gate-git", "sh", SCRIPT)
"""A gate that writes the setting of runner/execution/job/git_settings.py itself: for containers of root."""
RUN_ENTRYPOINT = (f"{INIT_FOLDER}/init", "run")
"""To be followed by a program and its arguments."""
MEASURE_TOKEN_BYTES_MAX = 94


def measured(token: str) -> tuple[str, ...]:
    """The same, for a container that reports what it used in a line that begins with this token."""
    return (f"{INIT_FOLDER}/init", "measure", token)


def with_files(entrypoint: tuple[str, ...]) -> tuple[str, ...]:
    """An entrypoint of the above that first writes files, which begin its standard input."""
    program, *rest = entrypoint
    return (program, "files", *rest)


BROKEN_OFF_STATUS = 125
"""How one ends that did not get its whole script or files, without a report: no command of them has run."""
_PROGRAMS = Path(__file__).with_name("init")


def init_program(arch: str) -> bytes:
    """The program for the architecture ``arch``. Raises MachineError if there is none for it."""
    try:
        return (_PROGRAMS / f"init-{arch}").read_bytes()
    except FileNotFoundError:
        known = " and ".join(sorted(path.name.removeprefix("init-") for path in _PROGRAMS.glob("init-*")))
        message = f"the Docker Engine runs on {arch}; Headway can work with {known}"
        raise MachineError(Reason.ENGINE_UNSUITABLE, message) from None


def noexec_problem(folder: Path) -> str:
    """Why no program in this folder can be started, or an empty text. Containers mount it with the same options."""
    if not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):  # macOS does not say
        return ""
    hint = "let TMPDIR, or on a server HEADWAY_DATA_DIR, name a folder on another one"
    return f"no container can run programs from {folder}: its file system is mounted with `noexec`; {hint}"


def init_folder(folder: Path) -> Folder:
    """How containers mount the ``folder`` with the program."""
    return Folder(folder, INIT_FOLDER, read_only=True)


def write_init(folder: Path, arch: str) -> None:
    """Writes the program into the new ``folder``. Raises MachineError and OSError."""
    program = init_program(arch)
    if problem := noexec_problem(folder.parent):
        raise MachineError(Reason.ENGINE_UNSUITABLE, problem)
    folder.mkdir()
    (folder / "init").write_bytes(program)
    (folder / "commands").symlink_to("/proc/self/fd/3")
    for path in (folder, folder / "init"):
        path.chmod(0o755)  # for all users, because steps may run as any user; whatever the umask is
