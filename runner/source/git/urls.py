"""Repository URLs: which ones Headway clones from, and how credentials are removed from them."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import GitLogin, local_url
from runner.source.git.git_words import without_login


def check_url(url: str) -> str:
    """The URL for git. Raises StepError for one that git could take for an option, or that could run a program."""
    if url.startswith("/"):
        url = local_url(Path(url))
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-].*", url):
        return url
    parts = _parts(url)
    if parts is None or (parts.scheme != "file" and not re.match(r"[A-Za-z0-9:]", parts.hostname or "")):
        allowed = "https://, http://, ssh://, file:// or user@host:path"
        shown = without_login(url)
        raise StepError(Reason.CLONE_FAILED, f"{shown!r} is not a URL that Headway clones from; use {allowed}")
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
    """The URL without its credentials, and these: all users of the machine could read them in a command line."""
    if not url.startswith(("http://", "https://")):
        return url, None
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    return without_login(url), GitLogin(unquote(parts.username), unquote(parts.password or ""))
