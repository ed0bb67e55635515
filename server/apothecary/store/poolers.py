"""A pooler of connections between this server and PostgreSQL, such as PgBouncer: https://www.pgbouncer.org/features.html

It may give each transaction to another session of the server (`pool_mode = transaction`). So nothing is left in a
session that the next transaction would count on: no prepared statement, and no limit of time. The limits go along with
each transaction, and cost no way of their own, since they are sent together with what they are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from apothecary.errors import StartError


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler stands between: it has told its client another number of the session than the server knows.
    https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BACKENDKEYDATA
    """
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    return found is not None and found[0] != connection.info.backend_pid


def refuse(connection: psycopg.Connection[Any]) -> None:
    """Raises StartError behind a pooler: for what leaves something in a session, which somebody else has next."""
    if is_pooled(connection):
        raise StartError(
            "a pooler stands before the database, and this needs a connection of its own: name the database itself"
        )


def settings(values: Mapping[str, str]) -> str:
    """The statement that sets parameters of PostgreSQL for the rest of a transaction."""
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in values.items())
