"""Whether a database agrees with itself: versions with current resources, and the search index with both.

A crash must leave none of what is reported here (https://www.sqlite.org/atomiccommit.html,
https://www.postgresql.org/docs/current/wal-intro.html): either database keeps all of a transaction or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import Integer, Select, Table, Text, and_, bindparam, func, not_, or_, select

from apothecary.errors import FhirError
from apothecary.fhir.json import parse
from apothecary.search.contained import MARK, placed
from apothecary.search.rows import Indexed, IndexRow, TextRow, VocabularyRow
from apothecary.store import tables
from apothecary.store.contract import Stored
from apothecary.store.sql import ATTEMPTS, SqlStore
from apothecary.store.sqlite import SqliteStore

# So many resources are named of each kind of defect that one statement finds.
MOST = 1000


def disagreements(
    store: SqlStore,
    rows_of: Callable[[Stored], Iterable[Indexed] | None],
    checked: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """What is wrong, in sentences; nothing for a sound database.

    `rows_of` gives the index rows that a resource must have, None where that cannot be told. Reads every resource, some
    hundred at a time, and calls `checked` after each. What is written meanwhile is looked at again.
    """
    damage = list(_damage(store))
    if damage:
        # What stands in a damaged file says nothing of what was written.
        yield from damage
        return
    yield from _versions(store)
    yield from _orphans(store)
    for resource_type in store.types():
        for stored in store.all_of_type(resource_type):
            yield from _settled(store, stored, rows_of)
            checked()


def how_many(store: SqlStore) -> int:
    """The number of resources that there are to check."""
    statement = store.statements.get("check count", _count_statement)
    return int(store.rows(statement, statement.bind({}))[0][0])


def _count_statement() -> Select[Any]:
    row = tables.resource.c
    # Contained resources are looked at with their containers.
    return select(func.count()).where(not_(row.deleted), not_(row.type.endswith(MARK)))


def _damage(store: SqlStore) -> Iterator[str]:
    """What SQLite finds wrong in its file, its full text index among it: https://www.sqlite.org/pragma.html

    A PostgreSQL cluster with checksums finds that by itself when it reads.
    """
    if isinstance(store, SqliteStore):
        yield from (f"the database file is damaged: {found}" for found in store.damage())


def _versions(store: SqlStore) -> Iterator[str]:
    """Each resource's versions count from 1 without a gap, and the last of them is the current one."""
    statement = store.statements.get("check versions", _versions_statement)
    found = store.rows(statement, statement.bind({"most": MOST + 1}))
    for kind, identity, version, last, count, updated, last_updated in found[:MOST]:
        if not version == last == count:
            yield f"{kind}/{identity} is at version {version}, of its versions there are {count}, up to {last}"
        elif updated != last_updated:
            yield f"{kind}/{identity} says another time than its last version"
    if len(found) > MOST:
        yield f"there are more than {MOST} resources that do not agree with their versions"


def _versions_statement() -> Select[Any]:
    row, version = tables.resource, tables.version
    same = and_(version.c.type == row.c.type, version.c.id == row.c.id)
    last, updated, count = func.max(version.c.version), func.max(version.c.updated), func.count(version.c.version)
    return (
        select(row.c.type, row.c.id, row.c.version, last, count, row.c.updated, updated)
        .select_from(row.outerjoin(version, same))
        # Or SQLite reads, for each resource, all versions of its type out of an index that has every column asked for.
        .with_hint(version, "INDEXED BY sqlite_autoindex_version_1", "sqlite")
        # A contained resource has its container's versions, and no other.
        .where(not_(row.c.type.endswith(MARK)))
        .group_by(row.c.type, row.c.id, row.c.version, row.c.updated)
        .having(or_(count != row.c.version, last != row.c.version, updated != row.c.updated))
        .limit(bindparam("most", type_=Integer()))
    )


