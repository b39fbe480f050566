"""Maps errors of the Docker Engine to Headway's errors: each with its reason, as the step's fault or the machine's."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from types import ModuleType

from pipelines.state import Reason
from runner.docker.references import registry_host
from runner.docker.registry_answers import TransientRegistryError, transient_answer
from runner.errors import MachineError, NoAddressError, StepError, UnseenFolderError, with_prefix

# The SDK is imported only if an error has occurred: see ``Engine``.
# ruff: noqa: PLC0415


class EngineAnswerError(Exception):
    """The engine answered a request that was sent without the SDK with an error status; ``explanation`` is its message.

    It is what ``APIError`` is for requests of the SDK.
    """

    def __init__(self, status_code: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status_code = status_code
        self.explanation = explanation


def answer_message(body: bytes) -> str:
    """The message in the body of an error, which is JSON where the engine itself answers."""
    words = body.decode(errors="replace")
    try:
        return str(json.loads(words)["message"])
    except (ValueError, KeyError, TypeError):
        return words.strip()


def sdk_errors() -> ModuleType:
    """The exceptions of Docker's SDK."""
    from runner.docker.sdk import errors

    return errors


def requests_errors() -> ModuleType:
    """The exceptions of requests, the HTTP library of the SDK."""
    from runner.docker.sdk import http_errors

    return http_errors


def _faults() -> tuple[type[Exception], ...]:
    from runner.docker.sdk import HTTPError

    sdk, http = sdk_errors(), requests_errors()
    return (sdk.DockerException, http.RequestException, HTTPError, HTTPException, OSError)


@contextmanager
def translated() -> Iterator[None]:
    """Turns errors of requests to the engine into Headway's errors, each with its reason."""
    try:
        yield
    except StepError:
        raise
    except EngineAnswerError as error:
        raise classify(error) from error
    except _faults() as error:
        raise classify(error) from error


@contextmanager
def absent_is_fine(*, conflict: bool = False) -> Iterator[None]:
    """Ignores that the object does not exist or, with ``conflict``, that it is stopped or being removed."""
    fine = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT if conflict else None}
    try:
        yield
    except EngineAnswerError as error:
        if error.status_code not in fine:
            raise
    except sdk_errors().APIError as error:
        if error.status_code not in fine:
            raise


def start_error(error: EngineAnswerError) -> StepError:
    """The error for a container that could not be started."""
    text = error.explanation
    if "exec" in text and ("executable file not found" in text or "no such file or directory" in text):
        hint = "a step with commands needs an image that has a shell (sh); use another image, or `entrypoint`"
        return StepError(Reason.BAD_COMMAND, f"the image cannot run the step's command: {_last_line(text)}; {hint}")
    if "permission denied" in text:
        return StepError(Reason.BAD_COMMAND, f"the step's command is not executable: {_last_line(text)}")
    if "error setting rlimit" in text:
        hint = "raise LimitNOFILE of the engine, or lower HEADWAY_STEP_FILES_MAX"
        return MachineError(Reason.ENGINE_UNSUITABLE, f"the engine cannot set a limit ({_last_line(text)}); {hint}")
    if any(sign in text for sign in _BAD_SETTINGS):
        return StepError(
            Reason.INVALID_PIPELINE, f"the container cannot be started as the step asks: {_last_line(text)}"
        )
    return classify(error)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip() if text.strip() else text


_BAD_SETTINGS = ("unable to find user", "no matching entries", "gathering device information", "error mounting")
# The engine answers these with status 500, although the request is wrong.
_BAD_REQUEST = ("invalid mount", "invalid volume", "bad nameserver", "invalid reference format")
# Docker Engine writes these for a mount, Docker Desktop ("mounts denied") for a folder that it does not share.
_UNSEEN = ('mount config for type "bind": stat /', "bind source path does not exist", "mounts denied")
# The first is from Docker Engine 26 and newer, the second from older ones.
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
# From the engine's own image store, or from containerd's. Most of them are transient: see registry_answers.py.
_REGISTRY_ERROR = re.compile(r"unexpected (?:http status|status from \S+ request to \S+): 5\d\d ")
_REFUSED = ("denied", "unauthorized", "authentication required", "no basic auth credentials", "forbidden")


def engine_words(error: Exception) -> str:
    """What the engine said, by the error of a request."""
    explanation = getattr(error, "explanation", None)
    return explanation.decode(errors="replace") if isinstance(explanation, bytes) else str(explanation or error)


