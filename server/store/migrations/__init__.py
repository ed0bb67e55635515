"""The history of the tables, as Alembic revisions (https://alembic.sqlalchemy.org); `server.store.migrate` runs them."""
