"""What can go wrong with the machine, and with what a step asks of it."""

import errno

from pipelines.state import Outcome, Reason, State


class StepError(Exception):
    """The step cannot do what it was asked; the reason is the user's to mend, and the step has failed."""

    state = State.FAILED

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)

    @property
    def outcome(self) -> Outcome:
        """How the step ended."""
        return Outcome(self.state, self.reason, str(self))


class CanceledError(StepError):
    """Somebody asked to stop in mid-work."""

    state = State.CANCELED


class MachineError(StepError):
    """The machine, or something it depends on, is broken: the verdict is not the user's fault."""

    state = State.BROKEN


class RegistryBusyError(MachineError):
    """A registry answered that it cannot serve now (HTTP 5xx): asking again may help."""


class NoAddressError(MachineError):
    """The engine has no address left for one more network: others must give theirs back."""

    def __init__(self, said: str) -> None:
        hint = (
            "remove unused ones (docker network prune), or set more default-address-pools in the engine's daemon.json"
        )
        super().__init__(Reason.INTERNAL, f"the engine has no address left for the job's network ({said}); {hint}")


class UnseenFolderError(MachineError):
    """The engine does not see a folder of ours: it runs on another machine, or in a virtual one, or we do."""

    def __init__(self, said: str) -> None:
        if "permission denied" in said:
            share = "let the engine's user enter all folders above it (an engine without root is an ordinary user)"
        else:
            share = "share the folder with the engine's machine under the same path"
        hint = (
            f"{share}; or let TMPDIR (on a server HEADWAY_DATA_DIR) name one that it sees; "
            "or run Headway on the engine's machine"
        )
        what = f"the Docker Engine does not see a folder of Headway ({said})"
        super().__init__(Reason.ENGINE_UNSUITABLE, f"{what}; {hint}")


def as_step_error(error: StepError | OSError) -> StepError:
    """Ours as it is; the operating system's as a fault of the machine."""
    if isinstance(error, StepError):
        return error
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return MachineError(Reason.DISK_FULL, f"the disk is full: {error}; make room and re-run")
    return MachineError(Reason.INTERNAL, f"the operating system refused: {error}")
