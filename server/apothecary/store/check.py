"""Whether a database agrees with itself: versions with current resources, and the search index with both.

A crash must leave none of what is reported here (https://www.sqlite.org/atomiccommit.html,
https://www.postgresql.org/docs/current/wal-intro.html): either database keeps all of a transaction or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, takewhile
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, Table, Text, and_, bindparam, func, not_, or_, select
from sqlalchemy.engine import Dialect

from apothecary.errors import FhirError
from apothecary.fhir.json import parse
from apothecary.search.contained import MARK, placed
from apothecary.search.rows import TABLES, Indexed, SpellingRow, TextRow, VocabularyRow, apart
from apothecary.store import check_concepts, tables
from apothecary.store.contract import Stored
from apothecary.store.fragments import one_of
from apothecary.store.sql import ATTEMPTS, SqlStore
from apothecary.store.sqlite import SqliteStore
from apothecary.store.systems import kept
from apothecary.terminology.stored import LargeCodeSystem

# So many resources are named of each kind of defect that one statement finds.
MOST = 1000
# So many resources are looked up in the index at a time.
BATCH = 100

Row = tuple[Any, ...]
RowsOf = Callable[[Stored], "Iterable[Indexed] | None"]


def disagreements(
    store: SqlStore,
    rows_of: RowsOf,
    checked: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """What is wrong, in sentences; nothing for a sound database.

    `rows_of` gives the index rows that a resource must have, None where that cannot be told. Reads every resource, some
    hundred at a time, and calls `checked` after each. What is written meanwhile is looked at again, or not at all where
    it is new.
    """
    damage = list(_damage(store))
    if damage:
        # What stands in a damaged file says nothing of what was written.
        yield from damage
        return
    yield from _versions(store)
    yield from _times(store)
    yield from _orphans(store)
    yield from check_concepts.orphans(store)
    for resource_type in store.types():
        last = _last(store, resource_type)
        # What came meanwhile is left out: where others write faster than this reads, there would be no end.
        held = takewhile(
            lambda stored, last=last: stored.id <= last,  # type: ignore[misc]  # of the moment
            store.all_of_type(resource_type),
        )
        while batch := list(islice(held, BATCH)):
            for stored, found in _look(store, batch, rows_of):
                if found:
                    yield from _settled(store, stored, found, rows_of)
                checked()


def how_many(store: SqlStore) -> int:
    """The number of resources that there are to check."""
    statement = store.statements.get("check count", _count_statement)
    return int(store.rows(statement, statement.bind({}))[0][0])


def _last(store: SqlStore, resource_type: str) -> str:
    statement = store.statements.get("check last", _last_statement)
    return store.rows(statement, statement.bind({"type": resource_type}))[0][0] or ""


def _last_statement() -> Select[Any]:
    row = tables.resource.c
    return select(func.max(row.id)).where(row.type == bindparam("type", type_=Text()))


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
    for kind, identity, version, last, count in found[:MOST]:
        yield f"{kind}/{identity} is at version {version}, of those before there are {count}, up to {last or 0}"
    if len(found) > MOST:
        yield f"there are more than {MOST} resources that do not agree with their versions"


def _versions_statement() -> Select[Any]:
    row, before = tables.resource, tables.superseded
    same = and_(before.c.type == row.c.type, before.c.id == row.c.id)
    last, count = func.max(before.c.version), func.count(before.c.version)
    due = row.c.version - 1
    return (
        select(row.c.type, row.c.id, row.c.version, last, count)
        .select_from(row.outerjoin(before, same))
        # Or SQLite reads, for each resource, all versions of its type out of an index that has every column asked for.
        .with_hint(before, "INDEXED BY sqlite_autoindex_superseded_1", "sqlite")
        # A contained resource has its container's versions, and no other.
        .where(not_(row.c.type.endswith(MARK)))
        .group_by(row.c.type, row.c.id, row.c.version)
        .having(or_(count != due, func.coalesce(last, 0) != due))
        .limit(bindparam("most", type_=Integer()))
    )


def _times(store: SqlStore) -> Iterator[str]:
    """A version is current until the next one is made, which is later."""
    for table in (tables.resource, tables.superseded):
        statement = store.statements.get(("check times", table.name), partial(_times_statement, table))
        found = store.rows(statement, statement.bind({"most": MOST + 1}))
        for kind, identity, version in found[:MOST]:
            yield f"{kind}/{identity} version {version} was not made when the one before was replaced"
        if len(found) > MOST:
            yield f"there are more than {MOST} versions that were not made when those before were replaced"


def _times_statement(table: Table) -> Select[Any]:
    """Versions of a table that do not fit to those before."""
    before = tables.superseded.alias("before")
    same = and_(before.c.type == table.c.type, before.c.id == table.c.id, before.c.version == table.c.version - 1)
    found = select(table.c.type, table.c.id, table.c.version).select_from(before.join(table, same))
    wrong = or_(before.c.replaced != table.c.updated, before.c.updated >= table.c.updated)
    return found.where(wrong).limit(bindparam("most", type_=Integer()))


def _orphans(store: SqlStore) -> Iterator[str]:
    """Versions of nothing, and index rows of what is not there."""
    for table in (tables.superseded, *tables.INDEXES.values()):
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
    gone = absent if table is tables.superseded else or_(absent, row.c.deleted)
    found = select(table.c.type, table.c.id).distinct().select_from(table.outerjoin(row, same)).where(gone)
    return found.limit(bindparam("most", type_=Integer()))


def _settled(store: SqlStore, stored: Stored, found: Sequence[str], rows_of: RowsOf) -> Iterator[str]:
    """What was found wrong with a resource, once nobody wrote it while it was looked at."""
    for _ in range(ATTEMPTS):
        current = store.read(stored.type, stored.id)
        if current == stored:
            yield from found
            return
        if current is None or current.deleted:
            return
        ((stored, found),) = _look(store, [current], rows_of)
        if not found:
            return
    yield f"{stored.type}/{stored.id} is written so often that it could not be checked"


def _look(store: SqlStore, batch: Sequence[Stored], rows_of: RowsOf) -> Iterator[tuple[Stored, list[str]]]:
    """Some resources of one type, each with what is wrong: in what it says, or between it and the index."""
    due = [_due(stored, rows_of) for stored in batch]
    keys = {key for one in due if one.rows is not None for key in one.keys}
    found = _found(store, keys)
    for stored, one in zip(batch, due, strict=True):
        said = [one.problem] if one.problem else []
        if one.rows is not None:
            there = Counter(row for key in one.keys for row in found.get(key, ()))
            said += [f"{kind}/{identity} lacks an index row: {rest}" for kind, identity, *rest in one.rows - there]
            said += [
                f"{kind}/{identity} has an index row too many: {rest}" for kind, identity, *rest in there - one.rows
            ]
            if stored.type == "CodeSystem":
                said += check_concepts.disagreements(store, stored, one.concepts)
        yield stored, said


class _Due(NamedTuple):
    """The index rows that a resource and those that it contains must have, and the keys of all; or what is wrong."""

    rows: Counter[Row] | None
    keys: set[tuple[str, str]]
    problem: str | None = None
    concepts: LargeCodeSystem | None = None


def _due(stored: Stored, rows_of: RowsOf) -> _Due:
    name = f"{stored.type}/{stored.id}"
    try:
        resource = parse(stored.body or b"")
        told = resource.get("resourceType"), resource.get("id"), resource.get("meta", {}).get("versionId")
    except (ValueError, AttributeError) as error:
        return _Due(None, set(), f"{name} version {stored.version} cannot be read: {error}")
    if told != (stored.type, stored.id, str(stored.version)):
        return _Due(None, set(), f"{name} version {stored.version} says of itself that it is {told}")
    try:
        rows = rows_of(stored)
        own, concepts = apart(rows or ())
        due = None if rows is None else list(placed(own, stored.type, stored.id))
    except (FhirError, ValueError) as error:
        return _Due(None, set(), f"{name} cannot be indexed: {error}")
    if due is None:
        return _Due(None, set())
    wanted: Counter[Row] = Counter()
    for kind, identity, row in due:
        if isinstance(row, TextRow):
            # The words are kept in the database's own form, which is not compared.
            wanted[(kind, identity, TABLES[type(row)], row.parameter, row.length, row.element)] += 1
        elif not isinstance(row, VocabularyRow | SpellingRow):
            wanted[(kind, identity, TABLES[type(row)], *kept(row))] += 1
    return _Due(wanted, {(stored.type, stored.id), *((row[0], row[1]) for row in wanted)}, concepts=concepts)


def _found(store: SqlStore, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[Row]]:
    """The index rows that there are for some resources, by type and id."""
    by_type: dict[str, list[str]] = {}
    for kind, identity in keys:
        by_type.setdefault(kind, []).append(identity)
    found: dict[tuple[str, str], list[Row]] = {}
    for kind, ids in by_type.items():
        for name, table in tables.INDEXES.items():
            build = partial(_index_statement, store.statements.dialect, table)
            statement = store.statements.get(("check index", name), build)
            for identity, *values in store.rows(statement, statement.bind({"type": kind, "ids": store.sequence(ids)})):
                found.setdefault((kind, identity), []).append((kind, identity, name, *values))
    return found


def _index_statement(dialect: Dialect, table: Table) -> Select[Any]:
    values = [column for column in table.columns if column.name not in ("type", "id", "row", "words")]
    found = select(table.c.id, *values).where(table.c.type == bindparam("type", type_=Text()))
    return found.where(one_of(dialect, table.c.id, "ids"))
