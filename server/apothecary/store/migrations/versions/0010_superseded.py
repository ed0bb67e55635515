"""Each text once: the table of versions has those only that are not current any more.

Servers of the revision before go on reading and searching; they fail where they write, or look for a version, since the
table that they would do it in is gone. On PostgreSQL nobody writes while this runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None

# The oldest revision whose code can use the tables as they are after this migration.
usable_from = "0010"

# A revision never changes once it is released, so it repeats what `tables.py` says instead of importing it.
TEXT = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")

# In the order in which a writer takes them, so that neither waits for the other.
_ALONE = "LOCK TABLE resource, version IN EXCLUSIVE MODE"
_MOVE = """INSERT INTO superseded (type, id, version, updated, replaced, fhir_version, method, body)
    SELECT one.type, one.id, one.version, one.updated, (
        SELECT following.updated FROM version AS following
        WHERE following.type = one.type AND following.id = one.id AND following.version > one.version
        ORDER BY following.version LIMIT 1
    ), one.fhir_version, one.method, one.body
    FROM version AS one JOIN resource ON resource.type = one.type AND resource.id = one.id
    WHERE one.version < resource.version"""
_FILL = """UPDATE resource SET method = (
        SELECT method FROM version
        WHERE version.type = resource.type AND version.id = resource.id AND version.version = resource.version)"""
_END = "DROP TABLE version"
_BACK = (
    "INSERT INTO version (type, id, version, updated, fhir_version, method, body)"
    " SELECT type, id, version, updated, fhir_version, method, body FROM superseded",
    "INSERT INTO version (type, id, version, updated, fhir_version, method, body)"
    " SELECT type, id, version, updated, fhir_version, method, body FROM resource WHERE method IS NOT NULL",
)

# What takes something away, or holds up those who write.
contracts = tuple(" ".join(one.split()) for one in (_ALONE, _MOVE, _FILL, _END))


def upgrade() -> None:
    """Move what is superseded to a table of its own; what is current is in `resource` already."""
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    if on_postgresql:
        op.execute(_ALONE)
    op.create_table(
        "superseded",
        sa.Column("type", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=False, comment="when the next version was made"),
        sa.Column("fhir_version", TEXT, nullable=False),
        sa.Column("method", TEXT, nullable=False, comment="POST, PUT, PATCH, DELETE or LOAD: what made this version"),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("type", "id", "version"),
    )
    op.execute(_MOVE)
    op.create_index("superseded_updated", "superseded", ["updated", "type", "id"])
    op.create_index("superseded_type_updated", "superseded", ["type", "updated", "id"])
    op.execute(_FILL)
    if on_postgresql:
        # Whoever reads versions now may end first: to begin anew would take longer.
        op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(_END)


def downgrade() -> None:
    """Put all versions into one table again."""
    op.create_table(
        "version",
        sa.Column("type", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("fhir_version", TEXT, nullable=False),
        sa.Column(
            "method", TEXT, nullable=False, comment="POST, PUT, PATCH or DELETE: the interaction that made this version"
        ),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("type", "id", "version"),
    )
    for one in _BACK:
        op.execute(one)
    op.create_index("version_updated", "version", ["updated", "type", "id", "version"])
    op.create_index("version_type_updated", "version", ["type", "updated", "id", "version"])
    op.drop_table("superseded")
