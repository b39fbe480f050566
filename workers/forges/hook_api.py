"""The parts of each forge's API with which a repository is connected: what it is, and its webhooks."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2

from workers.forges.api import ApiAnswer, call
from workers.forges.status_request import Home, api_and_path

_VERSIONS = {"github": "/api/v3", "gitea": "/api/v1", "gitlab": "/api/v4", "bitbucket": "/2.0"}
_PUBLIC = {"https://github.com": "https://api.github.com", "https://bitbucket.org": "https://api.bitbucket.org/2.0"}
_EVENTS: Mapping[str, Sequence[str]] = {
    "github": ("push", "pull_request", "release", "deployment"),
    "gitea": (
        "push", "release", "pull_request", "pull_request_sync", "pull_request_label", "pull_request_assign",
        "pull_request_milestone",
    ),
    "gitlab": ("push_events", "tag_push_events", "merge_requests_events", "releases_events"),
    "bitbucket": (
        "repo:push", "pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled", "pullrequest:rejected",
    ),
}  # fmt: skip
_DEVELOPER = 30  # GitLab's number for the role that may set statuses
# Of what a forge can send as a test: a push would start a run.
_GITLAB_TEST = "resource_access_token_events"


@dataclass(frozen=True)
class RemoteRepo:
    """What a forge says about a repository. ``writes`` None: it does not say whether the token may write statuses."""

    private: bool
    default_branch: str
    writes: bool | None


@dataclass(frozen=True)
class Hook:
    """A webhook that the forge has. ``right``: active, with all events and the content type that are needed."""

    id: str
    url: str
    right: bool


@dataclass(frozen=True)
class HookApi:
    """The API of one repository's forge, with a token. Its functions raise NoAnswerError and NoForgeError."""

    client: httpx2.Client
    forge: str
    home: Home
    token: str = field(repr=False)

    def repo(self) -> tuple[ApiAnswer, RemoteRepo | None]:
        """The repository; None where the forge refused."""
        answer = self._ask("GET", "", renamed=True)
        data = answer.data
        return answer, self._remote(data) if answer.ok and isinstance(data, dict) else None

    def hooks(self) -> tuple[ApiAnswer, list[Hook]]:
        """Its webhooks, the first hundred."""
        size = {"gitea": "limit=50", "bitbucket": "pagelen=100"}.get(self.forge, "per_page=100")
        answer = self._ask("GET", f"/hooks?{size}")
        found = answer.data.get("values") if isinstance(answer.data, dict) else answer.data
        listed = found if answer.ok and isinstance(found, list) else []
        return answer, [self._hook(each) for each in listed if isinstance(each, dict)]

    def put_hook(self, url: str, secret: str, known: Hook | None) -> tuple[ApiAnswer, str]:
        """Makes the webhook, or mends ``known``. The answer, and the webhook's id."""
        method = "POST" if known is None else "PATCH" if self.forge in {"github", "gitea"} else "PUT"
        answer = self._ask(
            method, "/hooks" if known is None else f"/hooks/{known.id}", self._wanted(url, secret, known)
        )
        made = self._hook(answer.data).id if answer.ok and isinstance(answer.data, dict) else ""
        return answer, known.id if known else made

    def test_hook(self, hook_id: str) -> ApiAnswer | None:
        """Has the forge send a delivery that starts no run; None where it has no such request."""
        path = {"github": "pings", "gitea": "tests", "gitlab": f"test/{_GITLAB_TEST}"}.get(self.forge)
        return self._ask("POST", f"/hooks/{hook_id}/{path}") if path else None

    def _ask(self, method: str, path: str, body: object = None, *, renamed: bool = False) -> ApiAnswer:
        api, repo = api_and_path(self.home, _VERSIONS[self.forge], _PUBLIC)
        below = {
            "gitlab": f"projects/{quote(repo, safe='')}",
            "bitbucket": f"repositories/{quote(repo)}",
        }.get(self.forge, f"repos/{quote(repo)}")
        return call(self.client, method, f"{api}/{below}{path}", self._login(), body, renamed=renamed)

    def _login(self) -> dict[str, str]:
        match self.forge:
            case "gitlab":
                return {"private-token": self.token}
            case "gitea":
                return {"authorization": f"token {self.token}"}
            case "bitbucket" if ":" in self.token:
                return {"authorization": f"Basic {b64encode(self.token.encode()).decode()}"}
            case _:
                return {"authorization": f"Bearer {self.token}"}

    def _remote(self, data: Mapping[str, Any]) -> RemoteRepo:
        allowed = data.get("permissions")
        writes = allowed.get("push") if isinstance(allowed, dict) else None
        private, branch = data.get("private"), data.get("default_branch")
        if self.forge == "gitlab":
            private = data.get("visibility", "private") != "public"
            levels = [each.get("access_level", 0) for each in (allowed or {}).values() if isinstance(each, dict)]
            writes = max(levels) >= _DEVELOPER if levels else None
        if self.forge == "bitbucket":
            private, branch = data.get("is_private"), (data.get("mainbranch") or {}).get("name")
        return RemoteRepo(private is not False, str(branch or ""), writes if isinstance(writes, bool) else None)

    def _hook(self, data: Mapping[str, Any]) -> Hook:
        settings = data.get("config")
        config = settings if isinstance(settings, dict) else {}
        number = str(data.get("uuid", "") if self.forge == "bitbucket" else data.get("id", ""))
        url = str(config.get("url") or data.get("url") or "")
        if self.forge == "gitlab":
            return Hook(number, url, all(data.get(event) is True for event in _EVENTS["gitlab"]))
        right = data.get("active") is True and set(_EVENTS[self.forge]) <= set(data.get("events") or ())
        form = self.forge in {"github", "gitea"} and config.get("content_type") != "json"
        return Hook(number, url, right and not form)

    def _wanted(self, url: str, secret: str, known: Hook | None) -> dict[str, Any]:
        events = _EVENTS[self.forge]
        if self.forge == "gitlab":
            return {"url": url, "token": secret, **dict.fromkeys(events, True)}
        common = {"active": True, "events": list(events)}
        if self.forge == "bitbucket":
            return {**common, "description": "Headway", "url": url, "secret": secret}
        config = {"url": url, "content_type": "json", "secret": secret}
        kind = {} if known else {"name": "web"} if self.forge == "github" else {"type": "gitea"}
        return {**common, **kind, "config": config}
