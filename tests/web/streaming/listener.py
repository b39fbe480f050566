"""A client of the streams, which decodes server-sent events as a browser does."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2


@dataclass
class Event:
    kind: str = ""
    data: str = ""
    id: str = ""


@dataclass
class Received:
    """The events of one stream, put together as a browser would."""

    log: bytes = b""
    position: int = 0
    kinds: list[str] = field(default_factory=list)
    end: str = ""

    def add(self, event: Event) -> None:
        self.kinds.append(event.kind)
        if event.kind == "log":
            data = base64.b64decode(event.data)
            assert int(event.id) == self.position + len(data), "bytes are missing or doubled"
            self.log += data
            self.position = int(event.id)
        elif event.kind == "end":
            self.end = json.loads(event.data)["state"]


class Listener:
    """A logged-in client of the streams."""

    def __init__(self, url: str, token: str) -> None:
        self.client = httpx2.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30)

    def events(self, path: str, headers: dict[str, str] | None = None, **query: str | int) -> Iterator[Event]:
        with self.client.stream("GET", path, params=query or None, headers=headers or {}) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            event = Event()
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                match name:
                    case "event":
                        event.kind = value
                    case "data":
                        event.data = value
                    case "id":
                        event.id = value
                    case "" if event.kind:
                        yield event
                        event = Event()

    def receive(
        self, path: str, position: int = 0, headers: dict[str, str] | None = None, **query: str | int
    ) -> Received:
        """Reads the stream to its end."""
        received = Received(position=position)
        for event in self.events(path, headers, **query):
            received.add(event)
            if event.kind in {"end", "restart"}:
                break
        return received
