"""Whether containers, of Headway or of other programs, use an image."""

import json
from http import HTTPStatus
from urllib.parse import urlencode

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.errors import MachineError


def has_containers(engine: Engine, image_id: str) -> bool:
    """Whether a container, running or not, is of this image or of one that was built on it. Raises MachineError."""
    asked = {"all": "true", "limit": "1", "filters": json.dumps({"ancestor": [image_id]})}
    status, body = engine.connection.get(f"/containers/json?{urlencode(asked)}")
    if status == HTTPStatus.NOT_FOUND:
        return False  # the image is gone
    if status != HTTPStatus.OK:
        raise MachineError(Reason.INTERNAL, f"the Docker Engine does not list the containers of {image_id} ({status})")
    return bool(json.loads(body))
