"""Image references: splits names by the rules of Docker's reference grammar."""

LOCAL_FOLDERS = "headway-local-*"
"""Temporary folders of the jobs of ``headway run``, which are never part of the source."""


def split_tag(name: str) -> tuple[str, str]:
    """Splits ``repo:tag`` or ``repo@digest`` in two; the tag is ``latest`` if the name has none (as in Docker)."""
    if "@" in name:
        repo, _, digest = name.partition("@")
        return repo, digest
    head, _, last = name.rpartition("/")
    repo, colon, tag = last.partition(":")
    return (f"{head}/{repo}" if head else repo), (tag if colon else "latest")


def full_name(name: str) -> str:
    """The name with its registry and tag, as BuildKit shows it."""
    repo, tag = split_tag(name)
    if "@" in name:
        return name
    host = registry_host(repo)
    rest = repo.removeprefix(f"{host}/")
    return f"{host}/{'library/' if host == 'docker.io' and '/' not in rest else ''}{rest}:{tag}"


def registry_host(name: str) -> str:
    """The registry of an image name; ``docker.io`` if the name has none."""
    first, slash, _ = name.partition("/")
    if first == "index.docker.io":  # the engine's other word for it
        return "docker.io"
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"
