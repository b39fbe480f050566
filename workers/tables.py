"""The tables. Every moment is ``*_ms``: milliseconds since 1970 in UTC, by the database's clock."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Dialect, Enum, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import JSON, TypeDecorator

from pipelines.state import Reason, State
from pipelines.trigger import Event

_STATE = Enum(State, native_enum=False, length=32, values_callable=lambda kind: [member.value for member in kind])
_REASON = Enum(Reason, native_enum=False, length=32, values_callable=lambda kind: [member.value for member in kind])
_EVENT = Enum(Event, native_enum=False, length=32, values_callable=lambda kind: [member.value for member in kind])
_ID = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up by itself only in an INTEGER


class PlainText(TypeDecorator[str]):
    """Text from anywhere. NUL, which PostgreSQL refuses, and half surrogates become replacement characters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


class Base(DeclarativeBase):
    """Constraints are named, for SQLite cannot drop one without a name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        str: PlainText(),
        int: BigInteger(),
        dict[str, Any]: JSON(),
        dict[str, str]: JSON(),
        list[str]: JSON(),
        list[dict[str, Any]]: JSON(),
        State: _STATE,
        Reason: _REASON,
        Event: _EVENT,
    }


class Repo(Base):
    """A repository. ``name`` is what its webhook and pages are addressed by; ``last_number`` its newest run's."""

    __tablename__ = "repos"

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    forge: Mapped[str] = mapped_column(default="generic")
    clone_url: Mapped[str]
    web_url: Mapped[str] = mapped_column(default="")
    default_branch: Mapped[str] = mapped_column(default="main")
    private: Mapped[bool] = mapped_column(default=False)
    hook_secret_sealed: Mapped[str] = mapped_column(default="")
    clone_username: Mapped[str] = mapped_column(default="")
    clone_password_sealed: Mapped[str] = mapped_column(default="")
    push_repo: Mapped[str] = mapped_column(default="")
    trust_network: Mapped[bool] = mapped_column(default=False)
    trust_volumes: Mapped[bool] = mapped_column(default=False)
    trust_security: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    last_number: Mapped[int] = mapped_column(default=0)
    created_ms: Mapped[int]


class Delivery(Base):
    """One webhook delivery that was signed rightly. ``state`` is accepted, nothing_to_do or refused."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("repo_id", "key"),)

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    key: Mapped[str]
    event: Mapped[str] = mapped_column(default="")
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    body_bytes: Mapped[int] = mapped_column(default=0)
    received_ms: Mapped[int] = mapped_column(index=True)


class Run(Base):
    """One execution of a pipeline. ``trigger`` is ``Trigger`` as JSON; ``message`` the commit's, ``sentence`` ours."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("repo_id", "number"),)

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    number: Mapped[int]
    parent_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    trigger: Mapped[str]
    event: Mapped[Event]
    ref: Mapped[str]
    branch: Mapped[str]
    sha: Mapped[str]
    title: Mapped[str]
    message: Mapped[str]
    author: Mapped[str]
    state: Mapped[State] = mapped_column(default=State.QUEUED, index=True)
    reason: Mapped[Reason | None]
    sentence: Mapped[str] = mapped_column(default="")
    problems: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    left_out: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    cancel_requested_ms: Mapped[int | None]
    cancel_by: Mapped[str] = mapped_column(default="")
    created_ms: Mapped[int]
    started_ms: Mapped[int | None]
    finished_ms: Mapped[int | None] = mapped_column(index=True)
    logs_deleted_ms: Mapped[int | None]


class Job(Base):
    """What one worker claims. ``plan`` is ``JobPlan`` as JSON, or None until a worker has planned the run.

    ``ready`` turns true when all that the job needs has ended. ``attempt`` counts claims and is the fence: whoever
    holds an older one may not write. ``lost`` counts leases that ran out; ``rung_ms`` is when a worker was last woken.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        Index(None, "state", "ready", "lease_until_ms"),
    )

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    number: Mapped[int]
    name: Mapped[str] = mapped_column(default="")
    file: Mapped[str] = mapped_column(default="")
    cell: Mapped[dict[str, str]] = mapped_column(default=dict)
    labels: Mapped[dict[str, str]] = mapped_column(default=dict)
    needs: Mapped[list[str]] = mapped_column(default=list)
    on_success: Mapped[bool] = mapped_column(default=True)
    on_failure: Mapped[bool] = mapped_column(default=False)
    plan: Mapped[str | None]
    ready: Mapped[bool] = mapped_column(default=True)
    state: Mapped[State] = mapped_column(default=State.QUEUED)
    reason: Mapped[Reason | None]
    message: Mapped[str] = mapped_column(default="")
    attempt: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str] = mapped_column(default="")
    lease_until_ms: Mapped[int | None]
    host: Mapped[str] = mapped_column(default="")
    lost: Mapped[int] = mapped_column(default=0)
    rung_ms: Mapped[int | None]
    not_before_ms: Mapped[int | None]
    created_ms: Mapped[int]
    started_ms: Mapped[int | None]
    finished_ms: Mapped[int | None]


class Step(Base):
    """One step of a job. ``attempt`` is the job's that last touched it, and part of its log's address.

    ``facts`` holds what was learnt: ``image_id``, ``size_bytes``, ``pushed`` [{repo, tag, digest, image_id}],
    ``instructions`` [{index, text, cached, seconds, error}].
    """

    __tablename__ = "steps"
    __table_args__ = (UniqueConstraint("job_id", "number"),)

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    name: Mapped[str]
    kind: Mapped[str]
    image: Mapped[str] = mapped_column(default="")
    state: Mapped[State] = mapped_column(default=State.QUEUED)
    reason: Mapped[Reason | None]
    message: Mapped[str] = mapped_column(default="")
    exit_code: Mapped[int | None]
    log_bytes: Mapped[int] = mapped_column(default=0)
    log_lines: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    started_ms: Mapped[int | None]
    finished_ms: Mapped[int | None]


class Secret(Base):
    """A repository's secret, sealed. ``events`` are the events whose runs may have it."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("repo_id", "name"),)

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    name: Mapped[str]
    sealed: Mapped[str]
    events: Mapped[list[str]] = mapped_column(default=list)
    created_ms: Mapped[int]
    updated_ms: Mapped[int]


class Registry(Base):
    """A login to an image registry, for one repository or (``repo_id`` None) for all."""

    __tablename__ = "registries"
    __table_args__ = (Index(None, "host", "repo_id"),)

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    repo_id: Mapped[int | None] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    host: Mapped[str]
    username: Mapped[str]
    sealed_password: Mapped[str]
    created_ms: Mapped[int]


class User(Base):
    """A person. Without a password they come in by a login link."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_ms: Mapped[int]


class LoginSession(Base):
    """A browser that is logged in. Only the hash of what its cookie says is kept."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_ms: Mapped[int]
    expires_ms: Mapped[int]


class ApiToken(Base):
    """A token for programs. Only its hash is kept; ``expires_ms`` None means never."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(_ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_ms: Mapped[int]
    last_used_ms: Mapped[int | None]
    expires_ms: Mapped[int | None]


class LoginLink(Base):
    """A link that logs its user in once."""

    __tablename__ = "login_links"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_ms: Mapped[int]
    used_ms: Mapped[int | None]


class Counter(Base):
    """A number by name, such as how many webhooks were refused."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class Leader(Base):
    """Who does a job that only one process may do, and until when."""

    __tablename__ = "leaders"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until_ms: Mapped[int]
