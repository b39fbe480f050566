"""All that is set of a repository, in words."""

from sqlalchemy.orm import Session

from web.operations.lookup import repo_named
from web.operations.repos.forge_tokens import used_for
from web.operations.repos.retention import in_words
from web.security.access import Actor
from web.services import OperationServices
from web.urls import hook_url
from workers import store
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import reading
from workers.store.repos.names import former_names
from workers.store.repos.retention import own_values


def details(services: OperationServices, actor: Actor, name: str) -> list[tuple[str, str]]:
    """What is set, and how; of secrets only whether they are. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        found = [
            ("name", repo.name),
            ("former names", ", ".join(former_names(session, repo.id))),
            ("forge", repo.forge),
            ("clone address", repo.clone_url),
            ("moved to", repo.moved_to),
            ("page", repo.web_url),
            ("default branch", repo.default_branch),
            ("private", _yes(repo.private)),
            ("push", repo.push_repo),
            ("webhook", hook_url(services.settings, repo.name)),
            ("webhook secret", _set(repo.hook_secret_sealed)),
            ("clone login", f"as {repo.clone_username}" if repo.clone_password_sealed else ""),
            ("forge token", _token(session, repo)),
            *_rules(repo),
            ("retention", in_words(own_values(session, repo.id))),
            ("secrets", ", ".join(secret.name for secret in store.secrets_of(session, repo.id))),
            ("runs", str(repo.last_number)),
        ]
        return [(what, value or "none") for what, value in found]


def _rules(repo: Repo) -> list[tuple[str, str]]:
    """What its runs may do, and which of them run."""
    trust = store.repo_info(repo).trust._asdict()
    return [
        ("trust", ", ".join(word for word, allowed in trust.items() if allowed)),
        ("untrusted runs", f"{repo.untrusted_runs}, pipeline from {repo.pipeline_from}"),
        ("newest wins", ", ".join(repo.newest_wins)),
        ("seen by", "everyone" if repo.visible_to_all else "members"),
        ("active", _yes(repo.active)),
    ]


def _token(session: Session, repo: Repo) -> str:
    used = used_for(session, repo)
    return " ".join(filter(None, (used.place, used.host, used.api_url))) if used else ""


def _yes(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "yes" if value else "no"


def _set(sealed: str) -> str:
    return "set" if sealed else ""
