"""Connections to one engine: over a Unix socket, over TCP with or without TLS, or over ssh."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from runner.docker.endpoints.contexts import TLS_FILES, write_context
from runner.docker.endpoints.endpoint import Endpoint, Ssh, Tcp, Tls, UnixSocket, bad_endpoint
from runner.docker.endpoints.unreachable import engine_unreachable

if TYPE_CHECKING:
    from runner.docker.endpoints.ssh_relay import SshRelay as _Relay

CONNECT_TIMEOUT_S = 30.0
CONTEXT = "headway"
REQUEST_TIMEOUT_S = 120.0


class Transport:
    """Opens connections to one engine. ``address`` is what local programs connect to: for ssh, the relay's socket."""

    def __init__(self, endpoint: Endpoint, environment: Mapping[str, str]) -> None:
        """Opens no connection yet. Raises MachineError if the certificates cannot be read."""
        self.endpoint = endpoint
        self._environment = environment
        self._relay: _Relay | None = None
        self.tls: ssl.SSLContext | None = None
        match endpoint.address:
            case UnixSocket() as address:
                self.address: UnixSocket | Tcp = address
            case Tcp() as address:
                self.address = address
                self.tls = tls_context(address.tls) if address.tls else None
            case Ssh() as address:
                from runner.docker.endpoints.ssh_relay import SshRelay  # noqa: PLC0415 - few need it

                self._relay = SshRelay(address, environment)
                self.address = UnixSocket(self._relay.path)
            case _:
                assert_never(endpoint.address)

    def connect(self) -> socket.socket:
        """A new connection. Raises MachineError, with what to do, if no engine answers."""
        try:
            if isinstance(self.address, UnixSocket):
                return _connect_unix(self.address.path)
            return _connect_tcp(self.address, self.tls)
        except OSError as error:
            raise engine_unreachable(self.endpoint, error, self._environment) from error

    def get(self, path: str, timeout_s: float = REQUEST_TIMEOUT_S) -> tuple[int, bytes]:
        """The status and body of a GET. Raises MachineError if no engine answers."""
        return self.request("GET", path, timeout_s=timeout_s)

    def request(
        self, method: str, path: str, body: bytes | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> tuple[int, bytes]:
        """The status and body of the answer; ``body`` is JSON. Raises MachineError if no engine answers.

        Does not use the SDK, which loads slowly and takes three times as long for each request.
        """
        connection = self.connect()
        with closing(HTTPConnection("docker")) as http:
            http.sock = connection
            connection.settimeout(timeout_s)
            try:
                http.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                response = http.getresponse()
                return response.status, response.read()
            except (OSError, HTTPException) as error:
                ssh_error = self._relay.last_error(error) if self._relay else ""
                raise engine_unreachable(self.endpoint, error, self._environment, ssh_error) from error

    def variables(self) -> dict[str, str]:
        """Variables that point a docker client to this engine, besides the files of ``write_settings``."""
        return {"DOCKER_CONTEXT": CONTEXT} if self.tls else {"DOCKER_HOST": str(self.address)}

    def write_settings(self, config: Path) -> None:
        """Writes the TLS certificates into a docker client's configuration folder, as a docker context.

        A context, because buildx before 0.23 ignores the TLS variables if it is not started by the docker command.
        """
        if isinstance(self.address, Tcp) and self.address.tls:
            write_context(config, CONTEXT, str(self.address), self.address.tls)

    def close(self) -> None:
        """Ends the ssh relay, if there is one."""
        if self._relay:
            self._relay.close()


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for connections with these certificates. Raises MachineError for a missing or wrong file."""
    ca, certificate, key = (tls.folder / name for name in TLS_FILES)
    try:
        # As in docker: without ca.pem, the CAs of the system are trusted.
        known = ca.exists() or not tls.verify or certificate.exists()
        context = ssl.create_default_context(cafile=None if known and not ca.exists() else str(ca))
        # On by default since Python 3.13, which then refuses certificates made as Docker's documentation says.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # As in docker: the client certificate is optional.
        if certificate.exists() or key.exists():
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        hint = "put ca.pem, cert.pem and key.pem there, or set DOCKER_CERT_PATH to their folder"
        what = f"the certificates for the Docker Engine in {tls.folder} cannot be used"
        raise bad_endpoint(f"{what}: {error}; {hint}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect_unix(path: str) -> socket.socket:
    with ExitStack() as on_error:
        connection = on_error.enter_context(socket.socket(socket.AF_UNIX))
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(path)
        on_error.pop_all()
    return connection


def _connect_tcp(address: Tcp, tls: ssl.SSLContext | None) -> socket.socket:
    with ExitStack() as on_error:
        connection = socket.create_connection((address.host, address.port), timeout=CONNECT_TIMEOUT_S)
        on_error.callback(connection.close)
        # Requests and responses are small and alternate: Nagle's algorithm would delay them.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = tls.wrap_socket(connection, server_hostname=address.host) if tls else connection
        on_error.pop_all()
    return connection
