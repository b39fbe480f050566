"""A service that keeps short notes in PostgreSQL: POST /notes writes one, GET /notes lists them."""

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from wsgiref.simple_server import make_server

import psycopg

TEXT_LENGTH_MAX = 1000
LISTED_MAX = 100
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Notes:
    """The table of notes. Each call has a connection of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        with closing(self._connect()) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text NOT NULL)")

    def add(self, text: object) -> int:
        """The number of the new note. Raises ValueError for what is no note."""
        if not isinstance(text, str) or not 0 < len(text) <= TEXT_LENGTH_MAX or "\0" in text:
            raise ValueError(f"a note has from 1 to {TEXT_LENGTH_MAX} characters")
        with closing(self._connect()) as database, database:
            return database.execute("INSERT INTO notes (text) VALUES (%s) RETURNING id", (text,)).fetchone()[0]

    def newest(self) -> list[dict]:
        with closing(self._connect()) as database:
            rows = database.execute("SELECT id, text FROM notes ORDER BY id DESC LIMIT %s", (LISTED_MAX,)).fetchall()
        return [{"id": number, "text": text} for number, text in rows]

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._address, connect_timeout=5)


def make_app(notes: Notes) -> Callable[[dict, StartResponse], Iterable[bytes]]:
    """The WSGI application."""

    def app(environ: dict, start_response: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/health":
                return _json(start_response, "200 OK", {"ok": True})
            case "GET", "/notes":
                return _json(start_response, "200 OK", notes.newest())
            case "POST", "/notes":
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                try:
                    return _json(start_response, "201 Created", {"id": notes.add(json.loads(body)["text"])})
                except (ValueError, KeyError, TypeError) as error:
                    return _json(start_response, "400 Bad Request", {"error": str(error)})
        return _json(start_response, "404 Not Found", {"error": "no such page"})

    return app


def _json(start_response: StartResponse, status: str, value: object) -> Iterable[bytes]:
    body = json.dumps(value).encode() + b"\n"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def open_notes(address: str, wait_s: float = 30) -> Notes:
    """The notes, as soon as the database answers."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return Notes(address)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main() -> None:
    """Serves on port 8000."""
    with make_server("0.0.0.0", 8000, make_app(open_notes(os.environ["DATABASE_URL"]))) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
