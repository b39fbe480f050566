"""Where a redirect of a forge may be followed to: the token of a request is for its own scheme, host and port alone."""

from urllib.parse import urljoin, urlsplit

import httpx2

REDIRECTS_MAX = 5
_STATUSES = frozenset({301, 302, 307, 308})


def following(url: str, status: int, location: str, *, renamed: bool = False) -> str:
    """Where the same request is answered, with the same method and body; empty where the answer is no redirect, or not
    to the same thing on the same host.

    A page to log in is not the same thing: it would accept anything. With ``renamed`` the address may end otherwise:
    the answer then tells by itself whether it is what was asked for.
    """
    if status not in _STATUSES or not location:
        return ""
    try:
        target = urljoin(url, location)
        near = httpx2.URL(url).copy_with(raw_path=b"/") == httpx2.URL(target).copy_with(raw_path=b"/")
    except (httpx2.InvalidURL, ValueError):
        return ""
    alike = urlsplit(url).path.rpartition("/")[2] == urlsplit(target).path.rpartition("/")[2]
    return target if near and target != url and (alike or renamed) else ""
