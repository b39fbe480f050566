"""The tags that ``auto`` stands for, as in plugin-docker."""

import re

from pipelines.trigger import Trigger

AUTO = "auto"

_SEMVER = re.compile(
    r"(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)


def auto_tags(trigger: Trigger, default_branch: str) -> tuple[str, ...]:
    """The tags for a trigger; none for a branch other than the default one."""
    if trigger.ref.startswith("refs/tags/"):
        return _version_tags(trigger.ref.removeprefix("refs/tags/"))
    branch = trigger.ref.removeprefix("refs/heads/")
    if trigger.ref.startswith("refs/heads/") and branch != default_branch:
        return ()
    return ("latest",)


def _version_tags(tag: str) -> tuple[str, ...]:
    version = tag.removeprefix("v")
    found = _SEMVER.fullmatch(version)
    if found is None:
        return ("latest",)
    major, minor, patch, prerelease, metadata = found.groups()
    minor, patch = minor or "0", patch or "0"
    if prerelease or metadata:
        return (f"{major}.{minor}.{patch}{prerelease or ''}{metadata or ''}".replace("+", "-"),)
    exact = (f"{major}.{minor}", f"{major}.{minor}.{patch}")
    return exact if major == "0" else (major, *exact)
