"""What bulk exports ask of the database: resources as they were at a moment, jobs, and pieces of files.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html: an export holds all that was written up to its `transactionTime`, and
nothing later. Versions are only ever added, so what there was at a moment can be read long afterwards, while others go
on writing, once it is certain that nothing earlier comes any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    Text,
    bindparam,
    delete,
    insert,
    literal,
    not_,
    select,
)
from sqlalchemy.engine import Dialect

from apothecary.search.contained import MARK
from apothecary.store import history
from apothecary.store.bulk_tables import bulk_job, bulk_piece
from apothecary.store.contract import Stored, Transaction
from apothecary.store.fragments import one_of
from apothecary.store.reads import BARRIER
from apothecary.store.sql import SqlStore
from apothecary.store.tables import resource
from apothecary.store.write import SqlTransaction

T = TypeVar("T")

# Times are of milliseconds.
STEP = 1000

# In a serializable transaction this conflicts with every writer of resources that is at it, and reads nothing: a sample
# locks its table for that purpose as a whole
# (https://www.postgresql.org/docs/current/transaction-iso.html#XACT-SERIALIZABLE).
_ALL_WRITERS = "SELECT count(*) FROM resource TABLESAMPLE SYSTEM (0)"

_TYPE, _ID = bindparam("type", type_=Text()), bindparam("id", type_=Text())
_AFTER, _LIMIT = bindparam("after", type_=Text()), bindparam("limit", type_=Integer())
_FILE, _NUMBER = bindparam("file", type_=Text()), bindparam("number", type_=Integer())


class Row(NamedTuple):
    """A job as it lies in the database; times are in microseconds since 1970."""

    id: str
    kind: str
    ended: bool
    owner: str
    until: int
    expires: int
    data: bytes


class Bulk:
    """The part of a store that exports work with."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store

    def _fetch(self, key: str, build: Callable[[], Any], most: int | None = None, **named: Any) -> list[Any]:
        statement = self.store.statements.get(f"bulk {key}", build)
        return self.store.rows(statement, statement.bind(named), most)

    # -- resources at a moment

    def walk(self, kind: str, after: str, limit: int, most: int, since: int | None = None) -> list[Stored]:
        """What is current of a type now, deletions included, in the order of ids behind `after`; at most `limit`, and
        no more than exceeds `most` bytes. With `since`, only what was changed later.
        """
        named: dict[str, Any] = {"type": kind, "after": after, "limit": limit}
        if since is not None:
            named["since"] = since
        build = partial(_walk, since is not None)
        return [Stored(*row) for row in self._fetch(f"walk {since is None}", build, most, **named)]

    def those(self, kind: str, ids: Sequence[str], most: int) -> list[Stored]:
        """What is current now of some ids, deletions included, in their order; as `walk` otherwise."""
        build = partial(_those, self.store.statements.dialect)
        return [Stored(*row) for row in self._fetch("those", build, most, type=kind, ids=self.store.sequence(ids))]

    def as_of(self, kind: str, ids: Sequence[str], moment: int) -> list[Stored]:
        """What was current at a moment of those ids that there were, deletions included."""
        if not ids:
            return []
        build = partial(history.as_of, self.store.statements.dialect)
        return [
            Stored(*row) for row in self._fetch("as of", build, type=kind, ids=self.store.sequence(ids), moment=moment)
        ]

    def changed_since(self, moment: int, limit: int) -> list[tuple[str, str]]:
        """The keys of the first that were written later than a moment."""
        return [(row[0], row[1]) for row in self._fetch("changed", _changed, moment=moment, limit=limit)]

    # -- jobs and pieces

    def job(self, identity: str) -> Row | None:
        found = self._fetch("job", _job, id=identity)
        return _row(found[0]) if found else None

    def jobs(self) -> list[Row]:
        """All of them; few are kept."""
        return [_row(one) for one in self._fetch("jobs", _jobs)]

    def piece(self, file: str, number: int) -> bytes | None:
        found = self._fetch("piece", _piece, file=file, number=number)
        return bytes(found[0][0]) if found else None

    def change(self, work: Callable[[BulkChange], T]) -> T:
        """Run `work` in a transaction, as `Store.write` does."""
        return self.store.write(lambda transaction: work(BulkChange(self.store, transaction)))


