"""Whether a clone address can be used."""

from urllib.parse import urlsplit

from pipelines.clone_address import SCP
from web.operations.errors import InvalidInputError


def check_clone_url(url: str) -> None:
    """Raises InvalidInputError for an address that git cannot clone from, or that holds a password."""
    parts = urlsplit(url)
    remote = parts.scheme in {"https", "http", "ssh"} and parts.hostname
    if not (remote or parts.scheme == "file" or SCP.fullmatch(url)) or not url.isprintable():
        allowed = "https://, http://, ssh://, file://, /path or user@host:path"
        raise InvalidInputError(f"That is no address to clone from: use {allowed}.")
    if parts.password:
        raise InvalidInputError(
            "The address holds a password, which pages and logs would show. Leave it out of the address."
        )
