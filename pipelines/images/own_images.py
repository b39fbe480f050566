"""Names of images that Headway gives in the engine. No pipeline may name them."""

BUILD_REPO = "headway/build"
"""The repository name of the images that jobs build, and of those that builds begin with, until the job has ended."""
BORROWED_REPO, BEFORE_REPO = "headway/borrowed", "headway/before"
"""Mark an image whose name a push has taken for a while, and the image that the name belongs to."""
SANDBOX_REPO = "headway/sandbox"
"""Holds a job's network; it runs nothing of the job."""
GUARD_REPO = "headway/guard"
"""Sets the rules that keep steps from the engine's host: its container may do everything there."""

REMEDY = "name an image of a registry, or write image: {build: STEP} for one that this file builds"
_HUB = ("docker.io/", "index.docker.io/", "registry-1.docker.io/", "localhost/")
_OWN = frozenset({BUILD_REPO, BORROWED_REPO, BEFORE_REPO, SANDBOX_REPO, GUARD_REPO})


def canonical(name: str) -> str:
    """The name as the engine shows it: without Docker Hub's host, and with a tag or a digest."""
    name, at, digest = name.partition("@")
    for prefix in _HUB[:3]:
        name = name.removeprefix(prefix)
    name = name.removeprefix("library/") if name.count("/") == 1 else name
    head, slash, last = name.rpartition("/")
    repo, _, tag = last.partition(":")
    return f"{head}{slash}{repo}@{digest}" if at else f"{head}{slash}{repo}:{tag or 'latest'}"


def repository(name: str) -> str:
    """The repository of an image's name, as the engine shows it: without tag and digest."""
    repo = canonical(name).partition("@")[0]
    head, slash, last = repo.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def is_own_image(name: str) -> bool:
    """True for a name that only Headway gives, in any spelling."""
    repo = name.strip().lower().partition("@")[0]
    for prefix in _HUB:
        repo = repo.removeprefix(prefix)
    head, _, last = repo.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" in _OWN
