"""The history of the tables as Alembic revisions (https://alembic.sqlalchemy.org), which `store.migrate` runs."""
