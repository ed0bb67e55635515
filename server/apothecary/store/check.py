"""Whether a database agrees with itself: versions with current resources, and the search index with both.

A crash must leave none of what is reported here (https://www.sqlite.org/atomiccommit.html,
https://www.postgresql.org/docs/current/wal-intro.html): either database keeps all of a transaction or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import Select, Table, Text, and_, bindparam, func, not_, or_, select

from apothecary.fhir.json import parse
from apothecary.search.contained import MARK, placed
from apothecary.search.rows import TABLES, Indexed, TextRow, VocabularyRow
from apothecary.store import tables
from apothecary.store.contract import Stored
from apothecary.store.sql import SqlStore


def disagreements(store: SqlStore, rows_of: Callable[[Stored], Iterable[Indexed]]) -> Iterator[str]:
    """What is wrong, in sentences; nothing for a sound database. `rows_of` gives the index rows that a resource must
    have. Reads every resource: seconds for thousands, and what is written meanwhile may be reported wrongly.
    """
    yield from _versions(store)
    yield from _orphans(store)
    for resource_type in store.types():
        for stored in store.all_of_type(resource_type):
            yield from _resource(store, stored, rows_of)


def _versions(store: SqlStore) -> Iterator[str]:
    """Each resource's versions count from 1 without a gap, and the last of them is the current one."""
    statement = store.statements.get("check versions", _versions_statement)
    for kind, identity, version, last, count, updated, last_updated in store.rows(statement, statement.bind({})):
        if not version == last == count:
            yield f"{kind}/{identity} is at version {version}, of its versions there are {count}, up to {last}"
        elif updated != last_updated:
            yield f"{kind}/{identity} says another time than its last version"


def _versions_statement() -> Select[Any]:
    row, version = tables.resource, tables.version
    same = and_(version.c.type == row.c.type, version.c.id == row.c.id)
    last, updated = func.max(version.c.version), func.max(version.c.updated)
    return (
        select(row.c.type, row.c.id, row.c.version, last, func.count(version.c.version), row.c.updated, updated)
        .select_from(row.outerjoin(version, same))
        # Or SQLite reads, for each resource, all versions of its type out of an index that has every column asked for.
        .with_hint(version, "INDEXED BY sqlite_autoindex_version_1", "sqlite")
        # A contained resource has its container's versions, and no other.
        .where(not_(row.c.type.endswith(MARK)))
        .group_by(row.c.type, row.c.id, row.c.version, row.c.updated)
    )


def _orphans(store: SqlStore) -> Iterator[str]:
    """Versions of nothing, and index rows of what is not there."""
    for table in (tables.version, *tables.INDEXES.values()):
        statement = store.statements.get(("check orphans", table.name), partial(_orphans_statement, table))
        yield from (
            f"{table.name} has rows of {row[0]}/{row[1]}, which is not there" for row in store.rows(statement, ())
        )


def _orphans_statement(table: Table) -> Select[Any]:
    row = tables.resource
    same = and_(table.c.type == row.c.type, table.c.id == row.c.id)
    absent = row.c.id.is_(None)
    # A deleted resource keeps its versions, not its index rows.
    gone = absent if table is tables.version else or_(absent, row.c.deleted)
    return select(table.c.type, table.c.id).distinct().select_from(table.outerjoin(row, same)).where(gone)


def _resource(store: SqlStore, stored: Stored, rows_of: Callable[[Stored], Iterable[Indexed]]) -> Iterator[str]:
    name = f"{stored.type}/{stored.id}"
    resource = parse(stored.body or b"{}")
    told = resource.get("resourceType"), resource.get("id"), resource.get("meta", {}).get("versionId")
    if told != (stored.type, stored.id, str(stored.version)):
        yield f"{name} version {stored.version} says of itself that it is {told}"
    past = store.read_version(stored.type, stored.id, stored.version)
    if past is not None and past.body != stored.body:
        yield f"{name} differs from its version {stored.version}"
    wanted: Counter[tuple[Any, ...]] = Counter()
    for kind, identity, row in placed(rows_of(stored), stored.type, stored.id):
        if isinstance(row, TextRow):
            # The words are kept in the database's own form, which is not compared.
            wanted[(kind, identity, TABLES[type(row)], row.parameter, row.length, row.element)] += 1
        elif not isinstance(row, VocabularyRow):
            wanted[(kind, identity, TABLES[type(row)], *row)] += 1
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
