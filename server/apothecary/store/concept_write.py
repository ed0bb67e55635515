"""Writing the concepts of large code systems, in the transaction that writes the resource."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Delete,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.engine import Dialect

from apothecary.search.text import key
from apothecary.store import concept_tables
from apothecary.store.concept_tables import FOLDED, PARENT, code_system, concept, concept_property
from apothecary.store.contract import Stored
from apothecary.store.statements import Statement, Statements
from apothecary.terminology.stored import ConceptRow, LargeCodeSystem

# Rows that are written at a time.
BATCH = 5000
# Under this name the store remembers the next number of a concept: none is given twice.
NEXT = "next concept"
# PostgreSQL plans by what it knows of the tables, and learns of so many new rows a minute later by itself.
ANALYZE = Statement(f"ANALYZE {concept.name}, {concept_property.name}", (), {})


class Target(Protocol):
    """What is needed of an open transaction."""

    sqlite: bool

    def run(self, statement: Statement, **named: Any) -> Any: ...
    def many(self, text: str, bound: Sequence[Sequence[Any]]) -> None: ...
    def insert_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> None: ...
    def state(self, name: str) -> str | None: ...
    def set_state(self, name: str, value: str) -> None: ...


class ConceptWriter:
    """Writes what a store keeps of large code systems."""

    def __init__(self, statements: Statements) -> None:
        self._dialect = statements.dialect
        get = statements.get
        self._known = get("concepts known", _known)
        self._amend = get("concepts amend", _amend)
        self._forget = get("concepts forget", _forget)
        self._delete = [
            get("concepts delete", partial(_delete, concept, "number")),
            get("concepts delete properties", partial(_delete, concept_property, "first")),
        ]

    def write(self, target: Target, stored: Stored, found: LargeCodeSystem | None, *, fresh: bool) -> None:
        """Let the concepts of a CodeSystem be `found`, none where it is not large; `fresh`: it has none yet. They stay
        where they are the same, so that whoever reads them meanwhile goes on.
        """
        known = [] if fresh else target.run(self._known, id=stored.id).fetchall()
        if known and found is not None and known[0][2] == found.digest:
            named = {"new_version": stored.version, "new_url": key(found.url), "new_head": found.head}
            target.run(self._amend, old_id=stored.id, **named)
            return
        for first, last, _ in known:
            if target.sqlite:
                target.many(concept_tables.FORGET, [(first, last)])
            for statement in self._delete:
                target.run(statement, low=first, high=last)
            target.run(self._forget, id=stored.id)
        if found is not None:
            self._add(target, stored, found)

    def _add(self, target: Target, stored: Stored, found: LargeCodeSystem) -> None:
        first = int(target.state(NEXT) or 1)
        last = first + found.size - 1
        target.set_state(NEXT, str(last + 1))
        row = stored.id, stored.version, key(found.url), first, last, found.digest, found.head
        target.insert_rows(code_system.name, [row])
        numbered = enumerate(found.rows(), start=first)
        while some := list(islice(numbered, BATCH)):
            rows = [_concept(self._dialect, number, one) for number, one in some]
            target.insert_rows(concept.name, rows)
            if target.sqlite:
                target.many(concept_tables.LEARN, [(row[0], row[5]) for row in rows])
            said = {one: None for number, row in some for one in _said(first, number, row)}
            target.insert_rows(concept_property.name, list(said))
        if not target.sqlite:
            target.run(ANALYZE)


def _concept(dialect: Dialect, number: int, one: ConceptRow) -> tuple[Any, ...]:
    parents = json.dumps(one.parents, ensure_ascii=False) if one.parents else None
    words = concept_tables.document(dialect, one)
    return number, key(one.code), parents, one.inactive, one.abstract, words, one.element


def _said(first: int, number: int, one: ConceptRow) -> Iterator[tuple[int, str, str, int]]:
    for code, value in one.properties:
        yield first, key(f".{code}"), key(value), number
    for parent in one.parents:
        yield first, PARENT, key(parent), number
    if one.folded is not None:
        yield first, FOLDED, key(one.folded), number


def _known() -> Select[Any]:
    row = code_system.c
    return select(row.first, row.last, row.digest).where(row.id == bindparam("id", type_=Text()))


def _amend() -> Update:
    changed = {
        "version": bindparam("new_version", type_=Integer()),
        "url": bindparam("new_url", type_=Text()),
        "head": bindparam("new_head", type_=LargeBinary()),
    }
    return update(code_system).values(changed).where(code_system.c.id == bindparam("old_id", type_=Text()))


def _delete(table: Table, column: str) -> Delete:
    low, high = (bindparam(name, type_=BigInteger()) for name in ("low", "high"))
    return delete(table).where(table.c[column].between(low, high))


def _forget() -> Delete:
    return delete(code_system).where(code_system.c.id == bindparam("id", type_=Text()))
