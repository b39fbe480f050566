"""Commands in a running container that a person, or a pipe, writes to. Without the SDK, which loads slowly."""

import json
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

from pipelines.state import Reason
from runner.docker.client import REQUEST_TIMEOUT_S, Engine
from runner.docker.streams.attach import Attached, attach_exec
from runner.errors import MachineError


def open_exec(
    engine: Engine, container: str, command: list[str], variables: list[str], *, terminal: bool
) -> tuple[str, Attached]:
    """Starts a command and returns its id and its streams. With ``terminal`` it has one, and one stream of output.

    Raises MachineError, also where the container does not run.
    """
    streams = dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), True)
    asked = {"Cmd": command, "Env": variables, "Tty": terminal, **streams}
    body = _post(engine, f"/containers/{container}/exec", asked)
    exec_id = str(json.loads(body)["Id"])
    connection, path = engine.connection.open(f"/exec/{exec_id}/start")
    return exec_id, attach_exec(connection, path, terminal=terminal)


def resize_exec(engine: Engine, exec_id: str, rows: int, columns: int) -> None:
    """Gives the terminal of a command its size. Raises MachineError."""
    _post(engine, f"/exec/{exec_id}/resize?h={rows}&w={columns}", None)


def _post(engine: Engine, path: str, body: dict[str, Any] | None) -> bytes:
    connection, versioned = engine.connection.open(path)
    with closing(HTTPConnection("docker")) as http:
        http.sock = connection
        connection.settimeout(REQUEST_TIMEOUT_S)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            http.request("POST", versioned, None if body is None else json.dumps(body).encode(), headers)
            response = http.getresponse()
            status, answer = response.status, response.read()
        except (OSError, HTTPException) as error:
            message = f"the Docker Engine went away during a request: {error}"
            raise MachineError(Reason.ENGINE_GONE, message) from error
    if status >= HTTPStatus.BAD_REQUEST:
        said = answer.decode(errors="replace").strip()
        raise MachineError(Reason.INTERNAL, f"the Docker Engine said: {said}")
    return answer
