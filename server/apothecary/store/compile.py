"""A predicate as SQL, by SQLAlchemy Core.

Two forms: `probe` asks whether a given id meets a predicate, `source` lists the ids that do. A search starts from the
source of its most selective part and probes the rest; which part that is, `choosing` decides.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.sql.expression import CompoundSelect

from apothecary.search.contained import is_marked
from apothecary.search.predicates import (
    And,
    Chain,
    Compare,
    Condition,
    Every,
    Has,
    Joined,
    Not,
    Or,
    Predicate,
    Resource,
    Row,
    Some,
)
from apothecary.store import tables
from apothecary.store.fragments import Boolean, Kinds, Link, among, beside_id, by_url, constant, each_of, one_of
from apothecary.store.matching import TextCompiler
from apothecary.store.shape import comparisons
from apothecary.store.traits import (
    grounded,
    leader,
    leading,
    merged,
    rank,
    reached,
    sourceable,
    together,
    whole,
    worded,
)


class Compiler(TextCompiler):
    """Turns one predicate, and the predicates inside it, into SQL. One instance for one statement.

    `kinds` are the types of the resources that a predicate is about: one, or a type and that of the contained ones.
    """

    def plain(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """`column` as a value that SQLite uses no index for:
        https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
        """
        if not self.sqlite:
            return column
        return literal_column(f"+{column.table.name}.{column.name}", column.type)

    # -- conditions on one row

    def condition(
        self, table: FromClause, node: Condition, *, probing: bool = False, leader: str | None = None
    ) -> Boolean:
        """What a row of `table` meets. `leader` is the column that leads into the index that is to be used, if any."""
        if isinstance(node, Every | Some):
            each = (self.condition(table, one, probing=probing, leader=leader) for one in node.of)
            return and_(*each) if isinstance(node, Every) else or_(*each)
        column = self.whole(table, node.column)
        if column is not table.c[node.column]:
            # No index is of it.
            return self._compare(column, node)
        # A probe looks one resource up by its key. As a bare column a database may take it for the way in, and walk
        # all rows with the value instead, for every resource that is probed. And where one column leads, PostgreSQL
        # without statistics takes the index of another for as good.
        if probing or (leader is not None and node.column != leader and not self.sqlite):
            column = self._hidden(column, leads=node.column == leader)
        return self._compare(column, node)

    def _hidden(self, column: ColumnElement[Any], *, leads: bool) -> ColumnElement[Any]:
        """`column` as an expression that no index is used for. One value may lead PostgreSQL: the id follows it."""
        if self.sqlite:
            return self.plain(column)
        if leads:
            return column
        return column + literal_column("0") if isinstance(column.type, BigInteger) else column.concat(constant(""))

    def _value(self, node: Compare) -> ColumnElement[Any]:
        """What `node` compares with, as a value to be bound."""
        kind = BigInteger() if isinstance(node.value, int) else Text()
        return bindparam(f"p{self._numbers[id(node)]}", type_=kind)

    def _compare(self, column: ColumnElement[Any], node: Compare) -> Boolean:
        number = self._numbers[id(node)]
        value = self._value(node)
        match node.operator:
            case "=":
                return column == value
            case "!=":
                return column != value
            case "<":
                return column < value
            case "<=":
                return column <= value
            case ">":
                return column > value
            case ">=":
                return column >= value
            case "prefix":
                return and_(column >= value, column < bindparam(f"q{number}", type_=Text()))
            case "suffix":
                length = func.length(value)
                return (func.substr(column, -length) if self.sqlite else func.right(column, length)) == value
            case "begins":
                return func.substr(func.lower(column), 1, func.length(value)) == value
            case "contains" | "part":
                return self.inside(column, value)
        # in: the list is one value, so that its length does not change the statement
        return one_of(self.dialect, column, f"p{number}")

    # -- probe: does this id meet the predicate?

    def probe(self, node: Predicate, kinds: Kinds, identity: ColumnElement[str]) -> Boolean:
        found: Select[Any]
        match node:
            case Row(_, parameter, Compare(operator="matches") as wanted):
                return self.matches(kinds, parameter, identity, wanted)
            case Row(name, parameter, where):
                row = self.alias(tables.INDEXES[name])
                found = select(literal_column("1")).select_from(row)
                found = found.where(*self._row(row, kinds, parameter, where, probing=True), row.c.id == identity)
                return self._looked_up(found)
            case Resource(Compare("id", "=" | "in") as wanted) if any(map(is_marked, kinds)):
                # A contained resource is asked for by its own id; the index has it as a code.
                inside = self.probe(self._local(wanted), kinds, identity)
                return inside if all(map(is_marked, kinds)) else or_(self._compare(identity, wanted), inside)
            case Resource(where):
                row = self.alias(tables.resource)
                found = select(literal_column("1")).select_from(row)
                here = among(row.c.type, kinds), row.c.id == identity, not_(row.c.deleted)
                return self._looked_up(found.where(*here, self.condition(row, where)))
            case And(of):
                return and_(*(self.probe(one, kinds, identity) for one in of))
            case Or(of):
                return or_(*(self.probe(one, kinds, identity) for one in merged(of)))
            case Not(inner):
                return not_(self.probe(inner, kinds, identity))
            case Chain() | Has():
                return self._linked(node, kinds, identity)
            case Joined():
                return self._looked_up(self._joined(node, kinds, identity))
        return false()

    def _looked_up(self, found: Select[Any]) -> Boolean:
        """Whether there is such a row. A look at one resource it shall stay: PostgreSQL may fetch all that have the
        value, or all references of a type, beforehand, and keeps from it only where there is an OFFSET.
        """
        return exists(found if self.sqlite else found.offset(literal_column("0")))

    def _local(self, wanted: Compare) -> Row:
        """What asks for a contained resource by its own id; its value is that of `wanted`."""
        code = Compare("code", wanted.operator, wanted.value)
        self._numbers[id(code)] = self._numbers[id(wanted)]
        self._made.append(code)
        return Row("token", "_id", code)

    def held(self, kinds: Kinds, identity: ColumnElement[str]) -> Boolean:
        """The resource that a reference names is here: a reference may point to nothing, or to what was deleted."""
        row = self.alias(tables.resource)
        found: Select[Any] = select(literal_column("1")).select_from(row)
        found = found.where(among(row.c.type, kinds), row.c.id == identity, not_(row.c.deleted))
        return self._looked_up(found)

    def _row(
        self, row: FromClause, kinds: Kinds, parameter: str, where: Condition | None, *, probing: bool = False
    ) -> list[Boolean]:
        # A probe may be led by one value, which the id follows in the index; by a list it would be read for each.
        operators = ("=",) if probing else ("=", "in")
        led = leader(row.element.name.removeprefix("index_"), where, operators)  # type: ignore[attr-defined] # of an alias
        named = beside_id(self.dialect, row.c.parameter) if probing and led is None else row.c.parameter
        fixed = [among(row.c.type, kinds), named == constant(parameter)]
        return fixed if where is None else [*fixed, self.condition(row, where, probing=probing, leader=led)]

    def _joined(self, node: Joined, kinds: Kinds, identity: ColumnElement[str] | None) -> Select[Any]:
        """Rows of every part on one element of one resource."""
        rows = [self.alias(tables.INDEXES[part.table]) for part in node.parts]
        first = rows[0]
        found = select(first.c.id).select_from(
            reduce(
                lambda left, right: left.join(
                    right,
                    and_(right.c.type == first.c.type, right.c.id == first.c.id, right.c.element == first.c.element),
                ),
                rows,
            )
        )
        for row, part in zip(rows, node.parts, strict=True):
            found = found.where(*self._row(row, kinds, part.parameter, part.where))
        return found if identity is None else found.where(first.c.id == identity)

    # -- references

    def _link(self, node: Chain | Has, kinds: Kinds, *, probing: bool) -> Link:
        """The references that `node` follows, from the resources that it is about to those that it leads to."""
        match node:
            case Chain(parameter, target_type, by_url=True):
                return self._by_url(kinds, parameter, (target_type,), forwards=probing)
            case Has(source_type, parameter, by_url=True):
                return self._by_url((source_type,), parameter, kinds, forwards=not probing).turned()
            case Chain(parameter, target_type):
                source, target = kinds, reached(target_type)
            case Has(source_type, parameter):
                source, target = (source_type,), kinds
        row = self.alias(tables.index_reference)
        by_source = probing and isinstance(node, Chain)
        found = select().select_from(row).where(*self._row(row, source, parameter, None, probing=by_source))
        there: ColumnElement[str] = row.c.target_type
        if isinstance(node, Chain):
            # Without statistics PostgreSQL would take every reference to this type for each resource.
            there = beside_id(self.dialect, there)
            return Link(found.where(among(there, target)), row.c.id, source, row.c.target_id, target)
        # Plain, or SQLite may take them, and look each up among the ids.
        found = found.where(among(there if probing else self.plain(there), target))
        return Link(found, row.c.id, source, row.c.target_id, target).turned()

    def _by_url(self, sources: Kinds, parameter: str, targets: Kinds, *, forwards: bool) -> Link:
        """Canonical URLs with what they name; `forwards` as in `fragments.by_url`."""
        link, named = self.alias(tables.index_reference), self.alias(tables.index_reference)
        there, here = self._row(link, sources, parameter, None), [among(named.c.type, targets)]
        return Link(by_url(link, there, named, here, forwards), link.c.id, sources, named.c.id, targets)

    def _linked(self, node: Chain | Has, kinds: Kinds, identity: ColumnElement[str]) -> Boolean:
        """The probe of a chain or a reverse chain."""
        link = self._link(node, kinds, probing=True)
        met = self.probe(node.of, link.far_kinds, link.far)
        found = link.found.add_columns(literal_column("1")).where(link.near == identity, met)
        if isinstance(node, Chain) and not node.by_url and not grounded(node.of):
            found = found.where(self.held(link.far_kinds, link.far))
        return self._looked_up(found)

    def _linking(self, node: Chain | Has, kinds: Kinds) -> list[tuple[Select[Any], ColumnElement[str]]]:
        """The source of a chain or a reverse chain."""
        if node.by_url:
            link = self._link(node, kinds, probing=False)
            found = link.found.add_columns(link.near.label("id"))
            return [(found.where(link.far.in_(self.ids(node.of, link.far_kinds))), link.near)]
        if isinstance(node, Chain):
            return [self._led(node, kinds, far) for far in self._each(node.of, reached(node.target_type))]
        led = [self._led(node, kinds, far) for far in self._each(node.of, (node.source_type,))]
        return [(found.where(self.held(kinds, near)), near) for found, near in led]

    def _each(self, node: Predicate, kinds: Kinds) -> list[Select[Any]]:
        """What meets `node`, a select of ids for each branch."""
        return [found for found, _ in self.source(node, kinds)] if sourceable(node) else [self._walk(node, kinds)]

    def _led(self, node: Chain | Has, kinds: Kinds, far: Select[Any]) -> tuple[Select[Any], ColumnElement[str]]:
        """The resources at this end of the references whose other end `far` gives, as it gives them: whoever wants few
        of them reads few of both, where a database would rather read all references of a type.

        On SQLite an outer join that must have met fixes the order of the two, on PostgreSQL a subquery with an OFFSET.
        """
        ends, row = far.subquery(), self.alias(tables.index_reference)
        if isinstance(node, Chain):
            there = [*self._row(row, kinds, node.parameter, None), among(row.c.target_type, reached(node.target_type))]
            near, end = row.c.id, row.c.target_id
        else:
            # Plain, or SQLite may take every reference to this type.
            there = [*self._row(row, (node.source_type,), node.parameter, None, probing=True)]
            there.append(among(self.plain(row.c.target_type), kinds))
            near, end = row.c.target_id, row.c.id
        if self.sqlite:
            joined = ends.outerjoin(row, and_(end == ends.c.id, *there))
            met = func.coalesce(near, constant("")) != constant("")
            return select(near.label("id")).select_from(joined).where(met), near
        each = select(near.label("id")).select_from(row).where(end == ends.c.id, near != constant(""), *there)
        if isinstance(node, Chain):
            # Of indexes that cost the same by guess, the one of targets has the ids in order.
            each = each.order_by(near)
        led = each.offset(literal_column("0")).lateral()
        return select(led.c.id).select_from(ends.join(led, literal_column("true"))), led.c.id

    # -- source: the ids that meet the predicate

    def source(self, node: Predicate, kinds: Kinds) -> list[tuple[Select[Any], ColumnElement[str]]]:
        """One select for each branch, with its id column. `node` must be `sourceable`."""
        match node:
            case Row() | And() if rows := worded(node):
                return self.worded(kinds, rows)
            case Row(name, parameter, Compare(operator="part") as wanted):
                return [self.spelled(tables.INDEXES[name], kinds, parameter, wanted)]
            case Row() if len(kinds) > 1 and not self.sqlite:
                # Rows of one type are in the order of ids.
                return [branch for kind in kinds for branch in self.source(node, (kind,))]
            case Row(name, parameter, where):
                row = self.alias(tables.INDEXES[name])
                listed = None if self.sqlite else self._list(name, where)
                if listed is not None:
                    return [self._one_by_one(row, kinds, parameter, where, listed)]
                found = select(row.c.id).select_from(row).where(*self._row(row, kinds, parameter, where))
                if (index := leading(name, where) or (whole(name) if where is None else None)) is not None:
                    # Or SQLite, which wants the ids in order, may read them off the key of the whole type.
                    found = found.with_hint(row, f"INDEXED BY {index}", "sqlite")
                return [(found, row.c.id)]
            case Resource(Compare("id", "=" | "in") as wanted) if any(map(is_marked, kinds)):
                alone = tuple(kind for kind in kinds if not is_marked(kind))
                inside = self.source(self._local(wanted), kinds)
                return [*self.source(node, alone), *inside] if alone else inside
            case Resource(where):
                row = self.alias(tables.resource)
                found = select(row.c.id).select_from(row).where(among(row.c.type, kinds), not_(row.c.deleted))
                if all(one.column == "updated" for one in comparisons(where)):
                    # Or SQLite, which has few numbers to choose by, walks the whole type.
                    found = found.with_hint(row, "INDEXED BY resource_updated", "sqlite")
                return [(found.where(self.condition(row, where)), row.c.id)]
            case Or(of):
                return [branch for one in of for branch in self.source(one, kinds)]
            case And(of) if len(of) > len(parts := together(of)):
                return self.source(And(tuple(parts)), kinds)
            case And(of):
                best = min((one for one in of if sourceable(one)), key=rank)
                rest = [one for one in of if one is not best]
                return [
                    (found.where(*(self.probe(one, kinds, identity) for one in rest)), identity)
                    for found, identity in self.source(best, kinds)
                ]
            case Chain() | Has():
                return self._linking(node, kinds)
            case Joined():
                joined = self._joined(node, kinds, None)
                return [(joined, joined.selected_columns[0])]
        raise TypeError(f"{type(node).__name__} has no source")

    def counted(self, node: Predicate, kinds: Kinds) -> list[tuple[Select[Any], ColumnElement[Any]]]:
        """The same to count them: something else may stand for the id of a resource."""
        if isinstance(node, Or):
            return [branch for one in node.of for branch in self.counted(one, kinds)]
        rows = worded(node)
        return self.worded(kinds, rows, counted=True) if rows else self.source(node, kinds)

    def _list(self, name: str, where: Condition | None) -> Compare | None:
        """The list of values that leads into an index of the table `name`."""
        column = leader(name, where, ("in",))
        return next((one for one in comparisons(where) if one.column == column and one.operator == "in"), None)

    def _one_by_one(
        self, row: FromClause, kinds: Kinds, parameter: str, where: Condition | None, wanted: Compare
    ) -> tuple[Select[Any], ColumnElement[str]]:
        """The source of a list of values on PostgreSQL, which without statistics takes them for many and would rather
        read all rows of the parameter.
        """
        values = each_of(self.dialect, f"p{self._numbers[id(wanted)]}")
        rest = [one for one in where.of if one is not wanted] if isinstance(where, Every) else []
        here = self._row(row, kinds, parameter, None)
        conditions = [self.condition(row, one, leader=wanted.column) for one in rest]
        each = select(row.c.id).where(*here, row.c[wanted.column] == values.c.value.collate("C"), *conditions)
        # Of indexes that cost the same by guess, the one of the column has the ids in order.
        led = each.order_by(row.c.id).offset(literal_column("0")).lateral()
        return select(led.c.id).select_from(values.join(led, literal_column("true"))), led.c.id

    def ids(self, node: Predicate, kinds: Kinds) -> Select[Any] | CompoundSelect[Any]:
        """All ids that meet `node`, as a subquery; a walk over the type where nothing better is there."""
        branches = self._each(node, kinds)
        return branches[0] if len(branches) == 1 else branches[0].union(*branches[1:])

    def listed(self, node: Predicate, kinds: Kinds) -> FromClause:
        """All ids that meet `node`, each once. From an index that has them in order they are read off it."""
        found = self.ids(node, kinds)
        return (found.distinct() if isinstance(found, Select) else found).subquery()

    def _walk(self, node: Predicate, kinds: Kinds) -> Select[Any]:
        row = self.alias(tables.resource)
        here = (among(row.c.type, kinds), not_(row.c.deleted))
        return select(row.c.id).select_from(row).where(*here, self.probe(node, kinds, row.c.id))
