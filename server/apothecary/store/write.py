"""Writing, once for both databases: the current version goes among those that are superseded, the next one takes its
place, and the index rows of the resource are made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Delete,
    Insert,
    Integer,
    LargeBinary,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from apothecary.errors import Conflict
from apothecary.search.parts import Piece
from apothecary.search.rows import Indexed
from apothecary.search.words import trigrams
from apothecary.store import concept_tables, reads, spelling, tables
from apothecary.store.concept_write import ConceptWriter
from apothecary.store.contract import Head, Stored, Transaction
from apothecary.store.limited import limited
from apothecary.store.shaping import Shaped, shape
from apothecary.store.sql import SqlReader, SqlStore
from apothecary.store.statements import Statement, Statements

# New rows are held back until there are this many, or the transaction reads something else than a resource by its key,
# or ends: one call for many is much cheaper.
BATCH = 5000
# So many rows of a table go by one statement: what each statement costs besides takes a sixth of the time.
TOGETHER = 16
# So many resources are remembered that were read and not written.
SEEN = 1000

Key = tuple[str, str]
"""The type and the id of a resource."""


class Cursor(Protocol):
    """What both drivers' connections offer."""

    def execute(self, text: str, bound: Sequence[Any], /) -> Any: ...
    def executemany(self, text: str, bound: Sequence[Sequence[Any]], /) -> Any: ...


class Writes:
    """The writing statements of a dialect. They hang on nothing else, so all stores of a process share them."""

    def __init__(self, dialect: Dialect) -> None:
        statements = Statements(dialect)
        get = statements.get
        self.supersede = get("supersede", _supersede)
        self.update_resource = get("update resource", _update_resource)
        self.amend = get("amend", _amend)
        self.insert_rows = {
            name: get(("insert rows", name), partial(_insert, table)) for name, table in tables.INDEXES.items()
        }
        self.insert_rows |= {
            table.name: get(("insert rows", table.name), partial(_insert, table))
            for table in (tables.resource, *concept_tables.TABLES)
        }
        self.concepts = ConceptWriter(statements)
        self.delete_rows = {
            name: get(("delete rows", name), partial(_delete_rows, table)) for name, table in tables.INDEXES.items()
        }
        self.contained = get("contained", reads.contained)
        self.newest = get("newest", reads.newest)
        self.delete_resource = get("delete resource", partial(_delete_rows, tables.resource))
        self.insert_words = get("insert words", partial(_insert_missing, tables.vocabulary, dialect))
        self.delete_state = get(
            "delete state", lambda: delete(tables.state).where(tables.state.c.name == bindparam("name", type_=Text()))
        )
        self.insert_state = get("insert state", partial(_insert, tables.state))


def _insert(table: Table) -> Insert:
    return insert(table).values({column.name: bindparam(column.name, type_=column.type) for column in table.columns})


@cache
def _together(text: str) -> str:
    """The statement that inserts a row, for `TOGETHER` of them."""
    into, values = text.split(" VALUES ")
    return f"{into} VALUES {', '.join([values] * TOGETHER)}"


def _insert_missing(table: Table, dialect: Dialect) -> Insert:
    """Rows that are there already stay as they are."""
    into = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    named = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    return into(table).values(named).on_conflict_do_nothing()


def _supersede() -> Insert:
    """Copies the current version to those that are superseded. Its text never leaves the database."""
    row = tables.resource
    replaced = bindparam("new_updated", type_=BigInteger())
    values = [replaced if one.name == "replaced" else row.c[one.name] for one in tables.superseded.columns]
    return insert(tables.superseded).from_select(
        [one.name for one in tables.superseded.columns], select(*values).where(*_old(row))
    )


