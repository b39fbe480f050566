"""What a clone address says about a repository: its name and its forge. The same on a server and on a laptop."""

import re
from urllib.parse import urlsplit

# user@host:path, as scp and git write it.
SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^-].*")
_FORGES_BY_HOST = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "gitea",
}
_NAME_PARTS = 2


def name_from(url: str) -> str:
    """``owner/project`` from a clone address, or the folder's name of a local one; empty if it has none."""
    local = url.startswith(("/", ".", "file:"))
    path = url.partition(":")[2] if SCP.fullmatch(url) else _split(url)[1]
    parts = [part for part in path.rstrip("/").removesuffix(".git").split("/") if part]
    return "/".join(parts[-1:] if local else parts[-_NAME_PARTS:])


def forge_from(url: str) -> str:
    """The forge at the address's host; ``generic`` where the host is not a known one."""
    host = url.partition("@")[2].partition(":")[0] if SCP.fullmatch(url) else _split(url)[0]
    return _FORGES_BY_HOST.get(host, "generic")


def _split(url: str) -> tuple[str, str]:
    """Host and path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.hostname or "", parts.path
