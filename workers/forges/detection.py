"""Asks a host what forge it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from workers.forges.api import ApiAnswer, NoAnswerError, call
from workers.forges.status_request import Home, NoForgeError, site


@dataclass(frozen=True)
class Detected:
    """What a host is. ``forge`` is a name in ``FORGES``; ``said`` is a sentence; ``api_url`` is empty where it is as
    usual.
    """

    forge: str
    said: str
    api_url: str = ""


def detect(client: httpx2.Client, clone_url: str) -> Detected:
    """Asks the host of the address. If it does not answer as a known forge, it is plain git; a sentence says so."""
    try:
        root, path = site(Home(clone_url))
    except NoForgeError:
        return Detected("generic", "This is plain git: the address names no host that could be asked.")
    trouble = ""
    for base in _bases(clone_url, root, path):
        for probe in _PROBES:
            try:
                found = probe(client, base)
            except NoAnswerError as error:
                trouble = str(error)
                break
            if found is not None:
                usual = base == root or not found.api_url
                return found if not usual else Detected(found.forge, found.said)
    hint = "if it is a forge, add the repository again with --replace and --forge"
    if trouble:
        return Detected("generic", f"{root} does not answer ({trouble}), so this is taken for plain git; {hint}.")
    return Detected("generic", f"{root} is no forge that Headway knows, so this is taken for plain git; {hint}.")


def _bases(clone_url: str, root: str, path: str) -> Iterator[str]:
    """Where the forge may be: the host itself, or a path of it; behind SSH also without TLS."""
    yield root
    below = path.split("/")[:-2]
    if below:
        yield f"{root}/{below[0]}"
    if urlsplit(clone_url).scheme not in {"http", "https"}:
        yield root.replace("https://", "http://", 1)


def _gitea(client: httpx2.Client, base: str) -> Detected | None:
    answer = call(client, "GET", f"{base}/api/v1/version")
    version = answer.data.get("version") if isinstance(answer.data, dict) else None
    cookies = answer.headers.get("set-cookie", "")
    if (not answer.ok or not isinstance(version, str)) and "i_like_gitea" not in cookies:
        return None
    name = "Forgejo" if isinstance(version, str) and "+gitea" in version else "Gitea"
    return Detected("gitea", f"{base} is {_with_version(name, version)}.", f"{base}/api/v1")


def _gitlab(client: httpx2.Client, base: str) -> Detected | None:
    """Without a token GitLab does not tell its version, but its answer has headers of its own."""
    answer = call(client, "GET", f"{base}/api/v4/version")
    data = answer.data if isinstance(answer.data, dict) else {}
    told = answer.ok and "revision" in data
    refused = answer.status == 401 and data.get("message") == "401 Unauthorized"  # noqa: PLR2004 - HTTP
    if not (told or refused or _has_header(answer, "x-gitlab-")):
        return None
    return Detected("gitlab", f"{base} is {_with_version('GitLab', data.get('version'))}.", f"{base}/api/v4")


def _github(client: httpx2.Client, base: str) -> Detected | None:
    answer = call(client, "GET", f"{base}/api/v3/meta")
    version = answer.headers.get("x-github-enterprise-version")
    if not version and not _has_header(answer, "x-github-"):
        return None
    name = _with_version("GitHub Enterprise", version and version.rpartition("@")[2])
    return Detected("github", f"{base} is {name}.", f"{base}/api/v3")


def _bitbucket_server(client: httpx2.Client, base: str) -> Detected | None:
    answer = call(client, "GET", f"{base}/rest/api/1.0/application-properties")
    if not isinstance(answer.data, dict) or answer.data.get("displayName") != "Bitbucket":
        return None
    hint = "its own webhooks are not those of Bitbucket Cloud, so connect it as plain git, with a post-receive hook"
    return Detected("generic", f"{base} is {_with_version('Bitbucket Server', answer.data.get('version'))}; {hint}.")


def _has_header(answer: ApiAnswer, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in answer.headers)


def _with_version(name: str, version: object) -> str:
    text = str(version) if isinstance(version, str) else ""
    return f"{name} {text}" if text and len(text) <= 60 and text.isprintable() else name  # noqa: PLR2004 - as pages show it


_PROBES: tuple[Callable[[httpx2.Client, str], Detected | None], ...] = (_gitea, _gitlab, _github, _bitbucket_server)
