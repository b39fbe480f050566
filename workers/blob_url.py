"""The address of the blob store: which forms it may have."""

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

_BUCKETS = ("s3", "gs", "az")


def folder_at(url: str) -> Path | None:
    """The folder that the address names; None where it names a bucket."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _checked(url: str) -> str:
    """Raises ValueError, with a sentence, if no blob store can be at ``url``; an empty one is the default."""
    if not url:
        return url
    parts = urlsplit(url)
    if parts.scheme not in (*_BUCKETS, "file"):
        raise ValueError(
            f"{_without_login(url)} is no blob store; write s3://BUCKET/PREFIX, gs://, az:// or file:///FOLDER"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        hint = "give keys by the provider's own variables, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise ValueError(f"{_without_login(url)} has more than a bucket and a prefix; {hint}")
    if " " in url or any(part in (".", "..") for part in unquote(parts.path).split("/")):
        what = "a space; write it as %20" if " " in url else "a part that is no name; leave . and .. out"
        raise ValueError(f"{url} has {what}")
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        raise ValueError(f"{url} names no folder; write file:///FOLDER, with three slashes")
    if parts.scheme != "file" and not parts.netloc:
        raise ValueError(f"{url} names no bucket; write {parts.scheme}://BUCKET/PREFIX")
    return url


def _without_login(url: str) -> str:
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}".partition("?")[0]


BlobUrl = Annotated[str, AfterValidator(_checked)]
"""An address that a blob store can have, or an empty one."""
