"""Stands between git-lfs and an LFS server that a repository names: git-lfs itself would follow it to any address.

The server says where each file is, and may redirect, also to a port of the worker's own machine. So git-lfs asks this
gateway on a loopback address, which asks the server, checks each address, and gives git-lfs addresses of its own.
"""

import http.client
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runner.network.outbound import ClosedAddressError, Outbound
from runner.source.git.reach import Reach

REQUEST_BYTES_MAX = 1024 * 1024
"""git-lfs asks for a hundred files at once."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_BATCH, _OBJECTS = "/objects/batch", "/object/"
_JSON = "application/vnd.git-lfs+json"
_KEPT = ("Content-Length", "Content-Range", "Retry-After")


@dataclass(frozen=True)
class _File:
    href: str
    headers: Mapping[str, str]
    size_bytes: int


class LfsGateway:
    """The gateway to the LFS server at ``server``, which gets no login. ``url`` is its own address.

    After a failure ``closed`` is the address that was not asked, ``trouble`` why the server did not answer, and
    ``status`` what it answered last in place of what was asked for.
    """

    def __init__(self, server: str, outbound: Outbound) -> None:
        self.server, self.outbound = server.rstrip("/"), outbound
        self.closed = self.trouble = ""
        self.status = 0
        self.files: dict[str, _File] = {}
        self.url = ""

    def file_for(self, listed: Mapping[str, Any], asked: Mapping[str, int]) -> dict[str, Any]:
        """What git-lfs gets for a file: an address of this gateway, or the server's error."""
        oid = str(listed.get("oid"))
        answer: dict[str, Any] = {"oid": oid, "size": asked.get(oid, 0), "authenticated": True}
        error, actions = listed.get("error"), listed.get("actions")
        download = actions.get("download") if isinstance(actions, dict) else None
        if isinstance(error, dict):
            return answer | {"error": {"code": error.get("code"), "message": str(error.get("message"))}}
        if not isinstance(download, dict) or oid not in asked:
            return answer
        given = download.get("header")
        headers = {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
        key = secrets.token_urlsafe(24)
        self.files[key] = _File(str(download.get("href")), headers, asked[oid])
        return answer | {"actions": {"download": {"href": f"{self.url}{_OBJECTS}{key}"}}}


@contextmanager
def lfs_gateway(server: str, reach: Reach, variables: Mapping[str, str]) -> Iterator[LfsGateway]:
    """A running gateway, for as long as git-lfs runs."""
    outbound = Outbound(reach.is_closed, reach.leads_to_host, reach.is_own, variables)
    gateway = LfsGateway(server, outbound)
    listening = _Server(gateway)
    gateway.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, name="lfs-gateway", daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, gateway: LfsGateway) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway = gateway

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no trouble of the gateway's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != _BATCH or not length.isdecimal() or int(length) > REQUEST_BYTES_MAX:
            self._say(HTTPStatus.BAD_REQUEST)
            return
        body = self.rfile.read(int(length))
        asked = {str(each["oid"]): int(each["size"]) for each in json.loads(body)["objects"]}
        headers = {"Accept": _JSON, "Content-Type": _JSON, "User-Agent": "git-lfs (headway)"}
        response = self._asked("POST", f"{self.server.gateway.server}{_BATCH}", headers, body)
        if response is None:
            return
        with response:
            content = response.read(ANSWER_BYTES_MAX + 1)
            if response.status != HTTPStatus.OK:
                self._relay_failure(response)
                return
        try:
            listed = json.loads(content[:ANSWER_BYTES_MAX])["objects"]
            objects = [self.server.gateway.file_for(each, asked) for each in listed]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.server.gateway.trouble = "its answer is not that of an LFS server"
            self._say(HTTPStatus.BAD_GATEWAY)
            return
        self._say(HTTPStatus.OK, json.dumps({"transfer": "basic", "objects": objects}).encode())

    def do_GET(self) -> None:
        file = self.server.gateway.files.get(self.path.removeprefix(_OBJECTS))
        if file is None:
            self._say(HTTPStatus.NOT_FOUND)
            return
        part = {"Range": self.headers["Range"]} if "Range" in self.headers else {}
        response = self._asked("GET", file.href, {**file.headers, **part}, None)
        if response is None:
            return
        with response:
            if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                self._relay_failure(response)
                return
            self._head(response.status, response)
            left = file.size_bytes
            while left > 0 and (chunk := response.read(min(_CHUNK_BYTES, left))):
                self.wfile.write(chunk)
                left -= len(chunk)

    def _asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> http.client.HTTPResponse | None:
        """The server's answer; None where there is none, which git-lfs has been answered then."""
        gateway = self.server.gateway
        try:
            return gateway.outbound.open(method, url, headers, body)
        except ClosedAddressError as error:
            gateway.closed = error.url
            self._say(HTTPStatus.FORBIDDEN)
        except (OSError, http.client.HTTPException, ValueError) as error:
            gateway.trouble = str(error) or type(error).__name__
            self._say(HTTPStatus.BAD_GATEWAY)
        return None

    def _relay_failure(self, response: http.client.HTTPResponse) -> None:
        self.server.gateway.status = response.status
        self._head(response.status, response, empty=True)

    def _head(self, status: int, response: http.client.HTTPResponse, *, empty: bool = False) -> None:
        self.send_response(status)
        for name in _KEPT:
            value = response.getheader(name)
            if value is not None and not (empty and name.startswith("Content-")):
                self.send_header(name, value)
        if empty:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def _say(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Logs nothing."""
