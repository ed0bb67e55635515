"""Small pieces of SQL that the statements share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.selectable import TableValuedAlias

from apothecary.search.parameters import CANONICAL

Boolean = ColumnElement[bool]
Kinds = tuple[str, ...]


class Link(NamedTuple):
    """References as a select without columns, with the ids and types at either end: near are the resources that a
    predicate is about, far those that it looks at through the reference.
    """

    found: Select[Any]
    near: ColumnElement[str]
    near_kinds: Kinds
    far: ColumnElement[str]
    far_kinds: Kinds

    def turned(self) -> Link:
        """The same references from the other end."""
        return Link(self.found, self.far, self.far_kinds, self.near, self.near_kinds)


def constant(value: str) -> ColumnElement[str]:
    """A name of ours (a type, a parameter) as a literal in the statement: it is part of the shape, not a value."""
    quoted = value.replace("'", "''")
    return literal_column(f"'{quoted}'", Text())


def among(column: ColumnElement[Any], kinds: Kinds) -> Boolean:
    """`column` is one of some types."""
    return column == constant(kinds[0]) if len(kinds) == 1 else column.in_([constant(one) for one in kinds])


def beside_id(dialect: Dialect, column: ColumnElement[str]) -> ColumnElement[str]:
    """The column `parameter` where rows of one resource are looked up, so that its key leads there.

    Without statistics PostgreSQL takes any index that has the type, the parameter and, further on, the id for as good,
    and then reads all rows of the parameter for each resource. As an expression the parameter leads into none.
    """
    return column if dialect.name == "sqlite" else column.concat(constant(""))


def one_of(dialect: Dialect, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """`column` is in a list of texts that is bound as one value, in JSON."""
    values = each_of(dialect, name).c.value
    listed = select(values if isinstance(column.type, Text) else cast(values, column.type))
    return column.in_(listed) if dialect.name == "sqlite" else column == any_(func.array(listed.scalar_subquery()))


def each_of(dialect: Dialect, name: str) -> TableValuedAlias:
    """The texts of such a list, a row for each with the column `value`. Compared with a column of ours PostgreSQL's
    need its collation, or no index of it is used.

    Not as an array: PostgreSQL would plan a statement anew for each, because it knows how many values an array has
    (https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES), and that takes longer than to run it.
    """
    bound = bindparam(name, type_=Text())
    if dialect.name == "sqlite":
        return func.json_each(bound).table_valued("value")
    given = func.json_array_elements_text(cast(bound, JSON()))
    return given.table_valued(column("value", Text())).render_derived()


def by_url(
    link: FromClause, link_where: Sequence[Boolean], named: FromClause, named_where: Sequence[Boolean], forwards: bool
) -> Select[Any]:
    """Canonical URLs with what they name, as a select without columns: https://hl7.org/fhir/R5/references.html#canonical

    What calls itself so is named, in the version that the URL says; a URL without one means any. `forwards`: the
    resources with the URLs are known and what they name is looked up, or else the other way round.

    An outer join that must have met fixes the order of the two, and a hint the index: SQLite would rather read all
    references of a type than look URLs up.
    """
    known, sought = (link, named) if forwards else (named, link)
    same = (
        named.c.url == link.c.url,
        link.c.url != constant(""),
        or_(link.c.version == constant(""), link.c.version == named.c.version),
    )
    named_where = (*named_where, named.c.parameter == constant(CANONICAL))
    known_where, sought_where = (link_where, named_where) if forwards else (named_where, link_where)
    found = select().select_from(known.outerjoin(sought, and_(*sought_where, *same)))
    met = func.coalesce(sought.c.id, constant("")) != constant("")
    return found.with_hint(sought, "INDEXED BY index_reference_url", "sqlite").where(*known_where, met)
