"""Addresses of pages and webhooks. A repository's name may hold slashes; every other character is quoted."""

from urllib.parse import quote

from workers.settings import Settings


def repo_path(name: str) -> str:
    """The path of a repository's page."""
    return f"/repos/{quote(name, safe='/')}"


def run_path(name: str, number: int) -> str:
    """The path of a run's page."""
    return f"{repo_path(name)}/runs/{number}"


def run_url(settings: Settings, name: str, number: int) -> str:
    """A run's page as others reach it."""
    return settings.url + run_path(name, number)


def hook_url(settings: Settings, name: str) -> str:
    """Where the repository's forge sends its deliveries."""
    return f"{settings.url}/hooks/{quote(name, safe='/')}"


def login_url(settings: Settings, link: str) -> str:
    """The page behind a one-time login link."""
    return f"{settings.url}/login?link={quote(link, safe='')}"
