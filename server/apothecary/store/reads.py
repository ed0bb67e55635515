"""The fixed reading statements: by key, of a type, along references."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.engine import Dialect

from apothecary.search.contained import CONTAINS, MARK
from apothecary.search.parameters import ANY, CANONICAL, EMBEDDING
from apothecary.store import tables
from apothecary.store.contract import LOADED
from apothecary.store.fragments import by_url, constant, each_of, one_of

# Under this name the database says before which time nothing is written any more: what was exported up to a moment
# stays all that there is up to it.
BARRIER = "nothing written before"

# Under this name a server remembers which definitions are in force, by another value after each change.
DEFINITIONS = "definitions"

_TYPE = bindparam("type", type_=Text())
_ID = bindparam("id", type_=Text())
_LIMIT = bindparam("limit", type_=Integer())


def current() -> Select[Any]:
    row = tables.resource.c
    return select(row.type, row.id, row.version, row.updated, row.fhir_version, row.body).where(
        row.type == _TYPE, row.id == _ID
    )


def many(dialect: Dialect) -> Select[Any]:
    row = tables.resource.c
    found = select(row.type, row.id, row.version, row.updated, row.fhir_version, row.body)
    return found.where(row.type == _TYPE, one_of(dialect, row.id, "ids"), not_(row.deleted))


def heads(dialect: Dialect) -> Select[Any]:
    """What is current of many, deletions included, without the texts."""
    row = tables.resource.c
    found = select(row.type, row.id, row.version, row.updated, row.deleted)
    return found.where(row.type == _TYPE, one_of(dialect, row.id, "ids"))


def newest() -> Select[Any]:
    """The time of the last write, or that before which no later one may be; 0 where there was none."""
    barrier = select(cast(tables.state.c.value, BigInteger())).where(tables.state.c.name == literal(BARRIER))
    every = union_all(select(func.max(tables.resource.c.updated).label("moment")), barrier).subquery()
    return select(func.coalesce(func.max(every.c.moment), 0))


def referrers() -> Select[Any]:
    """The resources of any type whose references point to one resource, whatever parameter reads them. What a contained
    resource points to, its container does. A record of what was done with a resource
    (https://hl7.org/fhir/R5/auditevent.html) tells of what was, and needs it no more.
    """
    row = tables.index_reference.c
    found = select(row.type, row.id).distinct()
    found = found.where(
        row.target_type == bindparam("target_type", type_=Text()),
        row.target_id == bindparam("target_id", type_=Text()),
        or_(row.parameter == literal(ANY), row.type.not_in([literal(one) for one in EMBEDDING])),
        not_(row.type.endswith(MARK)),
        row.type != literal("AuditEvent"),
    )
    return found.order_by(row.type, row.id).limit(_LIMIT)


def existing(dialect: Dialect) -> Select[Any]:
    row = tables.resource.c
    return select(row.id).where(row.type == _TYPE, one_of(dialect, row.id, "ids"), not_(row.deleted))


def all_of_type() -> Select[Any]:
    row = tables.resource.c
    found = select(row.type, row.id, row.version, row.updated, row.fhir_version, row.body)
    return (
        found.where(row.type == _TYPE, not_(row.deleted), row.id > bindparam("after", type_=Text()))
        .order_by(row.id)
        .limit(_LIMIT)
    )


def sent() -> Select[Any]:
    """The same without those that were loaded."""
    return all_of_type().where(tables.resource.c.method != literal(LOADED))


def referenced(dialect: Dialect, parameter: bool, target_type: bool) -> Select[Any]:
    """The local targets of references from some resources of one type. PostgreSQL is told to look up one resource after
    the other: where it knows little of the table, it would rather read all references of the type.
    """
    row = tables.index_reference.c
    there = [row.type == _TYPE, row.target_id != ""]
    if parameter:
        there.append(row.parameter == bindparam("parameter", type_=Text()))
    if target_type:
        there.append(row.target_type == bindparam("target_type", type_=Text()))
    if dialect.name == "sqlite":
        found = select(row.target_type, row.target_id).distinct().where(*there, one_of(dialect, row.id, "ids"))
        return found.order_by(row.target_type, row.target_id).limit(_LIMIT)
    sources = each_of(dialect, "ids")
    same = row.id == sources.c.value.collate("C")
    each = select(row.target_type, row.target_id).where(*there, same).offset(literal_column("0")).lateral()
    joined = sources.join(each, literal_column("true"))
    found = select(each.c.target_type, each.c.target_id).distinct().select_from(joined)
    return found.order_by(each.c.target_type, each.c.target_id).limit(_LIMIT)


def referring(dialect: Dialect, parameter: bool) -> Select[Any]:
    """The resources of one type whose references point to some resources of another.

    Databases would rather read all references of the type: SQLite is told the index, and PostgreSQL to look up one
    target after the other, which needs no statistics to be seen as cheap.
    """
    row = tables.index_reference.c
    there = [row.type == _TYPE, row.target_type == bindparam("target_type", type_=Text())]
    if parameter:
        there.append(row.parameter == bindparam("parameter", type_=Text()))
    if dialect.name == "sqlite":
        # An expression, not the column, or the index that has the ids in order were tempting too.
        identity = row.id.concat(constant(""))
        found = select(identity).distinct().where(*there, one_of(dialect, row.target_id, "ids"))
        found = found.with_hint(tables.index_reference, "INDEXED BY index_reference_source", "sqlite")
        return found.order_by(identity).limit(_LIMIT)
    targets = each_of(dialect, "ids")
    same = row.target_id == targets.c.value.collate("C")
    each = select(row.id).where(*there, same).offset(literal_column("0")).lateral()
    joined = targets.join(each, literal_column("true"))
    return select(each.c.id).distinct().select_from(joined).order_by(each.c.id).limit(_LIMIT)


def named(dialect: Dialect, parameters: bool) -> Select[Any]:
    """What canonical URLs in some resources of one type name, of some types."""
    link, target = tables.index_reference.alias("link"), tables.index_reference.alias("target")
    there = [link.c.type == _TYPE, one_of(dialect, link.c.id, "ids"), link.c.parameter != literal(CANONICAL)]
    if parameters:
        there.append(one_of(dialect, link.c.parameter, "parameters"))
    found = by_url(link, there, target, [one_of(dialect, target.c.type, "types")], forwards=True)
    found = found.add_columns(target.c.type, target.c.id).distinct()
    return found.order_by(target.c.type, target.c.id).limit(_LIMIT)


def naming(dialect: Dialect) -> Select[Any]:
    """The resources of one type with canonical URLs, of some parameters, that name some resources of another."""
    link, target = tables.index_reference.alias("link"), tables.index_reference.alias("target")
    there = [link.c.type == _TYPE, one_of(dialect, link.c.parameter, "parameters")]
    here = [target.c.type == bindparam("target_type", type_=Text()), one_of(dialect, target.c.id, "ids")]
    found = by_url(link, there, target, here, forwards=False)
    return found.add_columns(link.c.id).distinct().order_by(link.c.id).limit(_LIMIT)


def contained() -> Select[Any]:
    """What a resource contains, as the index knows it."""
    row = tables.index_reference.c
    found = select(row.target_type, row.target_id)
    return found.where(row.type == _TYPE, row.id == _ID, row.parameter == literal(CONTAINS))


def coded(dialect: Dialect) -> Select[Any]:
    """One row where the index holds a code of one of some systems."""
    row = tables.index_token.c
    return select(literal(1)).where(one_of(dialect, row.system, "systems")).limit(1)


def types() -> Select[Any]:
    """The types of which there is any resource that stands alone."""
    every, held = _types()
    return select(every.c.type).where(not_(every.c.type.endswith(MARK)), held)


def kinds() -> Select[Any]:
    """The types of which there is any resource; those of contained ones with their mark."""
    every, held = _types()
    return select(every.c.type).where(held)


def _types() -> tuple[CTE, ColumnElement[bool]]:
    """Every type of the table, and whether there is a resource of it that is not deleted.

    From one type to the next by the key: DISTINCT would read all resources.
    """
    row, other = tables.resource, tables.resource.alias()
    every = select(func.min(row.c.type).label("type")).cte("types", recursive=True)
    following = select(func.min(row.c.type)).where(row.c.type > every.c.type).correlate(every).scalar_subquery()
    every = every.union_all(select(following).where(every.c.type.is_not(None)))
    held = exists(select(literal(1)).select_from(other).where(other.c.type == every.c.type, not_(other.c.deleted)))
    return every, held


def state() -> Select[Any]:
    """What is remembered about the database under one name."""
    return select(tables.state.c.value).where(tables.state.c.name == bindparam("name"))


def states() -> Select[Any]:
    """The first names of a range, under which something is remembered."""
    name = tables.state.c.name
    return (
        select(name)
        .where(name >= bindparam("low", type_=Text()), name < bindparam("high", type_=Text()))
        .order_by(name)
        .limit(_LIMIT)
    )
