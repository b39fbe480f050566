"""The tables of repositories, with their deliveries, crons, secrets and registry logins."""

import secrets
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from pipelines.trigger import Event
from workers.db.models.base import ID, Base

NEWEST_WINS_EVENTS = frozenset({Event.PUSH, Event.PULL_REQUEST})
"""Runs of other events are never canceled for a newer one."""


class Repo(Base):
    """A repository. ``name`` is part of its webhook's and pages' addresses; ``last_number`` is its newest run's number,
    and ``newest_ms`` when that was queued; both are 0 where there was none.

    A new run of an event in ``newest_wins`` cancels older ones of the same branch or pull request. With
    ``visible_to_all``, every user who can log in has at least the role ``read``. The values of ``untrusted_runs`` and
    ``pipeline_from`` are in ``workers.access.trust``. ``moved_to`` is the address to which the forge redirects git from
    ``clone_url``, or empty. ``key`` is a random name for its mirrors: in another database no repository has the same.
    """

    __tablename__ = "repos"
    __table_args__ = (Index("ix_repos_newest_ms_id", "newest_ms", "id"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    key: Mapped[str] = mapped_column(default=lambda: secrets.token_hex(8))
    name: Mapped[str] = mapped_column(unique=True)
    forge: Mapped[str] = mapped_column(default="generic")
    clone_url: Mapped[str]
    moved_to: Mapped[str] = mapped_column(default="")
    web_url: Mapped[str] = mapped_column(default="")
    default_branch: Mapped[str] = mapped_column(default="main")
    private: Mapped[bool] = mapped_column(default=False)
    hook_secret_sealed: Mapped[str] = mapped_column(default="")
    clone_username: Mapped[str] = mapped_column(default="")
    clone_password_sealed: Mapped[str] = mapped_column(default="")
    forge_token_sealed: Mapped[str] = mapped_column(default="")
    forge_api_url: Mapped[str] = mapped_column(default="")
    push_repo: Mapped[str] = mapped_column(default="")
    trust_network: Mapped[bool] = mapped_column(default=False)
    trust_volumes: Mapped[bool] = mapped_column(default=False)
    trust_security: Mapped[bool] = mapped_column(default=False)
    trust_ssh: Mapped[bool] = mapped_column(default=False)
    untrusted_runs: Mapped[str] = mapped_column(default="approve")
    pipeline_from: Mapped[str] = mapped_column(default="commit")
    active: Mapped[bool] = mapped_column(default=True)
    visible_to_all: Mapped[bool] = mapped_column(default=False)
    newest_wins: Mapped[list[str]] = mapped_column(default=lambda: [Event.PULL_REQUEST.value])
    last_number: Mapped[int] = mapped_column(default=0)
    newest_ms: Mapped[int] = mapped_column(default=0)
    created_ms: Mapped[int]


class FormerName(Base):
    """A name that a repository had before: addresses with it, of pages and of the webhook, lead to it still."""

    __tablename__ = "former_names"

    name: Mapped[str] = mapped_column(primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"), index=True)


_NO_RUN = "run_id IS NULL AND sha <> ''"


class Delivery(Base):
    """One webhook delivery with a valid signature. ``state`` is accepted, nothing_to_do or refused.

    ``kind`` is webhook, replay (of the delivery ``repeats_id``, by the user ``replayed_by``) or found: a push whose
    webhook did not come. ``payload_key`` names the ``DeliveryPayload`` of this delivery, or of the one that it repeats.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("repo_id", "key"),
        Index("ix_deliveries_repo_id_received_ms", "repo_id", "received_ms"),
        Index(
            "ix_deliveries_without_run", "repo_id", "sha", sqlite_where=text(_NO_RUN), postgresql_where=text(_NO_RUN)
        ),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    key: Mapped[str]
    kind: Mapped[str] = mapped_column(default="webhook")
    event: Mapped[str] = mapped_column(default="")
    ref: Mapped[str] = mapped_column(default="")
    sha: Mapped[str] = mapped_column(default="")
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    payload_key: Mapped[str] = mapped_column(default="")
    repeats_id: Mapped[int | None]
    replayed_by: Mapped[str] = mapped_column(default="")
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    body_bytes: Mapped[int] = mapped_column(default=0)
    received_ms: Mapped[int]


class Cron(Base):
    """A cron. The scheduler that moves ``next_ms`` on starts its run; None means off. ``branch`` empty: the default.

    ``inputs_by_admin``: an administrator of the server gave it its inputs.
    """

    __tablename__ = "crons"
    __table_args__ = (UniqueConstraint("repo_id", "name"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    name: Mapped[str]
    expression: Mapped[str]
    zone: Mapped[str]
    branch: Mapped[str] = mapped_column(default="")
    inputs: Mapped[dict[str, str]] = mapped_column(default=dict)
    inputs_by_admin: Mapped[bool] = mapped_column(default=False)
    next_ms: Mapped[int | None] = mapped_column(index=True)
    last_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)


class BranchInputs(Base):
    """The inputs that the pipeline of a branch declares, as its newest run found them at the commit ``sha``."""

    __tablename__ = "branch_inputs"

    repo_id: Mapped[int] = mapped_column(ID, ForeignKey("repos.id", ondelete="CASCADE"), primary_key=True)
    branch: Mapped[str] = mapped_column(primary_key=True)
    sha: Mapped[str]
    inputs: Mapped[list[dict[str, Any]]]


class Secret(Base):
    """A repository's secret, sealed. ``events`` are the events whose runs may use it."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("repo_id", "name"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    name: Mapped[str]
    sealed: Mapped[str]
    events: Mapped[list[str]] = mapped_column(default=list)
    created_ms: Mapped[int]
    updated_ms: Mapped[int]


class SharedSecret(Base):
    """A secret, sealed, for all repositories of an owner, or with an empty ``owner`` for all."""

    __tablename__ = "shared_secrets"
    __table_args__ = (UniqueConstraint("owner", "name", name="uq_shared_secrets_owner_name"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    sealed: Mapped[str]
    events: Mapped[list[str]] = mapped_column(default=list)
    created_ms: Mapped[int]
    updated_ms: Mapped[int]


class SharedForgeToken(Base):
    """A token of the forge at ``host``, sealed, for all repositories of an owner, or with an empty ``owner`` for all.

    ``host`` is like ``https://git.example.com``; ``api_url`` is where the forge's API is, if it is not the usual place.
    """

    __tablename__ = "shared_forge_tokens"
    __table_args__ = (UniqueConstraint("owner", "host", name="uq_shared_forge_tokens_owner_host"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    owner: Mapped[str]
    host: Mapped[str]
    api_url: Mapped[str] = mapped_column(default="")
    sealed: Mapped[str]
    created_ms: Mapped[int]
    updated_ms: Mapped[int]


class Registry(Base):
    """A login to an image registry, for one repository, or (``repo_id`` None) for all of an ``owner``, or for all."""

    __tablename__ = "registries"
    __table_args__ = (Index(None, "host", "repo_id"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int | None] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    owner: Mapped[str] = mapped_column(default="")
    host: Mapped[str]
    username: Mapped[str]
    sealed_password: Mapped[str]
    created_ms: Mapped[int]