def _old(row: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return row.c.type == bindparam("old_type", type_=Text()), row.c.id == bindparam("old_id", type_=Text())


def _update_resource() -> Update:
    row = tables.resource
    changed = {
        "version": bindparam("new_version", type_=Integer()),
        "updated": bindparam("new_updated", type_=BigInteger()),
        "fhir_version": bindparam("new_fhir_version", type_=Text()),
        "deleted": bindparam("new_deleted", type_=Boolean()),
        "body": bindparam("new_body", type_=LargeBinary()),
        "method": bindparam("method", type_=Text()),
    }
    # Nobody else can have changed it since it was read: SQLite has one writer, PostgreSQL refuses the second, and the
    # key of `superseded` refuses a number that is taken.
    return update(row).values(changed).where(*_old(row))


def _named(stored: Stored, method: str) -> dict[str, Any]:
    """The values of a version by the names that the statements have for them."""
    values = {**stored._asdict(), "deleted": stored.deleted}
    new = {f"new_{name}": value for name, value in values.items()}
    return {**values, **new, "old_type": stored.type, "old_id": stored.id, "method": method}


def _amend() -> Update:
    row = tables.resource
    same = *_old(row), row.c.version == bindparam("version", type_=Integer())
    return update(row).values(body=bindparam("new_body", type_=LargeBinary())).where(*same)


def _delete_rows(table: Table) -> Delete:
    return delete(table).where(
        table.c.type == bindparam("type", type_=Text()), table.c.id == bindparam("id", type_=Text())
    )


class SqlTransaction(SqlReader, Transaction):
    """One open transaction of a `SqlStore`: reads see its writes."""

    def __init__(self, store: SqlStore, writes: Writes, cursor: Cursor, newest: int | None = None) -> None:
        """`newest` is the time of the last write in the database; None where it is looked up when it is needed."""
        statements = store.statements
        super().__init__(statements)
        self._instant = store.instant
        self.newest = newest
        self._writes = writes
        self._cursor = cursor
        self.sqlite = store.sqlite
        self._pending: dict[str, list[tuple[Any, ...]]] = {name: [] for name in tables.INDEXES}
        self._held = 0
        self._new: dict[Key, tuple[Stored, str]] = {}
        """Resources that came to be here and are not inserted yet, each with its method."""
        self._next: dict[Key, tuple[Stored, str]] = {}
        """Those of which the next version is not written yet."""
        self._seen: dict[Key, Stored | None] = {}
        """What was read by its key: nobody else changes it while the transaction lasts."""
        self._stale: dict[Key, None] = {}
        """Resources whose index rows go before others come, and those that were contained in them."""
        self._gone: dict[Key, None] = {}
        """Resources that were contained in others, and go from the index."""
        self._indexed: set[Key] = set()
        """Resources of which index rows are held back."""
        self._contained: list[tuple[Any, ...]] = []
        """Rows of contained resources that are not inserted yet. Their text is that of the container."""
        self._words: dict[tuple[str, str, str], bool] = {}
        self._pieces: dict[Piece, bool] = {}
        self.touched: dict[Key, Head] = {}

    def run(self, statement: Statement, **named: Any) -> Any:
        return self._cursor.execute(statement.text, statement.bind(named))

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        self.flush()
        found = self._cursor.execute(statement.text, bound)
        return list(found.fetchall()) if most is None else limited(found, most, statement.heavy)

    def read(self, resource_type: str, resource_id: str) -> Stored | None:
        # Every write reads first, so this must not end the holding back.
        key = resource_type, resource_id
        held = self._new.get(key) or self._next.get(key)
        if held is not None:
            return held[0]
        if key not in self._seen:
            found = self.run(self._read, type=resource_type, id=resource_id).fetchall()
            if len(self._seen) >= SEEN:
                self._seen.clear()
            self._seen[key] = Stored(*found[0]) if found else None
        return self._seen[key]

    def foresee(self, keys: Iterable[Key]) -> None:
        """Nothing is gained by reading together what lies in this process."""

    def moment(self, current: Stored | Head | None = None) -> int:
        if self.newest is None:
            self.newest = int(self.run(self._writes.newest).fetchone()[0])
        after = 0 if current is None else current.updated + 1000
        self.newest = max(self._instant(self.newest), after)
        return self.newest

    def write(self, stored: Stored, method: str, rows: Iterable[Indexed] | Shaped, *, absent: bool = False) -> None:
        key = stored.type, stored.id
        self.touched[key] = _head(stored)
        current = None if absent else self.read(*key)
        if (0 if current is None else current.version) != stored.version - 1:
            name = "/".join(key)
            raise Conflict(
                f"{name} exists already"
                if stored.version == 1
                else f"{name} was changed by somebody else at the same time; read it and try again"
            )
        if key in self._new or key in self._next:
            self.flush()
        self._seen.pop(key, None)
        (self._next if current is not None else self._new)[key] = stored, method
        self._index(stored, rows, before=current)

    def amend(self, stored: Stored, rows: Iterable[Indexed]) -> None:
        self.flush()
        key = stored.type, stored.id
        self.touched[key] = _head(stored)
        before = self.read(*key)
        self._seen.pop(key, None)
        named = {"old_type": stored.type, "old_id": stored.id, "version": stored.version, "new_body": stored.body}
        if self.run(self._writes.amend, **named).rowcount != 1:
            raise Conflict(f"{stored.type}/{stored.id} was changed by somebody else at the same time")
        self._index(stored, rows, before=before)

    def index(self, stored: Stored, rows: Iterable[Indexed] | Shaped, *, fresh: bool) -> None:
        # What is in the index is of this version: it may have come there by other rules, but contains the same.
        self._index(stored, rows, before=None if fresh else stored)

    def _index(self, stored: Stored, rows: Iterable[Indexed] | Shaped, *, before: Stored | None) -> None:
        """Replace the index rows, which are those of `before`; None where there are none."""
        kind, identity = stored.type, stored.id
        if before is not None:
            self._replace(kind, identity, before)
        shaped = rows if isinstance(rows, Shaped) else shape(kind, identity, rows, sqlite=self.sqlite)
        self._hold(stored, shaped)
        self._indexed.add((kind, identity))
        if kind == "CodeSystem" and (shaped.concepts is not None or before is not None):
            self._writes.concepts.write(self, stored, shaped.concepts, fresh=before is None)
        if self._held + len(self._new) + len(self._next) >= BATCH:
            self.flush()

    def _replace(self, kind: str, identity: str, before: Stored) -> None:
        """Let the index rows of a resource go when those come that are held back."""
        if (kind, identity) in self._indexed:
            # Rows of an earlier write in this transaction are held back.
            self.flush()
        self._stale[kind, identity] = None
        if b'"contained"' in (before.body or b""):
            for one in self.run(self._writes.contained, type=kind, id=identity).fetchall():
                self._stale[one[0], one[1]] = self._gone[one[0], one[1]] = None

    def _hold(self, stored: Stored, shaped: Shaped) -> None:
        """Note the rows of one resource, to be written with others."""
        for name, rows in shaped.rows.items():
            self._pending[name] += rows
            self._held += len(rows)
        for word in shaped.words:
            self._words.setdefault(word, False)
        for piece in shaped.pieces:
            self._pieces.setdefault(piece, False)
        for kind, identity in shaped.contained:
            self._contained.append((kind, identity, *stored[2:5], False, None, None))

    @property
    def holding(self) -> bool:
        """Whether anything is held back."""
        return bool(self._new or self._next or self._stale or self._contained or self._held)

    def flush(self) -> None:
        """Write what is held back."""
        self._write_versions()
        if self._stale:
            self._forget()
            self._stale.clear()
            self._gone.clear()
        self._indexed.clear()
        if self._contained:
            self.insert_rows("resource", self._contained)
            self._contained.clear()
        if not self._held:
            return
        if self._pending["text"]:
            self._before_passages_come()
        for name, pending in self._pending.items():
            if pending:
                self.insert_rows(name, pending)
                pending.clear()
        self._flush_words()
        self._flush_pieces()
        self._held = 0

    def _write_versions(self) -> None:
        """Insert resources that are new, and give others their next version."""
        new, following = list(self._new.values()), list(self._next.values())
        self._new.clear()
        self._next.clear()
        if new:
            self.insert_rows("resource", [(*one[:5], one.deleted, one.body, method) for one, method in new])
        if following:
            named = [_named(*one) for one in following]
            for statement in (self._writes.supersede, self._writes.update_resource):
                self.many(statement.text, [statement.bind(one) for one in named])

    def _forget(self) -> None:
        """Delete the index rows of what is stale, and what was contained."""
        keys = list(self._stale)
        self._before_passages_go(keys)
        for statement in self._writes.delete_rows.values():
            self.many(statement.text, keys)
        if self._gone:
            self.many(self._writes.delete_resource.text, list(self._gone))

    def _before_passages_come(self) -> None:
        """Do what the index of their words needs; nothing where that is one with them."""

    def _before_passages_go(self, keys: Sequence[Key]) -> None:
        """The same for those of some resources."""

    def _flush_words(self) -> None:
        """Write the words that this transaction has not written yet. In order, so that writers of the same words wait
        for each other instead of both failing.
        """
        fresh = sorted(word for word, written in self._words.items() if not written)
        rows = [
            (kind, parameter, one, word, len(found))
            for kind, parameter, word in fresh
            for found in (trigrams(word),)
            for one in sorted(found)
        ]
        if rows:
            self.insert_words(rows)
            self._words |= dict.fromkeys(fresh, True)

    def _flush_pieces(self) -> None:
        """The same of the pieces of texts."""
        fresh = [piece for piece, written in self._pieces.items() if not written]
        if fresh:
            spelling.add(self._cursor, fresh, sqlite=self.sqlite)
            self._pieces |= dict.fromkeys(fresh, True)

    def insert_words(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows of the vocabulary; those that are there stay."""
        self.many(self._writes.insert_words.text, rows)

    def insert_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows of one table, with their columns in its order."""
        text = self._writes.insert_rows[name].text
        whole = len(rows) // TOGETHER * TOGETHER
        if whole:
            groups = (chain.from_iterable(rows[start : start + TOGETHER]) for start in range(0, whole, TOGETHER))
            self.many(_together(text), list(map(tuple, groups)))
        self.many(text, rows[whole:])

    def run_all(self, statements: Iterable[str]) -> None:
        """Run statements that take no values."""
        for one in statements:
            self.run(Statement(one, (), {}))

    def many(self, text: str, bound: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of some rows."""
        self._cursor.executemany(text, bound)

    def forget_state(self, name: str) -> None:
        self.run(self._writes.delete_state, name=name)

    def set_state(self, name: str, value: str) -> None:
        self.forget_state(name)
        self.run(self._writes.insert_state, name=name, value=value)


def _head(stored: Stored) -> Head:
    return Head(stored.type, stored.id, stored.version, stored.updated, stored.deleted)