def _orphans(store: SqlStore) -> Iterator[str]:
    """Versions of nothing, and index rows of what is not there."""
    for table in (tables.version, *tables.INDEXES.values()):
        statement = store.statements.get(("check orphans", table.name), partial(_orphans_statement, table))
        found = store.rows(statement, statement.bind({"most": MOST + 1}))
        yield from (f"{table.name} has rows of {row[0]}/{row[1]}, which is not there" for row in found[:MOST])
        if len(found) > MOST:
            yield f"{table.name} has rows of more than {MOST} resources that are not there"


def _orphans_statement(table: Table) -> Select[Any]:
    row = tables.resource
    same = and_(table.c.type == row.c.type, table.c.id == row.c.id)
    absent = row.c.id.is_(None)
    # A deleted resource keeps its versions, not its index rows.
    gone = absent if table is tables.version else or_(absent, row.c.deleted)
    found = select(table.c.type, table.c.id).distinct().select_from(table.outerjoin(row, same)).where(gone)
    return found.limit(bindparam("most", type_=Integer()))


def _settled(store: SqlStore, stored: Stored, rows_of: Callable[[Stored], Iterable[Indexed] | None]) -> Iterator[str]:
    """What is wrong with a resource, once nobody wrote it while it was looked at."""
    for _ in range(ATTEMPTS):
        found = list(_resource(store, stored, rows_of))
        current = store.read(stored.type, stored.id) if found else stored
        if current == stored:
            yield from found
            return
        if current is None or current.deleted:
            return
        stored = current
    yield f"{stored.type}/{stored.id} is written so often that it could not be checked"


def _resource(store: SqlStore, stored: Stored, rows_of: Callable[[Stored], Iterable[Indexed] | None]) -> Iterator[str]:
    name = f"{stored.type}/{stored.id}"
    try:
        resource = parse(stored.body or b"")
        told = resource.get("resourceType"), resource.get("id"), resource.get("meta", {}).get("versionId")
    except (ValueError, AttributeError) as error:
        yield f"{name} version {stored.version} cannot be read: {error}"
        return
    if told != (stored.type, stored.id, str(stored.version)):
        yield f"{name} version {stored.version} says of itself that it is {told}"
        return
    past = store.read_version(stored.type, stored.id, stored.version)
    if past is not None and past.body != stored.body:
        yield f"{name} differs from its version {stored.version}"
    try:
        rows = rows_of(stored)
        due = None if rows is None else list(placed(rows, stored.type, stored.id))
    except (FhirError, ValueError) as error:
        yield f"{name} cannot be indexed: {error}"
        return
    if due is not None:
        yield from _rows(store, stored, due)


def _rows(store: SqlStore, stored: Stored, due: Iterable[tuple[str, str, IndexRow]]) -> Iterator[str]:
    """Index rows of a resource, and of those that it contains, that are missing or too many."""
    wanted: Counter[tuple[Any, ...]] = Counter()
    for kind, identity, row in due:
        if isinstance(row, TextRow):
            # The words are kept in the database's own form, which is not compared.
            wanted[(kind, identity, row.table, row.parameter, row.length, row.element)] += 1
        elif not isinstance(row, VocabularyRow):
            wanted[(kind, identity, row.table, *row)] += 1
    found: Counter[tuple[Any, ...]] = Counter()
    for kind, identity in {(stored.type, stored.id), *(row[:2] for row in wanted)}:
        for table_name, table in tables.INDEXES.items():
            statement = store.statements.get(("check index", table_name), partial(_index_statement, table))
            bound = statement.bind({"type": kind, "id": identity})
            found.update((kind, identity, table_name, *row) for row in store.rows(statement, bound))
    for kind, identity, *missing in wanted - found:
        yield f"{kind}/{identity} lacks an index row: {missing}"
    for kind, identity, *surplus in found - wanted:
        yield f"{kind}/{identity} has an index row too many: {surplus}"


def _index_statement(table: Table) -> Select[Any]:
    values = [column for column in table.columns if column.name not in ("type", "id", "row", "words")]
    return select(*values).where(
        table.c.type == bindparam("type", type_=Text()), table.c.id == bindparam("id", type_=Text())
    )