class BulkChange:
    """The same inside of a transaction, where it can be changed."""

    def __init__(self, store: SqlStore, transaction: Transaction) -> None:
        self._store = store
        self._transaction = cast(SqlTransaction, transaction)

    def _run(self, key: str, build: Callable[[], Any], **named: Any) -> None:
        self._transaction.run(self._store.statements.get(f"bulk {key}", build), **named)

    def _fetch(self, key: str, build: Callable[[], Any], **named: Any) -> list[Any]:
        statement = self._store.statements.get(f"bulk {key}", build)
        return self._transaction.rows(statement, statement.bind(named))

    def moment(self) -> int:
        """This moment, after which everything that is written from now on will be: once this transaction is committed,
        all that was written up to it is there, and stays all.
        """
        if not self._store.sqlite:
            self._transaction.run_all([_ALL_WRITERS])
        found = self._transaction.moment()
        self._transaction.set_state(BARRIER, str(found + STEP))
        return found

    def job(self, identity: str) -> Row | None:
        found = self._fetch("job", _job, id=identity)
        return _row(found[0]) if found else None

    def jobs(self) -> list[Row]:
        return [_row(one) for one in self._fetch("jobs", _jobs)]

    def put(self, job: Row) -> None:
        """Write a job, in place of what there is of it."""
        self._run("drop job", _drop_job, id=job.id)
        self._run("put job", partial(_insert, bulk_job), **job._asdict())

    def drop(self, identity: str) -> None:
        self._run("drop job", _drop_job, id=identity)

    def has(self, file: str) -> bool:
        return bool(self._fetch("has file", _has, file=file))

    def add(self, file: str, number: int, body: bytes) -> None:
        self._run("add piece", partial(_insert, bulk_piece), file=file, number=number, body=body)

    def drop_file(self, file: str) -> None:
        self._run("drop file", _drop_file, file=file)


def _row(found: Any) -> Row:
    identity, kind, ended, owner, until, expires, data = found
    return Row(identity, kind, bool(ended), owner, until, expires, bytes(data))


# -- the statements


def _columns() -> Select[Any]:
    row = resource.c
    return select(row.type, row.id, row.version, row.updated, row.fhir_version, row.body)


def _walk(since: bool) -> Select[Any]:
    row = resource.c
    found = _columns().where(row.type == _TYPE, row.id > _AFTER)
    if since:
        # An expression, not the column, or the index in the order of time were tempting: it would be sorted each time.
        found = found.where(row.updated + literal(0) > bindparam("since", type_=BigInteger()))
    return found.order_by(row.id).limit(_LIMIT)


def _those(dialect: Dialect) -> Select[Any]:
    row = resource.c
    return _columns().where(row.type == _TYPE, one_of(dialect, row.id, "ids")).order_by(row.id)


def _changed() -> Select[Any]:
    row = resource.c
    alone = not_(row.type.endswith(MARK))
    found = select(row.type, row.id).where(row.updated > bindparam("moment", type_=BigInteger()), alone)
    return found.order_by(row.updated, row.type, row.id).limit(_LIMIT)


def _jobs() -> Select[Any]:
    return select(*bulk_job.c).order_by(bulk_job.c.id)


def _job() -> Select[Any]:
    return select(*bulk_job.c).where(bulk_job.c.id == _ID)


def _drop_job() -> Any:
    return delete(bulk_job).where(bulk_job.c.id == _ID)


def _piece() -> Select[Any]:
    return select(bulk_piece.c.body).where(bulk_piece.c.file == _FILE, bulk_piece.c.number == _NUMBER)


def _has() -> Select[Any]:
    return select(literal(1)).where(bulk_piece.c.file == _FILE).limit(1)


def _drop_file() -> Any:
    return delete(bulk_piece).where(bulk_piece.c.file == _FILE)


def _insert(table: Any) -> Any:
    return insert(table).values({column.name: bindparam(column.name, type_=column.type) for column in table.columns})
