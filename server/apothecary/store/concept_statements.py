"""The statements that read concepts of large code systems; `concepts` runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    not_,
    select,
    true,
    union_all,
)
from sqlalchemy.engine import Dialect

from apothecary.search.text import KEY_LENGTH
from apothecary.store import tables
from apothecary.store.concept_tables import FOLDED, PARENT, code_system, concept, concept_property, concept_words
from apothecary.store.fragments import constant, one_of
from apothecary.store.fulltext import QUERY
from apothecary.terminology.selection import Among, Below, ChildOf, Condition, Holds, Selection

_FIRST, _LAST = bindparam("first", type_=BigInteger()), bindparam("last", type_=BigInteger())
_LIMIT, _OFFSET = bindparam("limit", type_=Integer()), bindparam("offset", type_=Integer())


def _columns() -> tuple[Any, ...]:
    return concept.c.number, concept.c.element, concept.c.parents


def code_systems(by: str) -> Select[Any]:
    """Those whose concepts are of the current version of the resource: a server of a version that knows no concepts may
    have written another.
    """
    row, of = code_system.c, tables.resource.c
    same = and_(of.type == constant("CodeSystem"), of.id == row.id, of.version == row.version, not_(of.deleted))
    found = select(row.id, row.first, row.last, of.updated, row.head)
    return found.select_from(code_system.join(tables.resource, same)).where(row[by] == bindparam(by, type_=Text()))


def heads() -> Select[Any]:
    """All code systems in the order of their ids: the body of the resource, or what is held of a large one instead."""
    row, of = code_system.c, tables.resource.c
    apart = and_(row.id == of.id, row.version == of.version)
    body = case((row.id.is_(None), of.body))
    found = select(of.type, of.id, of.version, of.updated, of.fhir_version, body, row.head)
    behind = of.id > bindparam("after", type_=Text())
    return (
        found.select_from(tables.resource.outerjoin(code_system, apart))
        .where(of.type == bindparam("type", type_=Text()), not_(of.deleted), behind)
        .order_by(of.id)
        .limit(_LIMIT)
    )


def holds() -> Select[Any]:
    row = code_system.c
    return select(row.first).where(row.id == bindparam("id", type_=Text()), row.first == _FIRST)


def coded() -> Select[Any]:
    row = concept.c
    return select(*_columns()).where(row.code == bindparam("code", type_=Text()), row.number.between(_FIRST, _LAST))


def several(dialect: Dialect) -> Select[Any]:
    row = concept.c
    return select(*_columns()).where(one_of(dialect, row.code, "codes"), row.number.between(_FIRST, _LAST))


def folded() -> Select[Any]:
    said = concept_property.c
    numbers = select(said.number).where(
        said.first == _FIRST, said.property == constant(FOLDED), said.value == bindparam("folded", type_=Text())
    )
    return select(*_columns()).where(concept.c.number.in_(numbers)).order_by(concept.c.number)


def numbered(dialect: Dialect) -> Select[Any]:
    return select(*_columns()).where(one_of(dialect, concept.c.number, "numbers"))


def _whole_code() -> tuple[Any, ...]:
    """A code as the column has it, and the element where that may be shortened."""
    row = concept.c
    return row.code, case((func.length(row.code) >= literal(KEY_LENGTH, Integer()), row.element))


def all_codes() -> Select[Any]:
    row = concept.c
    return (
        select(row.number, *_whole_code()).where(row.number.between(_FIRST, _LAST)).order_by(row.number).limit(_LIMIT)
    )


def _under(dialect: Dialect, name: str) -> Select[Any]:
    """The numbers of the concepts below the code `name`, however deep: https://www.sqlite.org/lang_with.html"""
    said = concept_property.c
    top = select(said.number).where(
        said.first == _FIRST, said.property == constant(PARENT), said.value == bindparam(name, type_=Text())
    )
    under = top.cte(f"under_{name}", recursive=True)
    row, next_ = concept.alias().c, concept_property.alias().c
    below_it = next_.first == _FIRST, next_.property == constant(PARENT)
    if dialect.name == "sqlite":
        more = select(next_.number).select_from(under).where(row.number == under.c.number, *below_it)
        return select(under.union(more.where(next_.value == row.code)).c.number)
    # Without statistics PostgreSQL would look at every concept that has a parent; `OFFSET 0` keeps it to this order.
    above = select(row.code).where(row.number == under.c.number).offset(0).lateral()
    of_it = select(next_.number).where(*below_it, next_.value == above.c.code).offset(0).lateral()
    more = select(of_it.c.number).select_from(under.join(above, true()).join(of_it, true()))
    return select(under.union(more).c.number)


