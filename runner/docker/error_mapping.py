"""What the Docker Engine says when something goes wrong, as our errors: each with its reason, and whose fault it is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from types import ModuleType
from typing import TYPE_CHECKING

from pipelines.state import Reason
from runner.errors import MachineError, NoAddressError, RegistryBusyError, StepError, UnseenFolderError

if TYPE_CHECKING:
    from runner.docker.sdk import errors as _errors


# Of the SDK nothing is loaded before something has gone wrong: see ``Engine``.
# ruff: noqa: PLC0415


def sdk_errors() -> ModuleType:
    """The exceptions of Docker's SDK."""
    from runner.docker.sdk import errors

    return errors


def requests_errors() -> ModuleType:
    """The exceptions of the HTTP library below it."""
    from runner.docker.sdk import http_errors

    return http_errors


def _faults() -> tuple[type[Exception], ...]:
    from runner.docker.sdk import HTTPError

    sdk, http = sdk_errors(), requests_errors()
    return (sdk.DockerException, http.RequestException, HTTPError, HTTPException, OSError)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the SDK raises into our errors, each with its reason."""
    try:
        yield
    except _faults() as error:
        raise classify(error) from error


@contextmanager
def absent_is_fine(*, conflict: bool = False) -> Iterator[None]:
    """Lets pass that a thing is gone already or, with ``conflict``, that it is not running or being removed."""
    try:
        yield
    except sdk_errors().APIError as error:
        if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT if conflict else None}:
            raise


def start_error(error: "_errors.APIError") -> StepError:
    """Why a container could not be started."""
    text = str(error.explanation or error)
    if "exec" in text and ("executable file not found" in text or "no such file or directory" in text):
        hint = "a step with commands needs an image that has a shell (sh); use another image, or `entrypoint`"
        return StepError(Reason.BAD_COMMAND, f"the image cannot run the step's command: {_first_line(text)}; {hint}")
    if "permission denied" in text:
        return StepError(Reason.BAD_COMMAND, f"the step's command is not executable: {_first_line(text)}")
    if "error setting rlimit" in text:
        hint = "it may not have more itself: raise its LimitNOFILE, or lower HEADWAY_STEP_FILES_MAX"
        return MachineError(Reason.ENGINE_UNSUITABLE, f"the engine cannot set a limit ({_first_line(text)}); {hint}")
    if any(sign in text for sign in _USERS_FAULT):
        return StepError(
            Reason.INVALID_PIPELINE, f"the container cannot be what the step asks for: {_first_line(text)}"
        )
    return classify(error)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip() if text.strip() else text


_USERS_FAULT = ("unable to find user", "no matching entries", "gathering device information", "error mounting")
# For these the engine answers with its own failing (500) where it means the caller's.
_ASKED_WRONG = ("invalid mount", "invalid volume", "bad nameserver", "invalid reference format")
# Of Docker Engine for a mount, and of Docker Desktop for a folder that it does not share.
_UNSEEN = ('mount config for type "bind": stat /', "bind source path does not exist", "mounts denied")
# Of Docker Engine 26 and newer, and of older ones.
_NO_ADDRESS = ("all predefined address pools have been fully subscribed", "non-overlapping ipv4 address pool")
_UNREACHABLE = (
    "connection refused",
    "no such host",
    "i/o timeout",
    "no route to host",
    "tls handshake",
    "server misbehaving",
    "network is unreachable",
    "connection reset by peer",
    "client.timeout exceeded",
)
# Of the engine's own image store, and of containerd's: `unexpected status from HEAD request to http://...: 503 ...`.
_FAULT_OF_REGISTRY = re.compile(r"unexpected (?:http status|status from \S+ request to \S+): 5\d\d ")
_REFUSED = ("denied", "unauthorized", "authentication required", "no basic auth credentials", "forbidden")


def classify(error: Exception) -> StepError:
    """Our error for what the engine said."""
    explanation = getattr(error, "explanation", None)
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else str(explanation or error)
    if isinstance(error, sdk_errors().APIError):
        known = classify_text(text)
        asked_wrong = error.status_code == HTTPStatus.BAD_REQUEST or any(sign in text for sign in _ASKED_WRONG)
        if asked_wrong and known.reason is Reason.INTERNAL:
            return StepError(Reason.INVALID_PIPELINE, f"the Docker Engine does not take what the step asks for: {text}")
        return known
    return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away in mid-work: {_first_line(text)}")


def classify_text(text: str) -> StepError:
    """Our error for a sentence of the engine's, as it stands in an answer or in the stream of a pull or push."""
    low = text.lower()
    if "no space left on device" in low:
        return MachineError(
            Reason.DISK_FULL, f"the disk of the Docker Engine is full: {text.strip()}; make room and re-run"
        )
    if any(sign in low for sign in _UNSEEN):
        return UnseenFolderError(_first_line(text) if "\n" not in text.strip() else " ".join(text.split()))
    if any(sign in low for sign in _NO_ADDRESS):
        return NoAddressError(_first_line(text))
    if _FAULT_OF_REGISTRY.search(low):
        return RegistryBusyError(Reason.REGISTRY_UNREACHABLE, f"the registry cannot be reached: {text.strip()}")
    if tls := _tls_error(text):
        return tls
    if any(sign in low for sign in _UNREACHABLE):
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the registry cannot be reached: {text.strip()}")
    return MachineError(Reason.INTERNAL, f"the Docker Engine said: {text.strip()}")


def _tls_error(text: str) -> MachineError | None:
    """Our error where a registry and who asks it do not agree on TLS; the remedy is the engine's configuration."""
    found = re.search(r"https?://([^/\s\"]+)", text)
    host, said = found[1] if found else "HOST", text.strip()
    if "server gave HTTP response to HTTPS client" in text:
        hint = f"give it a certificate, or add {host} to insecure-registries in the engine's daemon.json"
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the registry {host} speaks HTTP without TLS: {said}; {hint}")
    if "signed by unknown authority" in text:
        hint = f"put its authority's certificate on the engine's machine, as /etc/docker/certs.d/{host}/ca.crt"
        if re.search("fetch .*token", text):  # for a build that is asked for by its client, which is ours
            hint = "if it is from your company's own authority, name it in HEADWAY_CA_FILE"
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the certificate of {host} is not trusted: {said}; {hint}")
    if "x509: " in text:
        hint = "renew it, or reach the registry under a name that is in it"
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the certificate of {host} is not good: {said}; {hint}")
    return None


def is_refusal(text: str) -> bool:
    """True when a registry's sentence says that the credentials are missing or not good enough."""
    return any(sign in text.lower() for sign in _REFUSED)
