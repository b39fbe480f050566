"""A URL shortener: POST an address, get a short one back; GET the short one, be sent there. Standard library only."""

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit
from wsgiref.simple_server import make_server

ADDRESS_LENGTH_MAX = 2000
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Links:
    """Short names and where they lead, in SQLite."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("CREATE TABLE IF NOT EXISTS links (name TEXT PRIMARY KEY, url TEXT NOT NULL, hits INT DEFAULT 0)")

    def add(self, url: str) -> str:
        """A new short name for ``url``. Raises ValueError for what is no web address."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc or len(url) > ADDRESS_LENGTH_MAX:
            raise ValueError("give an http:// or https:// address")
        name = secrets.token_urlsafe(4)
        with self._database:
            self._database.execute("INSERT INTO links (name, url) VALUES (?, ?)", (name, url))
        return name

    def follow(self, name: str) -> str | None:
        """Where ``name`` leads, counted, or None."""
        with self._database:
            self._database.execute("UPDATE links SET hits = hits + 1 WHERE name = ?", (name,))
            row = self._database.execute("SELECT url FROM links WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None


def make_app(links: Links) -> Callable[[dict, StartResponse], Iterable[bytes]]:
    """The WSGI application."""

    def app(environ: dict, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/health":
            return _json(start_response, "200 OK", {"ok": True})
        if environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            try:
                return _json(start_response, "201 Created", {"name": links.add(json.loads(body)["url"])})
            except (ValueError, KeyError, TypeError) as error:
                return _json(start_response, "400 Bad Request", {"error": str(error)})
        url = links.follow(path.lstrip("/"))
        if url is None:
            return _json(start_response, "404 Not Found", {"error": "no such link"})
        start_response("302 Found", [("Location", url), ("Content-Length", "0")])
        return []

    return app


def _json(start_response: StartResponse, status: str, value: dict) -> Iterable[bytes]:
    body = json.dumps(value).encode() + b"\n"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    """Serves on PORT (8000)."""
    port = int(os.environ.get("PORT", "8000"))
    with make_server("0.0.0.0", port, make_app(Links(os.environ.get("DATABASE", "links.db")))) as server:
        print(f"shortlink serves on port {port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
