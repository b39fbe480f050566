"""What a clone address says about a repository: its name and its forge, and whether it can be used at all."""

import re
from urllib.parse import urlsplit

from web.operations.errors import InvalidInputError

# user@host:path, as scp and git write it.
_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^-].*")
_FORGES_BY_HOST = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "gitea",
}
_NAME_PARTS = 2


def name_from(url: str) -> str:
    """``owner/project`` from a clone address, or the folder's name of a local one."""
    local = url.startswith(("/", "file:"))
    path = url.partition(":")[2] if _SCP.fullmatch(url) else urlsplit(url).path
    parts = [part for part in path.rstrip("/").removesuffix(".git").split("/") if part]
    return "/".join(parts[-1:] if local else parts[-_NAME_PARTS:])


def forge_from(url: str) -> str:
    """The forge at the address's host; ``generic`` where the host is not a known one."""
    host = url.partition("@")[2].partition(":")[0] if _SCP.fullmatch(url) else urlsplit(url).hostname
    return _FORGES_BY_HOST.get(host or "", "generic")


def check_clone_url(url: str) -> None:
    """Raises InvalidInputError for an address that git cannot clone from, or that holds a password."""
    parts = urlsplit(url)
    remote = parts.scheme in {"https", "http", "ssh"} and parts.hostname
    if not (remote or parts.scheme == "file" or _SCP.fullmatch(url)) or not url.isprintable():
        allowed = "https://, http://, ssh://, file://, /path or user@host:path"
        raise InvalidInputError(f"That is no address to clone from: use {allowed}.")
    if parts.password:
        raise InvalidInputError(
            "The address holds a password, which pages and logs would show. Leave it out of the address."
        )
