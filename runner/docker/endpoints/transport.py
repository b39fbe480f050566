"""Connections to one engine: over a Unix socket, a port with or without TLS, or ssh."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from runner.docker.endpoints.contexts import TLS_FILES, write_context
from runner.docker.endpoints.endpoint import Endpoint, Ssh, Tcp, Tls, UnixSocket, unusable
from runner.docker.endpoints.unreachable import no_engine

if TYPE_CHECKING:
    from runner.docker.endpoints.ssh_relay import SshRelay as _Relay

CONNECT_TIMEOUT_S = 30.0
CONTEXT = "headway"
REQUEST_TIMEOUT_S = 120.0


class Transport:
    """The way to one engine. ``address`` is what programs on this machine connect to: over ssh, the relay's socket."""

    def __init__(self, endpoint: Endpoint, environment: Mapping[str, str]) -> None:
        """Connects to nothing yet. Raises MachineError for certificates that cannot be read."""
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
        """A new connection. Raises MachineError with the remedy when no engine answers."""
        try:
            if isinstance(self.address, UnixSocket):
                return _connect_unix(self.address.path)
            return _connect_tcp(self.address, self.tls)
        except OSError as error:
            raise no_engine(self.endpoint, error, self._environment) from error

    def get(self, path: str, timeout_s: float = REQUEST_TIMEOUT_S) -> tuple[int, bytes]:
        """The status and body of a GET. Raises MachineError when no engine answers.

        Without the SDK, which takes long to load, and then three times as long for each request.
        """
        connection = self.connect()
        with closing(HTTPConnection("docker")) as http:
            http.sock = connection
            connection.settimeout(timeout_s)
            try:
                http.request("GET", path)
                answer = http.getresponse()
                return answer.status, answer.read()
            except (OSError, HTTPException) as error:
                said = self._relay.complaint(error) if self._relay else ""
                raise no_engine(self.endpoint, error, self._environment, said) from error

    def variables(self) -> dict[str, str]:
        """What tells a docker client of this engine, besides what ``write_settings`` writes."""
        return {"DOCKER_CONTEXT": CONTEXT} if self.tls else {"DOCKER_HOST": str(self.address)}

    def write_settings(self, config: Path) -> None:
        """Writes what a docker client must know of the engine into its folder: certificates, as a context.

        buildx, where the docker command is not there to start it, took no notice of variables for TLS before 0.23.
        """
        if isinstance(self.address, Tcp) and self.address.tls:
            write_context(config, CONTEXT, str(self.address), self.address.tls)

    def close(self) -> None:
        """Ends what was started for it."""
        if self._relay:
            self._relay.close()


def tls_context(tls: Tls) -> ssl.SSLContext:
    """For connections with these certificates. Raises MachineError naming the file that is not there, or not right."""
    ca, certificate, key = (tls.folder / name for name in TLS_FILES)
    try:
        # As docker does: a context without a CA of its own trusts those of the system.
        known = ca.exists() or not tls.verify or certificate.exists()
        context = ssl.create_default_context(cafile=None if known and not ca.exists() else str(ca))
        # Python 3.13 turns it on, and then refuses what Docker's own instructions make.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # As docker does: an engine may ask for no client's certificate.
        if certificate.exists() or key.exists():
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        hint = "put ca.pem, cert.pem and key.pem there, or set DOCKER_CERT_PATH to their folder"
        what = f"the certificates for the Docker Engine in {tls.folder} cannot be used"
        raise unusable(f"{what}: {error}; {hint}") from error
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
        # What is written is sent: requests and their answers are small, and come in turns.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = tls.wrap_socket(connection, server_hostname=address.host) if tls else connection
        on_error.pop_all()
    return connection
