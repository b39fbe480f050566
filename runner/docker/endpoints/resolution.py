"""Finds which Docker Engine to use, in the same order as the docker command."""

from collections.abc import Mapping
from pathlib import Path

from runner.docker.endpoints.contexts import current_context, read_context
from runner.docker.endpoints.endpoint import DEFAULT_SOCKET, Endpoint, Tls, UnixSocket, config_folder, parse_address


def find_endpoint(environment: Mapping[str, str], docker_host: str = "") -> Endpoint:
    """The first of ``docker_host``, HEADWAY_DOCKER_HOST, DOCKER_HOST, DOCKER_CONTEXT, current context and default.

    Raises MachineError with the setting that is wrong and why.
    """
    named = {
        "HEADWAY_DOCKER_HOST": docker_host or environment.get("HEADWAY_DOCKER_HOST", ""),
        "DOCKER_HOST": environment.get("DOCKER_HOST", ""),
    }
    for source, text in named.items():
        if text:
            return Endpoint(parse_address(text, source, tls_of(environment)), source)
    if context := current_context(environment):
        return Endpoint(read_context(config_folder(environment), context), f"the docker context {context.name!r}")
    return Endpoint(UnixSocket(DEFAULT_SOCKET))


def tls_of(environment: Mapping[str, str]) -> Tls | None:
    """The TLS settings of the docker command's variables. As for docker, any text, even 0, switches TLS on."""
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return Tls(Path(environment.get("DOCKER_CERT_PATH") or config_folder(environment)), verify)


def pinned_context(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables with which a process finds the same engine later, even if another context is selected by then."""
    context = current_context(environment)
    return {"DOCKER_CONTEXT": context.name} if context else {}
