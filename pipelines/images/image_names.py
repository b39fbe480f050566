"""Names of image repositories and tags: which are valid, and where a registry is put before one."""

import re
from posixpath import normpath

from pipelines.visible import visible_line

TAG_CHARACTERS_MAX = 128
_TAG = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{TAG_CHARACTERS_MAX - 1}}}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)"
_REPO = re.compile(rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*")
REPO_CHARACTERS_MAX = 255
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


def is_tag(tag: str) -> bool:
    """Is this a valid tag?"""
    return _TAG.fullmatch(tag) is not None


def why_no_tag(tag: str) -> str:
    """Which rule of tags a text breaks; empty for a tag."""
    if is_tag(tag):
        return ""
    if not tag:
        return "it is empty"
    if len(tag) > TAG_CHARACTERS_MAX:
        return f"it has {len(tag)} characters; a tag has at most {TAG_CHARACTERS_MAX}"
    if found := re.search(r"[^A-Za-z0-9_.-]", tag):
        return f"it has a {found[0]!a}; a tag has letters, digits, '_', '.' and '-' alone"
    return f"it begins with '{tag[0]}'; a tag begins with a letter, a digit or '_'"


def is_repo(repo: str) -> bool:
    """Is this a valid name of a repository, with or without the registry's host?"""
    return len(repo) <= REPO_CHARACTERS_MAX and _REPO.fullmatch(repo) is not None


def why_no_image(name: str) -> str:
    """Which rule a text breaks as the name of an image, which has a tag, a digest or both; empty where it is one.

    The rules are those of the "reference" package that Docker Engine and the registries use.
    """
    if _DIGEST.fullmatch(name):
        return ""  # the id of an image that the engine has
    if "://" in name:
        return "it is an address; the name of an image begins with the host"
    rest, at, digest = name.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return "what follows the '@' is no digest, such as sha256: and 64 digits"
    path, slash, last = rest.rpartition("/")
    base, colon, tag = last.partition(":")
    if colon and (why := why_no_tag(tag)):
        return f"as a tag, {visible_line(tag)!r} is wrong: {why}"
    repo = f"{path}{slash}{base}"
    if is_repo(repo):
        return ""
    if repo != repo.lower() and is_repo(repo.lower()):
        return "its letters must be small"
    return f"{visible_line(repo)!r} is no name of a repository, such as owner/name or registry.example.org/owner/name"


def is_in_checkout(path: str) -> bool:
    """Does a path, relative to the checkout, stay inside it?"""
    return not path.startswith("/") and normpath(path).split("/")[0] not in {"..", "."}


def repo_at(registry: str, repo: str) -> str:
    """``repo`` prefixed with ``registry`` (a host or URL, perhaps with a group in it), unless it names a host.

    A repository that begins with the group already has it.
    """
    base = re.sub(r"^https?://", "", registry.strip()).rstrip("/")
    host, _, group = re.sub(r"/v[12]$", "", base).partition("/")  # v1 and v2 are addresses of its API
    first, more, _ = repo.partition("/")
    if first == host or (more and (first == "localhost" or re.search("[.:]", first))):
        return repo
    path = repo if not group or repo.startswith(f"{group}/") else f"{group}/{repo}"
    return path if host in {"", "docker.io", "index.docker.io"} else f"{host}/{path}"
