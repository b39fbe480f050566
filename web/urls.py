"""Addresses of pages and webhooks. Slashes in a repository's name stay; all other special characters are quoted."""

from urllib.parse import quote

from workers.db.models import Repo
from workers.forges.status_request import Home, NoForgeError, site
from workers.settings import Settings

_COMMITS = {"github": "commit", "gitea": "commit", "gitlab": "-/commit", "bitbucket": "commits"}


def repo_path(name: str) -> str:
    """The path of a repository's page."""
    return f"/repos/{quote(name, safe='/')}"


def run_path(name: str, number: int) -> str:
    """The path of a run's page."""
    return f"{repo_path(name)}/runs/{number}"


def shell_path(name: str, number: int, step_id: int) -> str:
    """The path of the page with a shell in a running step."""
    return f"{run_path(name, number)}/shell/{step_id}"


def hook_url(settings: Settings, name: str) -> str:
    """The address to which the repository's forge sends its deliveries."""
    return f"{settings.url}/hooks/{quote(name, safe='/')}"


def login_url(settings: Settings, link: str) -> str:
    """The page behind a one-time login link."""
    return f"{settings.url}/login?link={quote(link, safe='')}"


def forge_url(repo: Repo) -> str:
    """The repository's page on its forge; empty where it has none."""
    if repo.forge not in _COMMITS:
        return repo.web_url if repo.web_url.startswith(("https://", "http://")) else ""
    try:
        root, path = site(Home(repo.web_url or repo.clone_url))
    except NoForgeError:
        return ""
    return f"{root}/{quote(path)}"


def commit_url(repo: Repo, sha: str) -> str:
    """The commit's page on the repository's forge; empty where it has none."""
    home = forge_url(repo)
    return f"{home}/{_COMMITS[repo.forge]}/{sha}" if home and sha and repo.forge in _COMMITS else ""
