"""Disabled users, roles on repositories, scopes of tokens, what sessions are, and the audit log.

Users keep what they could do: each gets the role ``write`` on every repository that is there, and their tokens get the
scope ``admin``, which means all that the user may do. Repositories that are added later are for administrators only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_REFUSED = "the audit log is append-only"


def upgrade() -> None:
    op.add_column("users", sa.Column("disabled_ms", sa.BigInteger(), nullable=True))
    for name in ("address", "browser"):
        op.add_column("sessions", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("last_used_ms", sa.BigInteger(), nullable=True))
    op.add_column("tokens", sa.Column("scope", sa.String(32), nullable=False, server_default="admin"))
    op.add_column("repos", sa.Column("visible_to_all", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "roles",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("repo_id", ID, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_roles_user_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name="fk_roles_repo_id_repos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "repo_id", name="pk_roles"),
    )
    op.create_index("ix_roles_repo_id", "roles", ["repo_id"])
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("actor", "source", "action", "target", "detail")),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at_ms", "audit", ["at_ms"])
    op.execute(
        "INSERT INTO roles (user_id, repo_id, role, created_ms) "
        "SELECT users.id, repos.id, 'write', users.created_ms FROM users CROSS JOIN repos WHERE NOT users.is_admin"
    )
    _refuse_updates()


def _refuse_updates() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    )


def downgrade() -> None:
    op.drop_table("audit")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_append_only()")
    op.drop_table("roles")
    op.drop_column("repos", "visible_to_all")
    op.drop_column("tokens", "scope")
    for name in ("last_used_ms", "browser", "address"):
        op.drop_column("sessions", name)
    op.drop_column("users", "disabled_ms")