def classify(error: Exception) -> StepError:
    """Headway's error for one of a request to the engine, sent by the SDK or without it."""
    text, status = engine_words(error), getattr(error, "status_code", None)
    if status is None:
        return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away during a request: {_last_line(text)}")
    known = classify_text(text)
    bad_request = status == HTTPStatus.BAD_REQUEST or any(sign in text for sign in _BAD_REQUEST)
    if bad_request and known.reason is Reason.INTERNAL:
        return StepError(Reason.INVALID_PIPELINE, f"the Docker Engine refuses what the step asks for: {text}")
    return known


def classify_text(text: str) -> StepError:
    """Headway's error for an error message of the engine, from a response or from the stream of a pull or push."""
    low = text.lower()
    if "no space left on device" in low:
        return MachineError(
            Reason.DISK_FULL, f"the disk of the Docker Engine is full: {text.strip()}; make room and re-run"
        )
    if any(sign in low for sign in _UNSEEN):
        return UnseenFolderError(_last_line(text) if "\n" not in text.strip() else " ".join(text.split()))
    if any(sign in low for sign in _NO_ADDRESS):
        return NoAddressError(_last_line(text))
    if tls := _tls_error(text):
        return tls
    if any(sign in low for sign in _UNREACHABLE) or _REGISTRY_ERROR.search(low):
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the registry cannot be reached: {text.strip()}")
    return MachineError(Reason.INTERNAL, f"the Docker Engine said: {text.strip()}")


def _tls_error(text: str) -> MachineError | None:
    """The error if TLS to a registry fails; the engine's configuration has to change."""
    found = re.search(r"https?://([^/\s\"]+)", text)
    host, detail = found[1] if found else "HOST", text.strip()
    if "server gave HTTP response to HTTPS client" in text:
        hint = f"give it a certificate, or add {host} to insecure-registries in the engine's daemon.json"
        return MachineError(
            Reason.REGISTRY_UNREACHABLE, f"the registry {host} speaks HTTP without TLS: {detail}; {hint}"
        )
    if "signed by unknown authority" in text:
        hint = f"copy its CA certificate to the engine's machine, as /etc/docker/certs.d/{host}/ca.crt"
        if re.search("fetch .*token", text):  # the build client asks for the token, not the engine
            hint = "if a private CA signed it, set HEADWAY_CA_FILE to the CA's certificate"
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the certificate of {host} is not trusted: {detail}; {hint}")
    if "x509: " in text:
        hint = "renew it, or use a host name that is in it"
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the certificate of {host} is not valid: {detail}; {hint}")
    return None


_NO_IMAGE = ("not found", "manifest unknown", "does not exist", "no such image", "name unknown", "name not known")
_OTHER_PLATFORM = (
    "no matching manifest", "no match for platform in manifest",
    "does not match the specified platform", "does not provide the specified",
)  # fmt: skip


def pull_error(name: str, text: str, *, with_login: bool) -> StepError:
    """The error for a failed pull, with what to do."""
    low, host = text.lower(), registry_host(name)
    log_in = f"log in: headway registry login {host}"
    if answer := transient_answer(text, host, with_login=with_login):
        return TransientRegistryError(f"the image {name} cannot be pulled: ", answer)
    if is_other_platform(text):
        hint = "use an image for this platform, or a worker with the image's platform"
        return StepError(
            Reason.IMAGE_NOT_FOUND,
            f"the image {name} does not exist for this machine's platform: {text.strip()}; {hint}",
        )
    known = classify_text(text)
    if known.reason is not Reason.INTERNAL:
        return with_prefix(known, f"the image {name} cannot be pulled: ")
    if is_refusal(text):
        hint = f"check the name{', and the credentials' if with_login else f', or {log_in}'}"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the registry denies access to the image {name}; {hint}")
    if "invalid reference format" in low or "must be lowercase" in low:
        return StepError(Reason.IMAGE_NOT_FOUND, f"{name!r} is not a valid image name: {text.strip()}")
    if any(sign in low for sign in _NO_IMAGE):
        return StepError(Reason.IMAGE_NOT_FOUND, f"the image {name} does not exist; check its name and tag")
    return known


def is_other_platform(text: str) -> bool:
    """True if a registry's or the engine's error message says that an image lacks the platform that is needed."""
    return any(sign in text.lower() for sign in _OTHER_PLATFORM)


def is_refusal(text: str) -> bool:
    """True if a registry's error message says that credentials are missing or insufficient."""
    return any(sign in text.lower() for sign in _REFUSED)