def below(dialect: Dialect, directly: bool) -> Select[Any]:
    said = concept_property.c
    numbers = select(said.number).where(
        said.first == _FIRST, said.property == constant(PARENT), said.value == bindparam("below", type_=Text())
    )
    chosen = numbers if directly else _under(dialect, "below")
    return select(*_whole_code()).where(concept.c.number.in_(chosen)).order_by(concept.c.number)


# -- selections


def numbers(dialect: Dialect, selection: Selection, ordered: bool) -> Select[Any]:
    """The numbers of concepts that are selected, after one: in their order, or the first that come."""
    found, number = _selected(dialect, selection, number=True)
    return (found.order_by(number) if ordered else found).limit(_LIMIT).offset(_OFFSET)


def count(dialect: Dialect, selection: Selection) -> Select[Any]:
    """How many they are."""
    return _selected(dialect, selection, number=False)[0]


def walk(dialect: Dialect, selection: Selection) -> Select[Any]:
    """As `numbers` in their order, by looking at one concept after the other."""
    found, number = _selected(dialect, selection, number=True, words=_holding)
    return found.order_by(number).limit(_LIMIT).offset(_OFFSET)


def sample(dialect: Dialect, selection: Selection) -> Select[Any]:
    """Which of the concepts with some numbers are selected."""
    found, number = _selected(dialect, selection, number=True, words=_holding)
    return found.where(one_of(dialect, number, "numbers"))


def _indexed(words: ColumnElement[Any], query: ColumnElement[Any]) -> ColumnElement[bool]:
    return words.bool_op("@@")(query)


def _holding(words: ColumnElement[Any], query: ColumnElement[Any]) -> ColumnElement[bool]:
    """The function behind the operator, for which no index is taken."""
    return func.ts_match_vq(words, query, type_=Boolean())


def _selected(
    dialect: Dialect,
    selection: Selection,
    *,
    number: bool,
    words: Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[bool]] = _indexed,
) -> tuple[Select[Any], ColumnElement[int]]:
    """What selects numbers, or counts them, and the column that has them; `words` says how PostgreSQL looks for words.

    On SQLite the index of words is a table of its own, which gives numbers in their order; no concept is read then.
    """
    row = concept.c
    column: ColumnElement[int] = row.number
    met = column
    source: FromClause = concept
    query = bindparam("query", type_=Text())
    where: list[ColumnElement[bool]] = []
    if selection.words and dialect.name == "sqlite":
        column = concept_words.c.rowid
        source = concept_words
        # The plus keeps SQLite from asking the index of words for one number after the other.
        met = literal_column("+concept_words.rowid", BigInteger())
        where.append(concept_words.c.concept_words.bool_op("MATCH")(query))
    elif selection.words:
        where.append(words(row.words, cast(query, QUERY)))
    else:
        where += [not_(row.inactive)] if selection.active else []
        where += [not_(row.abstract)] if selection.selectable else []
    where.append(column.between(_FIRST, _LAST))
    where += [column > bindparam("after", type_=BigInteger())] if number else []
    where += [_meets(dialect, met, one, str(place)) for place, one in enumerate(selection.conditions)]
    return select(column if number else func.count()).select_from(source).where(*where), column


def _meets(dialect: Dialect, number: ColumnElement[int], one: Condition, place: str) -> ColumnElement[bool]:
    """A condition on the concept of a number, whose values have the number `place` in their names."""
    coded = concept.alias().c
    of_code = select(coded.number).where(coded.number.between(_FIRST, _LAST))
    met: ColumnElement[bool]
    match one:
        case Among():
            met = number.in_(of_code.where(one_of(dialect, coded.code, f"values{place}")))
            return not_(met) if one.negated else met
        case Below(itself=itself):
            name = f"below{place}"
            same = of_code.where(coded.code == bindparam(name, type_=Text()))
            # One list: PostgreSQL looks at every concept where two are asked.
            met = number.in_(union_all(same, _under(dialect, name)) if itself else _under(dialect, name).except_(same))
            return not_(met) if one.negated else met
        case Holds(values=values):
            property_ = one_of(dialect, concept_property.c.property, f"properties{place}")
        case ChildOf(codes=values):
            property_ = concept_property.c.property == constant(PARENT)
    said = concept_property.c
    where = [said.first == _FIRST, property_]
    if values is not None:
        where.append(one_of(dialect, said.value, f"values{place}"))
    if one.negated:
        return not_(exists(select(said.number).where(*where, said.number == number)))
    return number.in_(select(said.number).where(*where))
