"""Artifacts that a browser shows: which ones, and addresses that work without a cookie.

What a step has written must have no rights of who looks at it, so that browsers get it in a sandbox without an origin.
From there they send no cookies, not even for a picture beside a page. So each view has an address that is itself the
permission: it names the job and the login of who opened it, and is signed. It ends with that login, or after an hour.
"""

import hmac
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from web.operations.artifacts.listing import begun, bytes_of
from web.operations.errors import NotFoundError
from web.operations.lookup import artifact_with_id
from web.security.access import Actor, may
from web.security.auth import still_valid
from web.services import OperationServices
from workers import store
from workers.db.models import Artifact
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading
from workers.store import artifacts as rows

VIEW_LINK_S = 3600
TEXT = "text/plain; charset=utf-8"

_PAGES: Mapping[str, str] = {
    "html": "text/html", "htm": "text/html", "svg": "image/svg+xml",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "mp4": "video/mp4", "webm": "video/webm",
    "txt": TEXT, "log": TEXT, "md": TEXT, "csv": TEXT, "json": TEXT, "xml": TEXT, "yml": TEXT, "yaml": TEXT,
}  # fmt: skip
"""Types of what has a view of its own, by the end of the name."""

_PARTS_OF_PAGES: Mapping[str, str] = {
    **_PAGES,
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
    "json": "application/json", "map": "application/json", "ico": "image/x-icon",
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "wasm": "application/wasm",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """An artifact to show, and the path of the server at which a browser gets it."""

    artifact: Artifact
    path: str


@dataclass(frozen=True)
class ShownFile:
    """A file as a browser gets it, opened by a user. ``media_type`` is empty for what it must save."""

    user_id: int
    artifact: Artifact
    media_type: str
    pieces: Iterator[bytes]


def has_view(path: str) -> bool:
    """Whether browsers can show a file of this name."""
    return _ending(path) in _PAGES


def open_view(services: OperationServices, actor: Actor, artifact_id: int) -> View:
    """The view of an artifact, for this actor alone."""
    with reading(services.engine) as session:
        artifact = artifact_with_id(session, actor, artifact_id)
        job = store.job_by_id(session, artifact.job_id)
        expires_s = db_now_ms(session) // 1000 + VIEW_LINK_S
    if job is None or not has_view(artifact.path):
        raise NotFoundError(f"Browsers cannot show {artifact.path}. Download it.")
    login = f"t{actor.token_id}" if actor.token_id is not None else f"s{actor.session_id}"
    about = f"{job.id}-{actor.user_id}-{login}-{expires_s}"
    return View(artifact, quote(f"/artifact-views/{about}-{_signature(services, about)}/{artifact.path}"))


def shown_file(services: OperationServices, link: str, path: str) -> ShownFile:
    """What a browser gets at an address that ``open_view`` has made, or at one beside it. Raises NotFoundError."""
    job_id, user_id = _job_and_user(services, link)
    path = posixpath.join(path, "index.html") if path.endswith("/") or not path else path
    with reading(services.engine) as session:
        artifact = rows.artifact_of_job(session, job_id, path)
    if artifact is None:
        raise NotFoundError(f"The job has kept no file {path}.")
    media_type = _PARTS_OF_PAGES.get(_ending(path), "")
    return ShownFile(user_id, artifact, media_type, begun(bytes_of(services, artifact)))


def _ending(path: str) -> str:
    return posixpath.splitext(path)[1].removeprefix(".").lower()


def _signature(services: OperationServices, about: str) -> str:
    return services.vault.name_for(f"artifact view {about}")


def _job_and_user(services: OperationServices, link: str) -> tuple[int, int]:
    """The ids of the job whose files this link shows, and of the user who opened it, while they may see them."""
    about, _, signature = link.rpartition("-")
    if not hmac.compare_digest(signature.encode(), _signature(services, about).encode()):
        raise NotFoundError("There is no such view. Open the artifact from the page of its run.")
    job_id, user_id, login, expires_s = about.split("-")
    actor = Actor(int(user_id), "", is_admin=False, source="")
    actor = replace(actor, **{_LOGINS[login[0]]: int(login[1:])})  # type: ignore[arg-type]
    with reading(services.engine) as session:
        now = still_valid(session, actor)
        job = store.job_by_id(session, int(job_id))
        run = store.run_by_id(session, job.run_id) if job else None
        repo = store.repo_by_id(session, run.repo_id) if run else None
        seen = now is not None and repo is not None and may(session, now, repo, Role.READ)
        if not seen or db_now_ms(session) // 1000 >= int(expires_s):
            raise NotFoundError("This view has ended. Open the artifact again from the page of its run.")
    return int(job_id), int(user_id)


_LOGINS: Mapping[str, str] = {"s": "session_id", "t": "token_id"}
