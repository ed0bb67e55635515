"""Whether the concepts of large code systems are those of their resources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import Integer, Select, Table, Text, and_, bindparam, exists, func, not_, or_, select

from apothecary.store import tables
from apothecary.store.concept_tables import code_system, concept, concept_property
from apothecary.store.contract import Stored
from apothecary.store.fragments import constant
from apothecary.store.sql import SqlStore
from apothecary.terminology.stored import LargeCodeSystem


def disagreements(store: SqlStore, stored: Stored, due: LargeCodeSystem | None) -> Iterator[str]:
    """What is wrong with the concepts of one CodeSystem, which must have those of `due`, or none."""
    statement = store.statements.get("check concepts", _of)
    found = store.rows(statement, statement.bind({"id": stored.id}))
    name = f"{stored.type}/{stored.id}"
    if due is None or not found:
        if found or due is not None:
            yield f"{name} has concepts apart, as only large code systems do" if found else f"{name} lacks its concepts"
        return
    ((version, digest, held, said),) = found
    if version != stored.version or digest != due.digest:
        yield f"{name} has the concepts of another version"
        return
    if held != due.size:
        yield f"{name} has {due.size} concepts, of which {held} are there"
    properties = sum(len(one.properties) + len(one.parents) + (one.folded is not None) for one in due.rows())
    if said != properties:
        yield f"{name} has concepts with {properties} properties, of which {said} are there"


def orphans(store: SqlStore) -> Iterator[str]:
    """Concepts of what is not there."""
    statement = store.statements.get("check concepts of nothing", _gone)
    bound = statement.bind({"most": 1000})
    yield from (f"code_system has CodeSystem/{row[0]}, which is not there" for row in store.rows(statement, bound))
    for table, column in ((concept, "number"), (concept_property, "first")):
        statement = store.statements.get(("check orphans", table.name), partial(_lost, table, column))
        if store.rows(statement, statement.bind({"most": 1})):
            yield f"{table.name} has rows of no code system"


def _of() -> Select[Any]:
    row = code_system.c
    held = select(func.count()).where(concept.c.number.between(row.first, row.last)).scalar_subquery()
    said = select(func.count()).where(concept_property.c.first == row.first).scalar_subquery()
    return select(row.version, row.digest, held, said).where(row.id == bindparam("id", type_=Text()))


def _gone() -> Select[Any]:
    row, of = code_system.c, tables.resource.c
    there = and_(of.type == constant("CodeSystem"), of.id == row.id)
    found = select(row.id).select_from(code_system.outerjoin(tables.resource, there))
    return found.where(or_(of.id.is_(None), of.deleted)).limit(bindparam("most", type_=Integer()))


def _lost(table: Table, column: str) -> Select[Any]:
    number = table.c[column]
    inside = exists(select(code_system.c.first).where(number.between(code_system.c.first, code_system.c.last)))
    return select(number).where(not_(inside)).limit(bindparam("most", type_=Integer()))
