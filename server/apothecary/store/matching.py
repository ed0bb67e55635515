"""Words looked for in texts as SQL: which resources match, whether one does, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.engine import Dialect

from apothecary.search.predicates import And, Compare, Or, Predicate, Row
from apothecary.store import fulltext, spelling
from apothecary.store.fragments import Boolean, Kinds, among, constant
from apothecary.store.shape import comparisons


def _number_of(row: FromClause) -> ColumnElement[int]:
    """The number of a passage, which only SQLite's table has."""
    return literal_column(f"{row.name}.number", BigInteger())  # type: ignore[attr-defined] # of an alias


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), BigInteger())


class TextCompiler:
    """The part of a statement's compiler that is about full text. One instance for one statement."""

    def __init__(self, dialect: Dialect, predicate: Predicate | None) -> None:
        self.dialect = dialect
        self.sqlite = dialect.name == "sqlite"
        self._numbers = {id(one): number for number, one in enumerate(comparisons(predicate))}
        self._aliases = 0
        self._made: list[Compare] = []
        """Comparisons of our own, which must live as long as their ids stand in `_numbers`."""

    def alias(self, table: FromClause) -> FromClause:
        self._aliases += 1
        return table.alias(f"a{self._aliases}")

    def _query(self, *wanted: Compare, scope: str = "") -> ColumnElement[Any]:
        """What is looked for, all of it in one passage, in the database's language of queries."""
        asked = [bindparam(f"p{self._numbers[id(one)]}", type_=Text()) for one in wanted]
        both = constant(" AND " if self.sqlite else " & ")
        query: ColumnElement[Any] = reduce(lambda left, right: left + both + right, asked)
        if scope:
            query = constant(scope) + query
        return query if self.sqlite else cast(query, fulltext.QUERY)

    def found(
        self, kinds: Kinds, parameter: str, wanted: Sequence[Compare], *, pieces: bool = False, counted: bool = False
    ) -> tuple[Select[Any], ColumnElement[Any]]:
        """The ids of the resources that the index of words gives: those with all that is `wanted` in one passage, or
        with `pieces` in one of several. Where they are but `counted` something else may stand for an id. No condition
        names the type and parameter, lest the database take them for a better way in: the words do.
        """
        row = self.alias(fulltext.index_text)
        query = self._query(*wanted, scope=fulltext.scoped(self.dialect, kinds, parameter, pieces=pieces))
        if not self.sqlite:
            return select(row.c.id).select_from(row).where(row.c.words.bool_op("@@")(query)), row.c.id
        index = self.alias(fulltext.index_text_words)
        if counted:
            # To look each passage up would take longer than to find it.
            number = index.c.rowid.label("id")
            return select(number).where(index.c.words.bool_op("MATCH")(query)), number
        joined = index.join(row, _number_of(row) == index.c.rowid)
        return select(row.c.id).select_from(joined).where(index.c.words.bool_op("MATCH")(query)), row.c.id

    def worded(
        self, kinds: Kinds, rows: Sequence[Row], *, counted: bool = False
    ) -> list[tuple[Select[Any], ColumnElement[Any]]]:
        """The source of rows that look for words in the texts of one parameter: what has all of them in one passage,
        and what has them in several, as only very long texts may. `counted` as in `found`.
        """
        parameter, wanted = rows[0].parameter, [one.where for one in rows if isinstance(one.where, Compare)]
        found = [self.found(kinds, parameter, wanted, counted=counted)]
        if len(wanted) > 1:
            apart, identity = self.found(kinds, parameter, wanted[:1], pieces=True)
            apart = apart.where(*(self.matches(kinds, parameter, identity, one) for one in wanted[1:]))
            found.append((apart, identity))
        return found

    def whole(self, row: FromClause, column: str) -> ColumnElement[Any]:
        """A column of a row of the index. A text that is no longer than its beginning stands there only
        (`systems.longer`).
        """
        found: ColumnElement[Any] = row.c[column]
        if column not in ("folded", "value"):
            return found
        return case((found == constant(""), row.c.prefix), else_=found)

    def inside(self, column: ColumnElement[str], value: ColumnElement[str]) -> Boolean:
        """A text has a part."""
        return (func.instr(column, value) if self.sqlite else func.strpos(column, value)) > 0

    def spelled(
        self, table: Table, kinds: Kinds, parameter: str, wanted: Compare
    ) -> tuple[Select[Any], ColumnElement[str]]:
        """The ids of the resources with a text that has a part: texts by their parts, and then who has them.

        On SQLite an outer join that must have met fixes the order of the two, on PostgreSQL a subquery with an OFFSET.
        """
        number = self._numbers[id(wanted)]
        value, sought = (bindparam(f"{name}{number}", type_=Text()) for name in ("p", "parts"))
        known, row = self.alias(spelling.spelling), self.alias(table)
        # A longer text is looked at as a whole.
        may_have = or_(known.c.digest != constant(""), self.inside(known.c.prefix, value))
        here = (among(row.c.type, kinds), row.c.parameter == constant(parameter), row.c.prefix == known.c.prefix)
        has = self.inside(self.whole(row, wanted.column), value)
        if self.sqlite:
            index = self.alias(spelling.spelling_parts)
            joined = index.join(known, known.c.number == index.c.rowid).outerjoin(row, and_(*here))
            found = select(row.c.id).select_from(joined).with_hint(row, f"INDEXED BY {table.name}_prefix", "sqlite")
            asked = index.c.spelling_parts.bool_op("MATCH")(sought)
            return found.where(asked, may_have, func.coalesce(has, false())), row.c.id
        met = select(row.c.id).where(*here, has).offset(literal_column("0")).lateral()
        found = select(met.c.id).select_from(known.join(met, literal_column("true")))
        return found.where(known.c.parts.bool_op("@@")(cast(sought, fulltext.QUERY)), may_have), met.c.id

    def _passages(self, kinds: Kinds, parameter: str, identity: ColumnElement[str]) -> tuple[FromClause, Select[Any]]:
        """The passages of one resource, as a select that has no columns yet, and their table."""
        row = self.alias(fulltext.index_text)
        fixed = (among(row.c.type, kinds), row.c.parameter == constant(parameter), row.c.id == identity)
        return row, select().select_from(row).where(*fixed)

    def _has(self, row: FromClause, wanted: Compare) -> Boolean:
        """Whether a passage matches.

        SQLite looks at the words of the passage as they stand: FTS5 would gather everything that matches, for every
        resource that is probed.
        """
        if not self.sqlite:
            return row.c.words.bool_op("@@")(self._query(wanted))
        phrase = bindparam(f"phrase{self._numbers[id(wanted)]}", type_=Text())
        has: Boolean = func.instr(constant(" ") + row.c.words + constant(" "), phrase) > 0
        return has

    def matches(self, kinds: Kinds, parameter: str, identity: ColumnElement[str], wanted: Compare) -> Boolean:
        """Whether one resource matches."""
        row, found = self._passages(kinds, parameter, identity)
        looked = found.where(self._has(row, wanted)).add_columns(literal_column("1"))
        # As for a row (`Compiler.probe`): with an OFFSET it stays a look at one resource.
        return exists(looked if self.sqlite else looked.offset(literal_column("0")))

    def score(self, node: Predicate, kinds: Kinds, identity: ColumnElement[str]) -> ColumnElement[int] | None:
        """How well a resource matches `node`, in millionths; None where nothing in it ranks.

        A phrase counts its weight: half for standing there, half for the share that it is of the passage. All of it in
        whole numbers of the resource alone, so that both databases give the same, and no other resource changes it.
        """
        match node:
            case Row(_, parameter, Compare(operator="matches") as wanted):
                return self._score(kinds, parameter, identity, [wanted])
            case Or(of) if len(alike := _alike(of)) == len(of):
                return self._score(kinds, alike[0][0], identity, [wanted for _, wanted in alike])
            case And(of) | Or(of):
                scores = [one for part in of if (one := self.score(part, kinds, identity)) is not None]
                if len(scores) < 2:
                    return scores[0] if scores else None
                if isinstance(node, And):
                    return reduce(lambda left, right: left + right, scores) // _number(len(scores))
                return func.max(*scores) if self.sqlite else func.greatest(*scores)
        return None

    def _score(
        self, kinds: Kinds, parameter: str, identity: ColumnElement[str], of: Sequence[Compare]
    ) -> ColumnElement[int]:
        """The best score of any of the phrases, in one look at the passages of a resource."""
        row, found = self._passages(kinds, parameter, identity)
        scores = [case((self._has(row, wanted), self._weighed(row, wanted)), else_=_number(0)) for wanted in of]
        largest = func.max if self.sqlite else func.greatest
        best = found.add_columns(func.max(largest(*scores) if len(scores) > 1 else scores[0]))
        return func.coalesce(best.scalar_subquery(), _number(0))

    def _weighed(self, row: FromClause, wanted: Compare) -> ColumnElement[int]:
        number = self._numbers[id(wanted)]
        asked = bindparam(f"length{number}", type_=BigInteger())
        weight = bindparam(f"weight{number}", type_=BigInteger())
        length = cast(row.c.length, BigInteger())
        weighed: ColumnElement[int] = weight * (length + asked) // (length * _number(2))
        return weighed


def _alike(of: Sequence[Predicate]) -> list[tuple[str, Compare]]:
    """Those that look for words in the texts of the same parameter as the first."""
    found = [
        (one.parameter, one.where)
        for one in of
        if isinstance(one, Row) and isinstance(one.where, Compare) and one.where.operator == "matches"
    ]
    return [one for one in found if one[0] == found[0][0]]
