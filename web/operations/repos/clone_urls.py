"""Whether a clone address can be used."""

from urllib.parse import urlsplit

from pipelines.clone_address import SCP
from web.operations.errors import InvalidInputError

_PORTS = {"http": 80, "https": 443, "ssh": 22}


def check_clone_url(url: str) -> None:
    """Raises InvalidInputError for an address that git cannot clone from, or that holds a password."""
    try:
        parts = urlsplit(url)
        named = parts.port != 0  # reading it raises for what is no port
    except ValueError:
        raise InvalidInputError("That is no address to clone from: its host or its port cannot be read.") from None
    remote = named and parts.scheme in {"https", "http", "ssh"} and parts.hostname
    if not (remote or parts.scheme == "file" or SCP.fullmatch(url)) or not url.isprintable():
        allowed = "https://, http://, ssh://, file://, /path or user@host:path"
        raise InvalidInputError(f"That is no address to clone from: use {allowed}.")
    if parts.password:
        raise InvalidInputError(
            "The address holds a password, which pages and logs would show. Leave it out of the address."
        )


def is_same_host(old: str, new: str) -> bool:
    """Whether what was given for the old address may be sent to the new one: the same scheme, host and port.

    A change from http:// to https:// on the usual ports counts as the same.
    """
    before, after = _place(old), _place(new)
    return after in {before, ("https", before[1], 443) if before[::2] == ("http", 80) else before}


def _place(url: str) -> tuple[str, str, int]:
    if SCP.fullmatch(url):
        return "ssh", url.partition("@")[2].partition(":")[0].lower(), _PORTS["ssh"]
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def _path(url: str) -> str:
    path = url.partition(":")[2] if SCP.fullmatch(url) else urlsplit(url).path
    return path.strip("/").removesuffix(".git")


def moved_page(page: str, old: str, new: str) -> str:
    """The repository's page after its clone address changed; empty where the clone address says where it is."""
    if not page or urlsplit(page).path.strip("/") != _path(old):
        return page
    host_moved = urlsplit(page).netloc == urlsplit(old).netloc and not SCP.fullmatch(new)
    return "" if host_moved else urlsplit(page)._replace(path=f"/{_path(new)}").geturl()
