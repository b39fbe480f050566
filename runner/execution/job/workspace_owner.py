"""Lets steps of any user write to the checkout, although its files have git's modes: they belong to the step's user.

Only its owner and root can write to a file of mode 0644. So before a step that runs as another user starts,
the workspace is given to that user. It happens in a container that sees nothing but the workspace: a step that runs
meanwhile may put links in the place of folders.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock

from runner.docker.client import Engine
from runner.docker.containers.folders import Folder, machine_programs
from runner.docker.containers.specs import ContainerSpec
from runner.docker.containers.users import Users, users_of
from runner.docker.images.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from runner.errors import StepError

PASSWD_BYTES_MAX = 1024 * 1024
_CHANGE_S_MAX = 600
_MOUNT = "/workspace"


def user_number(user: str, passwd: Callable[[], bytes | None]) -> int | None:
    """The number of a container's user, which is NAME or NUMBER, with a group or without; None if it is not known."""
    name = user.partition(":")[0]
    if name in {"", "root"}:
        return 0
    if name.isascii() and name.isdigit():
        return int(name)
    for line in (passwd() or b"").decode(errors="replace").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():  # noqa: PLR2004 - name, password, number
            return int(fields[2])
    return None


class WorkspaceOwner:
    """To whom the workspace of one job belongs. ``folder`` is what containers mount; no step can replace it."""

    def __init__(self, engine: Engine, folder: Path, labels: Mapping[str, str], note: Callable[[str], None]) -> None:
        self._engine = engine
        self._folder = folder
        self._labels = labels
        self._note = note
        self._lock = Lock()
        self._users: Users | None = None
        self._owner: int | None = None
        self._open = False
        self._running: list[int | None] = []

    @property
    def state(self) -> tuple[int | None, bool]:
        """To whom the workspace belongs, as far as it is known, and whether all may write to it."""
        return self._owner, self._open

    def resume(self, state: tuple[int | None, bool]) -> None:
        """Goes on where an earlier process of this job stood."""
        with self._lock:
            self._know_users()
            self._owner, self._open = state

    def forget(self) -> None:
        """Called for files of an earlier job: they may be any user's."""
        with self._lock:
            self._know_users()
            self._owner, self._open = None, False

    def go_on(self, user: int | None) -> None:
        """Called in place of ``enter`` for a step of ``user`` that runs already."""
        with self._lock:
            self._running.append(user)

    def enter(self, user: int | None, image: str) -> None:
        """Called before a step of ``user`` runs (None: not known) in a container of ``image``."""
        with self._lock:
            self._know_users()
            self._running.append(user)
            others = {other for other in self._running if other not in {0, user}}
            if self._open or self._suits(user, alone=not others):
                return
            if user is None or (others and user != 0):
                # Two users at the same time, neither of them root: nothing but this lets both write.
                self._open = self._change(["chmod", "-R", "a+rwX"], image)
            elif self._change(["chown", "-Rh", self._number_outside(user)], image):
                self._owner = user

    def give_to_root(self) -> None:
        """Called before services start, whose root may be a user to whom nothing belongs yet: with userns-remap."""
        with self._lock:
            if self._know_users().owner is not None:
                return
            if self._change(["chown", "-Rh", self._number_outside(0)], SANDBOX_IMAGE):
                self._owner = 0

    def _know_users(self) -> Users:
        if self._users is None:
            self._users = users_of(self._engine.info(), os.geteuid())
            self._owner = self._users.owner
        return self._users

    def leave(self, user: int | None) -> None:
        """Called when the step has ended."""
        with self._lock:
            self._running.remove(user)

    def _suits(self, user: int | None, *, alone: bool) -> bool:
        """True if the workspace may stay whose it is. Root may write to all, but git wants its folder to be root's."""
        if user == 0 and self._owner is not None:
            return not alone or self._owner in {0, self._users.owner if self._users else 0}
        return user is not None and user == self._owner

    def _number_outside(self, user: int) -> str:
        offset = self._users.offset if self._users else None
        if offset is None or offset == (0, 0):
            return str(user)
        # A container's root may write to a file only if its container has the file's group, too.
        return f"{offset[0] + user}:{offset[1]}"

    def _change(self, command: Sequence[str], image: str) -> bool:
        """Runs the program on the workspace; False, with a note, if that is not possible."""
        remapped = self._users is not None and self._users.offset != (0, 0)
        # With userns-remap this needs root of this machine, which a program of the user's image must not be.
        problem = ""
        for each in dict.fromkeys((SANDBOX_IMAGE,) if remapped else (image, SANDBOX_IMAGE)):
            try:
                status = self._run(self._spec(command, each, host=remapped))
            except StepError as error:
                problem = str(error)
                continue
            if status == 0:
                return True
            problem = f"`{' '.join(command)}` ended with {status}"
        self._note(f"the checkout could not be made writable for the step's user: {problem}; let the step run as root")
        return False

    def _spec(self, command: Sequence[str], image: str, *, host: bool) -> ContainerSpec:
        """A container that runs the program of the image, or this machine's own in the sandbox, which has none."""
        programs: tuple[Folder, ...] = ()
        if image == SANDBOX_IMAGE:
            ensure_sandbox_image(self._engine)
            programs, command = machine_programs(), (f"/bin/{command[0]}", *command[1:])
        return ContainerSpec(
            image=image,
            labels=self._labels,
            network="none",
            entrypoint=(*command, _MOUNT),
            folders=(Folder(self._folder, _MOUNT), *programs),
            user="0:0",
            user_namespace="host" if host else "",
        )

    def _run(self, spec: ContainerSpec) -> int | None:
        container = self._engine.create(spec)
        try:
            self._engine.start(container)
            return self._engine.wait(container, _CHANGE_S_MAX)
        finally:
            self._engine.remove(container)
