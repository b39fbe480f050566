"""A fake forge's API for connecting: its version, one repository, its webhooks and their tests, and git's first
request. Written from the forges' manuals."""

import base64
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.background_server import running

TOKEN = "tok-5f2c9b"
VERSIONS: dict[str, tuple[str, int, dict[str, str], Any]] = {
    "gitea": ("/api/v1/version", 200, {}, {"version": "1.22.3"}),
    "forgejo": ("/api/v1/version", 200, {}, {"version": "9.0.1+gitea-1.22.0"}),
    "gitea-closed": ("/api/v1/version", 403, {"set-cookie": "i_like_gitea=1; Path=/"}, {"message": "sign in"}),
    "gitlab": ("/api/v4/version", 401, {"x-gitlab-meta": "{}"}, {"message": "401 Unauthorized"}),
    "gitlab-old": ("/api/v4/version", 401, {}, {"message": "401 Unauthorized"}),
    "github": ("/api/v3/meta", 200, {"x-github-enterprise-version": "enterprise-server@3.14.2"}, {"installed": "3.14"}),
    "bitbucket-server": ("/rest/api/1.0/application-properties", 200, {}, {"displayName": "Bitbucket"}),
}
REPO_PATHS = {
    "gitea": "/api/v1/repos/acme/roof",
    "github": "/api/v3/repos/acme/roof",
    "gitlab": "/api/v4/projects/acme/roof",
    "bitbucket": "/2.0/repositories/acme/roof",
}


@dataclass
class FakeApi:
    """``hooks`` are the webhooks that it has; requests about them are redirected to ``hooks_at``, if it is given.
    Deliveries go to ``headway``, whatever host they name.
    """

    kind: str
    url: str = ""
    private: bool = False
    writes: bool = True
    may_see_hooks: bool = True
    headway: str = ""
    below: str = ""
    hooks_at: str = ""
    instead: tuple[int, dict[str, str], Any] | None = None
    hooks: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def forge(self) -> str:
        return "gitea" if self.kind == "forgejo" else self.kind.partition("-")[0]

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        path = unquote(urlsplit(path).path)
        self.asked.append(f"{method} {path}")
        if self.instead:
            return self.instead
        if self.below and not path.startswith(self.below):
            return 404, {}, "nothing"
        path = path.removeprefix(self.below)
        if self.hooks_at and path in {self.hooks_at, f"{REPO_PATHS[self.forge]}/hooks"}:
            return (200, {}, "<html>") if path == self.hooks_at else (302, {"location": self.hooks_at}, None)
        if path.endswith("/info/refs"):
            known = f":{TOKEN}".encode() in base64.b64decode(headers.get("authorization", "").removeprefix("Basic "))
            return (200 if known or not self.private else 401), {}, "0000"
        if self.kind in VERSIONS and path == VERSIONS[self.kind][0]:
            return VERSIONS[self.kind][1:]
        repo = REPO_PATHS.get(self.forge, "/none")
        if not path.startswith(repo):
            return 404, {}, {"message": "Not Found"}
        if TOKEN not in headers.get("authorization", "") + headers.get("private-token", ""):
            return 401, {}, {"message": "Bad credentials"}
        return self._of_repo(method, path.removeprefix(repo).strip("/").split("/"), body)

    def _of_repo(self, method: str, parts: list[str], body: Any) -> tuple[int, dict[str, str], Any]:
        if parts == [""]:
            return 200, {}, self._repo()
        if not self.may_see_hooks:
            return 403, {}, {"message": "requires admin"}
        if len(parts) > 2:
            return self._send_test(next(hook for hook in self.hooks if str(hook["id"]) == parts[1]))
        if method == "POST":
            self.hooks.append({**body, "id": len(self.hooks) + 1, "uuid": str(len(self.hooks) + 1)})
            return 201, {}, self.hooks[-1]
        if method in {"PATCH", "PUT"}:
            hook = next(hook for hook in self.hooks if parts[1] in {str(hook["id"]), hook["uuid"]})
            hook.update(body)
            return 200, {}, hook
        return 200, {}, {"values": self.hooks} if self.forge == "bitbucket" else self.hooks

    def _repo(self) -> dict[str, Any]:
        level = 30 if self.writes else 20
        known: dict[str, dict[str, Any]] = {
            "gitlab": {
                "visibility": "private" if self.private else "public",
                "default_branch": "trunk",
                "permissions": {"project_access": {"access_level": level}, "group_access": None},
            },
            "bitbucket": {"is_private": self.private, "mainbranch": {"name": "trunk"}},
        }
        return known.get(self.forge) or {
            "private": self.private,
            "default_branch": "trunk",
            "permissions": {"admin": self.writes, "push": self.writes, "pull": True},
        }

    def _send_test(self, hook: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        url = hook.get("config", hook)["url"]
        secret = hook.get("token") or hook["config"]["secret"]
        sha = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
        body = json.dumps({"ref": "refs/heads/main", "before": sha, "after": sha}).encode()
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "gitea": {"x-gitea-event": "push", "x-gitea-signature": digest},
            "github": {"x-github-event": "ping", "x-hub-signature-256": f"sha256={digest}"},
            "gitlab": {"x-gitlab-event": "Resource Access Token Hook", "x-gitlab-token": secret},
        }[self.forge]
        if self.headway:
            request = urllib.request.Request(self.headway + urlsplit(url).path, body, headers)
            with urllib.request.urlopen(request):
                pass
        return 204 if self.forge != "gitlab" else 201, {}, None


@contextmanager
def forge_api(kind: str, **more: Any) -> Iterator[FakeApi]:
    """The API on a free port."""
    fake = FakeApi(kind, **more)
    handler = type("Handler", (_Handler,), {"fake": fake})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        yield fake


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi

    def _do(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more, data = self.fake.answer(self.command, self.path, headers, json.loads(raw) if raw else None)
        text = b"" if data is None else data.encode() if isinstance(data, str) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {**more, "content-length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = _do  # noqa: N815 - names of the standard library
    log_message: Callable[..., None] = lambda *_: None
