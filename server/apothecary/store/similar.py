"""The words that look like one: trigrams that both have, counted in SQL that is the same on both databases.

Most words that have a common trigram of a word have little else of it. So the words with a rare one are read, of whose
number each word that is alike enough has at least one, and those are looked up among the common ones. Of very many
words, those are left out that have none but common trigrams of the word.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.engine import Dialect

from apothecary.search.words import ALIKE, SIMILAR, trigrams
from apothecary.store import fulltext, tables
from apothecary.store.fragments import Boolean, constant, each_of, one_of
from apothecary.store.statements import Statement, Statements

# How alike words are looked for first: where there are enough of them, no others are.
VERY_ALIKE = 600_000

# So far is counted how many words have a trigram: more are common.
COMMON = 2000

# So many words are looked up among the common trigrams, those that have most of the rare ones, and so many of the
# likest in the texts.
LOOKED_UP = 200

_MILLION = literal_column("1000000", BigInteger())


class Reader(Protocol):
    """What runs the statements."""

    statements: Statements

    def rows(self, statement: Statement, bound: Sequence[Any]) -> list[Any]: ...

    def sequence(self, items: Sequence[str]) -> Any: ...


def likest(reader: Reader, resource_type: str, parameter: str, word: str) -> Sequence[tuple[str, int]]:
    """The words in the texts of a parameter that resemble one, each with its likeness in millionths, best first."""
    dialect, get = reader.statements.dialect, reader.statements.get
    wanted = sorted(trigrams(word))
    build = partial(_frequencies, dialect, resource_type, parameter)
    statement = get(("trigrams", resource_type, parameter), build)
    counted = dict(map(tuple, reader.rows(statement, statement.bind({"trigrams": reader.sequence(wanted)}))))
    wanted.sort(key=lambda one: (counted[one], one))
    statement = get(("similar", resource_type, parameter), partial(words, dialect, resource_type, parameter))
    found: list[Any] = []
    for alike in (VERY_ALIKE, ALIKE):
        # A word that has fewer of all trigrams of the two is not alike enough.
        least = -(-len(wanted) * alike // 1_000_000)
        some = wanted[: len(wanted) - least + 1]
        # What has nothing else of the word is too much to be looked at where there are very many words.
        rare = [one for one in some if counted[one] < COMMON] or some[:2]
        common = [one for one in wanted if one not in rare]
        bound = {"rare": reader.sequence(rare), "common": reader.sequence(common), "left": len(common)}
        bound |= {"size": len(wanted), "alike": alike, "limit": SIMILAR}
        found = reader.rows(statement, statement.bind(bound))
        if len(found) == SIMILAR:
            break
    return [(one, int(likeness)) for one, likeness in found]


def _of(resource_type: str, parameter: str, row: Any) -> tuple[Boolean, Boolean]:
    return row.type == constant(resource_type), row.parameter == constant(parameter)


def _frequencies(dialect: Dialect, resource_type: str, parameter: str) -> Select[Any]:
    """(trigram, how many words have it) for each of the `trigrams`, counted no further than `COMMON`."""
    row = tables.vocabulary.c
    listed = each_of(dialect, "trigrams")
    same = row.trigram == listed.c.value.collate("C") if dialect.name != "sqlite" else row.trigram == listed.c.value
    some: Select[Any] = select(literal_column("1")).where(*_of(resource_type, parameter, row), same)
    some = some.limit(literal_column(str(COMMON))).correlate(listed)
    counted = select(func.count()).select_from(some.subquery()).correlate(listed).scalar_subquery()
    return select(listed.c.value, counted).select_from(listed)


def words(dialect: Dialect, resource_type: str, parameter: str) -> Select[Any]:
    """(word, likeness in millionths) of the words in the texts of a parameter that resemble one, best first.

    Bound are its trigrams in two lists, of which each word to be found has one of the `rare`, and maybe some of the
    `common`, `left` in number; `size` (how many they are together), `alike` (the least likeness) and `limit`.
    """
    row, other = tables.vocabulary.alias("led").c, tables.vocabulary.alias("other").c
    left, size, least = (bindparam(name, type_=BigInteger()) for name in ("left", "size", "alike"))

    def likeness(shared: ColumnElement[int], own: ColumnElement[int]) -> ColumnElement[int]:
        # The trigrams of both, by those of either: all of one's and all of the other's but for those of both.
        return shared * _MILLION // (cast(own, BigInteger()) + size - shared)

    shared = func.count()
    best = likeness(shared + left, row.size)
    led = (
        select(row.word.label("word"), row.size.label("size"), shared.label("some"))
        .where(*_of(resource_type, parameter, row), one_of(dialect, row.trigram, "rare"))
        .group_by(row.word, row.size)
        .having(best >= least)
        .order_by(best.desc(), row.word)
        .limit(literal_column(str(LOOKED_UP)))
        .subquery("some")
    )
    more = select(func.count()).where(
        *_of(resource_type, parameter, other), one_of(dialect, other.trigram, "common"), other.word == led.c.word
    )
    # With an OFFSET, or SQLite would count anew wherever the number is named.
    counted = (
        select(led.c.word, led.c.size, (led.c.some + more.scalar_subquery()).label("shared"))
        .offset(literal_column("0"))
        .subquery("counted")
    )
    alike = likeness(counted.c.shared, counted.c.size)
    some = select(counted.c.word, alike.label("likeness")).where(alike >= least)
    likest = some.order_by(alike.desc(), counted.c.word).limit(literal_column(str(LOOKED_UP))).subquery("likest")
    found = select(*likest.c).where(_present(dialect, resource_type, parameter, likest.c.word))
    return found.order_by(likest.c.likeness.desc(), likest.c.word).limit(bindparam("limit", type_=Integer()))


def _present(dialect: Dialect, resource_type: str, parameter: str, word: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether some text of the parameter has the word now."""
    before = constant(fulltext.scoped(dialect, (resource_type,), parameter))
    if dialect.name == "sqlite":
        index = fulltext.index_text_words
        query = before + literal_column("'\"'") + word + literal_column("'\"'")
        return exists(select(literal_column("1")).select_from(index).where(index.c.words.bool_op("MATCH")(query)))
    row = fulltext.index_text
    quote = literal_column("''''", Text())
    query = cast(before + quote + word + quote, fulltext.QUERY)
    return exists(select(literal_column("1")).select_from(row).where(row.c.words.bool_op("@@")(query)))
