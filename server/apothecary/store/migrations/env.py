"""How Alembic runs a revision: on the connection that `apothecary.store.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from apothecary.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    # SQLite cannot alter most of a table: Alembic then copies it.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
