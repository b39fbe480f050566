"""Docker's SDK, the only import of it. It loads slowly: import this module inside the functions that need it.

No other module imports the SDK, requests or urllib3. If two threads import different parts of them at the same time,
the import locks deadlock; Python resolves that by giving one thread a module that is only partly initialized.
"""

import ssl
from typing import Any

import docker
from docker import APIClient, DockerClient, errors, types
from requests import exceptions as http_errors
from requests.adapters import HTTPAdapter
from urllib3 import disable_warnings
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from runner.docker.endpoints.endpoint import Tcp, Tls
from runner.docker.endpoints.transport import Transport

__all__ = ["APIClient", "DockerClient", "HTTPError", "errors", "http_errors", "sdk_client", "types"]


def sdk_client(transport: Transport, api_version: str, timeout_s: int) -> DockerClient:
    """A client for ``api_version``. Creating it sends no request."""
    tls = transport.address.tls if isinstance(transport.address, Tcp) else None
    client = DockerClient(
        base_url=str(transport.address), version=api_version, timeout=timeout_s, tls=_config(tls) if tls else False
    )
    # The engine is not reached through HTTP proxies, nor with the user's .netrc or CA variables.
    client.api.trust_env = False
    if transport.tls:
        client.api.mount("https://", _Adapter(transport.tls))
    return client


def _config(tls: Tls) -> docker.tls.TLSConfig:
    if not tls.verify:
        disable_warnings(InsecureRequestWarning)  # the user chose not to verify
    files = (str(tls.folder / "cert.pem"), str(tls.folder / "key.pem"))
    pair = files if (tls.folder / "cert.pem").exists() else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=str(tls.folder / "ca.pem"), verify=tls.verify)


class _Adapter(HTTPAdapter):
    """Uses Headway's TLS context: the default of requests is stricter than Docker's own clients."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library declares it
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
