"""What is known of a run besides its trigger and its files."""

from collections.abc import Mapping
from typing import NamedTuple


class Trust(NamedTuple):
    """What an administrator allows a repository's pipelines to ask of the host."""

    network: bool = False
    volumes: bool = False
    security: bool = False


FULL_TRUST = Trust(network=True, volumes=True, security=True)


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


class Context(NamedTuple):
    """A run's surroundings. ``push_repo`` is where a repository without a pipeline file pushes its image, or empty.

    ``known`` is False for a linter that cannot know where a file will run: what conditions ask of the repository, the
    instance and the platform holds then.
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
    previous: Mapping[str, str] = {}
    known: bool = True


class PipelineFile(NamedTuple):
    """A pipeline file as it stands in the commit. ``path`` is relative to the repository's root."""

    path: str
    text: bytes
