"""How Alembic runs a revision: on the connection that `apothecary.store.migrate` hands over, in its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import delete, insert

from apothecary.store import schema, tables


def remember(*, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Write down which versions can use the tables now, in the transaction of the migration."""
    if not step.is_upgrade:
        return
    state = tables.state
    ctx.connection.execute(delete(state).where(state.c.name == schema.USABLE))
    ctx.connection.execute(insert(state).values(name=schema.USABLE, value=step.up_revision.module.usable_from))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    # SQLite cannot alter most of a table: Alembic then copies it.
    render_as_batch=True,
    transactional_ddl=True,
    # Locks of one are given back before the next asks for its own, and an index is built outside any.
    transaction_per_migration=True,
    on_version_apply=remember,  # type: ignore[arg-type] # called by keywords only, which its type cannot say
)
with context.begin_transaction():
    context.run_migrations()
