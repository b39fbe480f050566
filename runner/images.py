"""Makes sure that an image is in the engine, with the progress of its pull in the step's log."""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from pipelines.state import Reason
from runner.engine import Engine, Login
from runner.errors import MachineError, StepError
from runner.faults import classify_text, is_refusal
from runner.heed import heed
from runner.names import registry_host
from runner.output import Write

_ABSENT = ("not found", "manifest unknown", "does not exist", "no such image", "repository name not known")


class Images:
    """The images of one job. Two steps that want the same one pull it once, and get the same one.

    ``check`` is asked in mid-pull, and may raise to end it.
    """

    def __init__(self, engine: Engine, logins: Mapping[str, Login], check: Callable[[], None]) -> None:
        self._engine = engine
        self._logins = logins
        self._check = check
        self._pulled: set[str] = set()
        self._locks: dict[str, Lock] = {}
        self._guard = Lock()

    def ensure(self, name: str, write: Write, *, newest: bool = False) -> dict[str, Any]:
        """The engine's description of the image, pulled if it is not here, or always with ``newest``."""
        with self._guard:
            lock = self._locks.setdefault(name, Lock())
        with lock:
            here = self._engine.image(name)
            if here is None or (newest and name not in self._pulled):
                pull(self._engine, name, self._logins.get(registry_host(name)), write, self._check)
                self._pulled.add(name)
                here = self._engine.image(name)
        if here is None:
            raise MachineError(Reason.INTERNAL, f"the image {name} was pulled and is not in the engine")
        return here


def pull(engine: Engine, name: str, login: Login | None, write: Write, check: Callable[[], None]) -> None:
    """Pulls an image and writes a line for every layer that arrives. Raises StepError or MachineError."""
    write(f"pulling {name}")
    try:
        for message in heed(engine.pull(name, login), check):
            if "error" in message:
                raise pull_error(name, str(message["error"]), with_login=login is not None)
            line = _progress_line(message)
            if line:
                write(line)
    except MachineError as error:
        if error.reason is Reason.INTERNAL:
            raise pull_error(name, str(error), with_login=login is not None) from error
        raise
    except StepError as error:
        if error.reason is Reason.INVALID_PIPELINE:
            raise pull_error(name, str(error), with_login=login is not None) from error
        raise


def pull_error(name: str, text: str, *, with_login: bool) -> StepError:
    """Why a pull failed, as our error: no such image, no right to it, or a registry that does not answer."""
    low = text.lower()
    if is_refusal(text):
        hint = "check the name"
        hint += ", and the credentials" if with_login else f", or log in: headway registry login {registry_host(name)}"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the registry gives no access to the image {name}; {hint}")
    if "invalid reference format" in low or "must be lowercase" in low:
        return StepError(Reason.IMAGE_NOT_FOUND, f"{name!r} cannot be the name of an image: {text.strip()}")
    if any(sign in low for sign in _ABSENT):
        return StepError(Reason.IMAGE_NOT_FOUND, f"there is no image {name}; check its name and tag")
    return classify_text(text)


def _progress_line(message: dict[str, Any]) -> str:
    """A line worth keeping: the end of a layer or of the pull, not the hundreds of steps between."""
    status = str(message.get("status", ""))
    if status in {"Pull complete", "Already exists"}:
        return f"  {message.get('id', '')}: {status.lower()}"
    if status.startswith(("Digest:", "Status:")):
        return f"  {status}"
    return ""
