"""A registry that takes the connection and then says nothing: a cancel is heard all the same."""

import threading
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.state import Outcome, Reason, State
from runner.cancel import Cancel
from runner.errors import CanceledError, MachineError
from runner.heed import heed
from tests.engine import Workshop
from tests.plans import build, container, push, shell


class Hanging:
    """The registry. ``cancel`` is set when it is asked for something; it answers when the test is over."""

    def __init__(self, server: HTTPServer) -> None:
        self.cancel = Cancel()
        self.over = threading.Event()
        self.host = f"{server.host}:{server.port}".replace("localhost", "127.0.0.1")
        server.expect_request("/v2/").respond_with_json({})
        server.expect_request("/v2").respond_with_json({})

        def hang(_: Request) -> Response:
            self.cancel.set("ada")
            self.over.wait(60)
            return Response(status=404)

        for method in ("HEAD", "GET", "POST"):
            server.expect_request(f"/v2/a/{'blobs/uploads/' if method == 'POST' else 'manifests/1'}", method=method)
        server.expect_request(_Anything()).respond_with_handler(hang)


class _Anything(str):
    """Matches every path."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__
