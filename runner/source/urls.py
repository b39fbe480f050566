"""Addresses of repositories: which of them Headway clones from, and what of them may be seen."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git import GitLogin, local_url, without_login


def check_url(url: str) -> str:
    """The address as we hand it to git. Raises StepError for one that could be an option or run a program."""
    if url.startswith("/"):
        url = local_url(Path(url))
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-].*", url):
        return url
    parts = _parts(url)
    if parts is None or (parts.scheme != "file" and not re.match(r"[A-Za-z0-9:]", parts.hostname or "")):
        allowed = "https://, http://, ssh://, file:// or user@host:path"
        shown = without_login(url)
        raise StepError(Reason.CLONE_FAILED, f"{shown!r} is no address that Headway clones from; use {allowed}")
    return url


def _parts(url: str) -> SplitResult | None:
    if not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    strange_user = (parts.username or "").startswith("-")
    return parts if parts.scheme in {"https", "http", "ssh", "file"} and not strange_user else None


def split_login(url: str) -> tuple[str, GitLogin | None]:
    """The address without the credentials in it: on a command line everybody on the machine could read them."""
    if not url.startswith(("http://", "https://")):
        return url, None
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    return without_login(url), GitLogin(unquote(parts.username), unquote(parts.password or ""))
