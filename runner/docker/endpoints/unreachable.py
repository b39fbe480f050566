"""Explains why no Docker Engine answers and what to do, with a sentence for each cause."""

import errno
import grp
import os
import pwd
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pipelines.state import Reason
from runner.docker.endpoints.contexts import context_names
from runner.docker.endpoints.endpoint import DEFAULT_SOCKET, Endpoint, Ssh, Tcp, UnixSocket, config_folder, home_folder
from runner.errors import MachineError

_START = "start it (systemctl start docker), or point DOCKER_HOST at one that runs"
_SOCKETS_AT_HOME = (
    ".docker/run/docker.sock", ".docker/desktop/docker.sock", ".colima/default/docker.sock",
    ".config/colima/default/docker.sock", ".orbstack/run/docker.sock", ".rd/docker.sock",
    ".lima/docker/sock/docker.sock",
)  # fmt: skip
"""The sockets of Docker Desktop, Colima, OrbStack, Rancher Desktop and Lima, below the home folder."""


def engine_unreachable(
    endpoint: Endpoint, error: Exception, environment: Mapping[str, str], ssh_error: str = ""
) -> MachineError:
    """The error for an engine that does not answer; ``ssh_error`` is the output of ssh, if ssh was used."""
    match endpoint.address:
        case UnixSocket(path=path):
            why = _why_not_at_socket(Path(path), error)
        case Tcp() as address:
            why = _why_not_at_port(address, error)
        case Ssh() as address:
            why = _why_not_over_ssh(address, ssh_error or str(error))
    elsewhere = "" if isinstance(error, PermissionError) else _elsewhere(endpoint, environment)
    return MachineError(Reason.ENGINE_GONE, f"no Docker Engine answers at {endpoint}: {why}{elsewhere}")


def _why_not_at_socket(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no such socket; install Docker Engine, {_START}"
    if isinstance(error, PermissionError):
        return _not_allowed(path)
    if isinstance(error, ConnectionRefusedError):
        return f"its socket exists, but no engine listens there: it has stopped; {_START}"
    return f"{error}; {_START}"


def _not_allowed(path: Path) -> str:
    """Docker's socket belongs to a group. A new member has the rights only after the next login."""
    user, group = f"user {os.geteuid()}", "docker"
    members: list[str] = []
    with suppress(KeyError):
        user = pwd.getpwuid(os.geteuid()).pw_name
    with suppress(OSError, KeyError):
        owners = grp.getgrgid(path.stat().st_gid)
        group, members = (owners.gr_name, owners.gr_mem) if owners.gr_gid else (group, members)
    if user in members:
        return f"{user} is in the group {group}, but this session is older than that: log in again (or: newgrp {group})"
    return f"{user} may not use it; run `sudo usermod -aG {group} {user}`, then log in again"


def _why_not_at_port(address: Tcp, error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        folder = address.tls.folder if address.tls else ""
        hint = f"ca.pem in {folder} must be the CA that signed it, and the certificate must be for this host name"
        return f"its certificate is not trusted ({error.verify_message}); {hint}"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "it does not use TLS; unset DOCKER_TLS_VERIFY, or use its TLS port (usually 2376)"
    if isinstance(error, ssl.SSLError) or (address.tls and isinstance(error, ConnectionResetError)):
        # With TLS 1.3 the server refuses a client certificate after the handshake: by an alert or a connection reset.
        why = error.reason if isinstance(error, ssl.SSLError) else ""
        return f"{why or error}; are cert.pem and key.pem signed by the CA that the engine trusts?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens on this port; start the engine with -H tcp://..., or point DOCKER_HOST at one that runs"
    return f"{error}; is the address right, and does the engine run there?"


_SSH_HINTS = {
    ("host key verification failed", "host key is known"): (
        "run `{ssh}` once by hand, as this user, and accept its host key"
    ),
    ("permission denied (", "too many authentication failures"): (
        "headway cannot enter a password: add a key to the agent (ssh-add), or an IdentityFile to ~/.ssh/config"
    ),
    ("docker: not found", "docker: command not found", "docker: no such file"): (
        "ssh works, but that user has no docker command on {host}: install it there, "
        "in a folder on the PATH of non-login shells"
    ),
    ("docker daemon", "docker api", "raw stream connection"): (
        "ssh works; does an engine run there, and may the user use it? Try `{ssh} docker version`"
    ),
}
"""What to do, by words in the output of ssh, in lower case."""


def _why_not_over_ssh(address: Ssh, ssh_error: str) -> str:
    port, user = f"-p {address.port} " if address.port else "", f"{address.user}@" if address.user else ""
    ssh, low = f"ssh {port}{user}{address.host}", ssh_error.lower()
    known = (hint for signs, hint in _SSH_HINTS.items() if any(sign in low for sign in signs))
    return f"ssh said: {ssh_error}; {next(known, 'try `{ssh} docker version`').format(ssh=ssh, host=address.host)}"


def _elsewhere(endpoint: Endpoint, environment: Mapping[str, str]) -> str:
    """Other engines that this machine may have. Like the docker command, Headway does not use them unasked."""
    home, runtime = home_folder(environment), environment.get("XDG_RUNTIME_DIR")
    places = [Path(runtime, "docker.sock")] if runtime else []
    places += [Path(DEFAULT_SOCKET), *(home / place for place in _SOCKETS_AT_HOME)]
    there = [
        str(place) for place in places if _is_socket(place) and str(UnixSocket(str(place))) != str(endpoint.address)
    ]
    hint = f". There is a socket at {', '.join(there)}: export DOCKER_HOST=unix://{there[0]}" if there else ""
    if contexts := context_names(config_folder(environment)):
        hint += f". There are docker contexts: {', '.join(contexts)} (docker context use NAME)"
    return hint


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError as error:
        return error.errno == errno.EACCES
