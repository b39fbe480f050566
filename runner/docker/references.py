"""Names of images, by the rules of Docker's reference grammar."""

LOCAL_FOLDERS = "headway-local-*"
"""Folders of ``headway run``'s jobs, among the temporary files. None is part of anybody's source."""
BUILD_REPO = "headway/build"
"""Under this name the images that jobs build are kept, each until its job has ended."""


def split_tag(name: str) -> tuple[str, str]:
    """``repo:tag`` or ``repo@digest`` in its two parts; ``latest`` where neither is given (as Docker does)."""
    if "@" in name:
        repo, _, digest = name.partition("@")
        return repo, digest
    head, _, last = name.rpartition("/")
    repo, colon, tag = last.partition(":")
    return (f"{head}/{repo}" if head else repo), (tag if colon else "latest")


def registry_host(name: str) -> str:
    """The registry of an image name; ``docker.io`` where none is written (the rule of Docker's reference grammar)."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"
