"""The context of a run: its repository, the server, and what an administrator trusts the repository with."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pipelines.step_options.resources import NO_MAXIMUM, ResourcesMax


class Trust(NamedTuple):
    """Which options that reach the host an administrator allows a repository's pipelines."""

    network: bool = False
    volumes: bool = False
    security: bool = False
    ssh: bool = False


FULL_TRUST = Trust(network=True, volumes=True, security=True, ssh=True)


class Access(NamedTuple):
    """What one job may use of the host, and write to where others read. On a server ``workers.access.trust`` decides.

    ``untrusted`` says why a job may use less, empty for a trusted one.
    """

    host: Trust = Trust()
    push: bool = False
    shared_caches: bool = False
    untrusted: str = ""


FULL_ACCESS = Access(FULL_TRUST, push=True, shared_caches=True)
"""What `headway run` gives: its user could do all this without it."""


class RepoInfo(NamedTuple):
    """The repository as pipelines see it. ``name`` is ``owner/name``, or a bare name for a plain git repository."""

    name: str
    clone_url: str
    web_url: str = ""
    default_branch: str = "main"
    private: bool = False
    forge: str = "generic"
    forge_url: str = ""
    trust: Trust = Trust()


_SCP = re.compile(r"[^/@:]+@(?P<host>[^/:]+):(?P<path>.+)")


def forge_url_of(address: str, name: str) -> str:
    """The address of the forge that has the repository ``name`` at ``address``, a page or a URL for cloning.

    Without a login, and with the path below which the forge is; empty where the address names no host.
    """
    if over_ssh := _SCP.fullmatch(address):
        return f"https://{over_ssh['host']}"
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https", "ssh"} or not parts.hostname:
        return ""
    if parts.scheme == "ssh":  # its port is SSH's
        return f"https://{parts.hostname}"
    path = parts.path.strip("/").removesuffix(".git")
    below = path.removesuffix(name).strip("/") if path.endswith(f"/{name}") else ""
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return f"{root}/{below}" if below else root


class Context(NamedTuple):
    """The context of a run. ``push_repo`` is where a repository without a pipeline file pushes its image, or empty.

    ``untrusted`` says why the run is untrusted, empty for a trusted one: it pushes nothing.

    ``resources_max`` is what a container may ask for on this server.

    ``known`` is False for a linter, which does not know where a file will run: then conditions on the repository, the
    instance and the platform hold.
    """

    repo: RepoInfo
    run_number: int = 0
    run_url: str = ""
    parent_number: int = 0
    created_s: int = 0
    system_name: str = "headway"
    system_url: str = ""
    system_host: str = ""
    system_version: str = ""
    platform: str = "linux/amd64"
    local: bool = False
    push_repo: str = ""
    untrusted: str = ""
    previous: Mapping[str, str] = {}
    known: bool = True
    resources_max: ResourcesMax = NO_MAXIMUM


class PipelineFile(NamedTuple):
    """A pipeline file of the commit. ``path`` is relative to the repository's root."""

    path: str
    text: bytes
