"""The errors of the runner: StepError if the step is at fault, MachineError if the machine is."""

import errno

from pipelines.state import Outcome, Reason, State


class StepError(Exception):
    """The step failed for a reason that the user can fix."""

    state = State.FAILED
    detail = ""
    """What another program said of it, in its own words."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)

    @property
    def outcome(self) -> Outcome:
        """How the step ended."""
        return Outcome(self.state, self.reason, str(self), detail=self.detail)


class CanceledError(StepError):
    """The job was canceled."""

    state = State.CANCELED


class MachineError(StepError):
    """The machine, or a service that it depends on, is broken. The user's pipeline is not at fault."""

    state = State.BROKEN


class DiskNearlyFullError(MachineError):
    """What runs must stop: what it writes would leave no room for the database. The sentence says so."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Reason.DISK_FULL, sentence)


class NoAddressError(MachineError):
    """The engine has no free address range for one more network: other networks must be removed first."""

    def __init__(self, detail: str) -> None:
        hint = (
            "remove unused ones (docker network prune), or set more default-address-pools in the engine's daemon.json"
        )
        super().__init__(Reason.INTERNAL, f"the engine has no address left for the job's network ({detail}); {hint}")


class UnseenFolderError(MachineError):
    """The engine does not see a folder of Headway: the engine or Headway runs in a container, a VM, or elsewhere."""

    def __init__(self, detail: str) -> None:
        if "permission denied" in detail:
            share = "let the engine's user enter all folders above it (an engine without root is an ordinary user)"
        else:
            share = "share the folder with the engine's machine under the same path"
        hint = (
            f"{share}; or set TMPDIR (on a server HEADWAY_DATA_DIR) to a folder that it sees; "
            "or run Headway on the engine's machine"
        )
        what = f"the Docker Engine does not see a folder of Headway ({detail})"
        super().__init__(Reason.ENGINE_UNSUITABLE, f"{what}; {hint}")


def with_prefix(error: StepError, prefix: str) -> StepError:
    """The same error with more words in front."""
    made = type(error).__new__(type(error))
    made.__dict__.update(error.__dict__)
    made.args = (f"{prefix}{error}",)
    return made


def as_step_error(error: StepError | OSError) -> StepError:
    """A StepError as it is; an OSError as a MachineError."""
    if isinstance(error, StepError):
        return error
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return MachineError(Reason.DISK_FULL, f"the disk is full: {error}; make room and re-run")
    return MachineError(Reason.INTERNAL, f"the operating system refused: {error}")
