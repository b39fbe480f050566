"""Which options of containers and builds reach the host, and so need an administrator's trust in the repository.

The keys are the same in the pipeline file and in the plan: the compiler reports them, and the runner refuses them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pipelines.images.build_values import cache_pairs

CONTAINER_KEYS = {
    "security": ("privileged",),
    "volumes": ("volumes", "devices", "tmpfs"),
    "network": ("dns", "dns_search", "extra_hosts", "network_mode"),
}
"""The keys of a container, by the field of ``Trust`` that they need."""

_BUILD_NETWORKS = frozenset({"", "default", "none"})
# The others send data from the host's own network, and some use the login of the machine, such as a cloud's role.
_CACHE_KINDS = frozenset({"registry", "inline"})
# Arguments that BuildKit itself reads and that change only this build. BUILDKIT_CACHE_MOUNT_NS is not among them:
# it would reach the cache mounts of other repositories.
_BUILDKIT_ARGUMENTS = frozenset(
    {
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
        "BUILDKIT_MULTI_PLATFORM",
        "BUILDKIT_SANDBOX_HOSTNAME",
        "BUILDKIT_DOCKERFILE_CHECK",
    }
)
_SYNTAX_ARGUMENT = "BUILDKIT_SYNTAX"
_FRONTEND = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]{64})?")
_DIRECTIVE = re.compile(r"(?:#|//)\s*([a-z][a-z0-9]*)\s*=\s*(.*)", re.IGNORECASE)


class BuildOptions(Protocol):
    """The keys of a build that can reach the host."""

    @property
    def network(self) -> str: ...
    @property
    def ssh(self) -> Sequence[str]: ...
    @property
    def args(self) -> Mapping[str, str]: ...
    @property
    def cache_from(self) -> Sequence[str]: ...
    @property
    def cache_to(self) -> Sequence[str]: ...
    @property
    def dockerfile_inline(self) -> str: ...


def container_keys(options: object) -> Iterator[tuple[str, str]]:
    """The keys of a container that need trust, each with the field of ``Trust``. ``network_mode: none`` needs none."""
    for trust, keys in CONTAINER_KEYS.items():
        for key in keys:
            value = getattr(options, key)
            if value and not (key == "network_mode" and value == "none"):
                yield key, trust


def build_keys(build: BuildOptions) -> Iterator[tuple[str, str]]:
    """The keys of a build that need trust, each with the field of ``Trust``. What is not known to be harmless needs it.

    A frontend other than Docker's own could read and write the cache mounts of all repositories.
    """
    if build.network not in _BUILD_NETWORKS:
        yield "network", "network"
    for key in ("cache_from", "cache_to"):
        if not all(kinds_of_cache(entry) <= _CACHE_KINDS for entry in getattr(build, key)):
            yield key, "network"
    if build.ssh:
        yield "ssh", "ssh"
    if not all(_is_harmless(name, value) for name, value in build.args.items()):
        yield "args", "security"
    if foreign_frontend(build.dockerfile_inline):
        yield "dockerfile_inline", "security"


def _is_harmless(name: str, value: str) -> bool:
    # The client cuts NAME=VALUE at the first '=', so a name could contain another name.
    known = name.partition("=")[0].strip().upper()
    if known == _SYNTAX_ARGUMENT and known == name:
        return is_docker_frontend(value)
    return not known.startswith("BUILDKIT_") or (known == name and known in _BUILDKIT_ARGUMENTS)


def kinds_of_cache(entry: str) -> frozenset[str]:
    """The values of all ``type`` fields of a cache entry; an image alone is of type registry. One that is malformed
    has the kind "".
    """
    return frozenset(value.lower() for name, value in cache_pairs(entry) if name == "type") or frozenset({""})


def foreign_frontend(dockerfile: str) -> str:
    """The frontend that a Dockerfile asks BuildKit to load in a ``syntax`` line, unless it is Docker's own.

    Reads more generously than BuildKit does: all comments before the first instruction count.
    """
    text = dockerfile.removeprefix("\ufeff").lstrip()
    if text.startswith("{"):  # BuildKit also accepts the line as a key of a JSON text
        return "in JSON"
    for line in text.splitlines():
        words = line.strip()
        if words and not words.startswith(("#", "//")):
            break
        found = _DIRECTIVE.fullmatch(words)
        if found and found[1].lower() == "syntax" and not is_docker_frontend(found[2]):
            return found[2]
    return ""


def is_docker_frontend(reference: str) -> bool:
    """Is this an image of Docker's own Dockerfile frontend?"""
    return _FRONTEND.fullmatch(reference.strip()) is not None
