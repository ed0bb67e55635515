"""The words that look like one: trigrams that both have, counted in SQL that is the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from apothecary.store.fragments import constant, one_of


def words(dialect: Dialect, resource_type: str, parameter: str) -> Select[Any]:
    """(word, likeness in millionths) of the words in the texts of a parameter that resemble one, best first.

    Bound are `trigrams` (a list), `size` (its length), `alike` (the least likeness) and `limit`.
    """
    row = tables.vocabulary.c
    # The trigrams of both, by those of either: all of one's and all of the other's but for those of both.
    shared = func.count().label("shared")
    likeness = (
        shared
        * literal_column("1000000", BigInteger())
        // (cast(row.size, BigInteger()) + bindparam("size", type_=BigInteger()) - shared)
    )
    alike = (
        select(row.word.label("word"), likeness.label("likeness"))
        .where(
            row.type == constant(resource_type),
            row.parameter == constant(parameter),
            one_of(dialect, row.trigram, "trigrams"),
        )
        .group_by(row.word, row.size)
        .having(likeness >= bindparam("alike", type_=BigInteger()))
        .subquery("alike")
    )
    found = select(alike.c.word, alike.c.likeness).where(_present(dialect, resource_type, parameter, alike.c.word))
    return found.order_by(alike.c.likeness.desc(), alike.c.word).limit(bindparam("limit", type_=Integer()))


def values(word: str, sequence: Callable[[list[str]], Any]) -> dict[str, Any]:
    """What is bound in the statement of `words`; `sequence` makes the database's form of a list."""
    wanted = sorted(trigrams(word))
    return {"trigrams": sequence(wanted), "size": len(wanted), "alike": ALIKE, "limit": SIMILAR}


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
