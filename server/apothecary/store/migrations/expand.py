"""What a migration may do to tables that servers of the version before are using: add to them.

https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def create_index(name: str, table: str, columns: list[str], **options: Any) -> None:
    """Make an index while others read and write; one that is there already stays. Options are Alembic's.

    PostgreSQL builds it outside a transaction, so what the migration did before is committed then: let nothing but
    indexes stand in such a migration. What a build that was broken off left behind is removed first.
    """
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, columns, if_not_exists=True, **options)
        return
    with op.get_context().autocommit_block():
        bind = op.get_bind()
        # A build waits for every transaction that is older, and holds nobody up meanwhile.
        limit = bind.execute(sa.text("SHOW lock_timeout")).scalar()
        bind.execute(sa.text("SET lock_timeout = 0"))
        broken = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
        if bind.execute(sa.text(broken), {"name": name}).scalar():
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, if_not_exists=True, **options)
        bind.execute(sa.text(f"SET lock_timeout = '{limit}'"))
