"""Which assertions of clients were used already, as all servers of a database know it.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#signature-verification: the `jti` of a client
counts once for as long as an assertion may live.
"""

from __future__ import annotations

import time
from functools import partial
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import BigInteger, Delete, bindparam, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from apothecary.store.assertion_tables import access_assertion
from apothecary.store.contract import Transaction
from apothecary.store.sql import SqlStore
from apothecary.store.write import SqlTransaction

# Each process takes away at most so often, in seconds, what could not be used any more.
EVERY = 60.0


class Assertions:
    """The part of a store that knows them."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._tidied = float("-inf")

    def use(self, client: str, jti: str, expires: int, now: int) -> bool:
        """Note that an assertion is used, which is good until `expires` (seconds since 1970, as `now`); whether this is
        the first time. Raises as writes do: what cannot be noted must not be taken.
        """
        self._tidy(now)
        row = {"client": client, "jti": sha256(jti.encode("utf-8", "surrogatepass")).hexdigest(), "expires": expires}
        statement = self._store.statements.get("use assertion", partial(_use, self._store.statements.dialect))

        def note(transaction: Transaction) -> bool:
            # Where another transaction has just put the same row, PostgreSQL undoes this one, and it is tried again.
            found = cast(SqlTransaction, transaction).rows(statement, statement.bind(row))
            return bool(found)

        return self._store.write(note, brief=True)

    def _tidy(self, now: int) -> None:
        here = time.monotonic()
        if here - self._tidied < EVERY:
            return
        self._tidied = here
        statement = self._store.statements.get("tidy assertions", _tidy)
        self._store.write(lambda transaction: cast(SqlTransaction, transaction).run(statement, now=now) and None)


def _use(dialect: Dialect) -> Any:
    into = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    named = {column.name: bindparam(column.name, type_=column.type) for column in access_assertion.columns}
    return into(access_assertion).values(named).on_conflict_do_nothing().returning(access_assertion.c.client)


def _tidy() -> Delete:
    return delete(access_assertion).where(access_assertion.c.expires < bindparam("now", type_=BigInteger()))
