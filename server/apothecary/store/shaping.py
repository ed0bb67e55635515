"""What a resource leaves in the index, as the rows of the tables. No database is needed for it, so that it can be done
beside the writing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from apothecary.search.contained import CONTAINS, placed
from apothecary.search.parts import Piece, pieces
from apothecary.search.rows import (
    TABLES,
    ContainedRow,
    Indexed,
    IndexRow,
    QuantityRow,
    ReferenceRow,
    SpellingRow,
    StringRow,
    TextRow,
    TokenRow,
    UriRow,
    VocabularyRow,
    apart,
)
from apothecary.store import fulltext
from apothecary.store.systems import longer, short
from apothecary.terminology.stored import LargeCodeSystem

Row = tuple[Any, ...]
Word = tuple[str, str, str]
"""A word that inexact search may find, behind its resource type and parameter."""


class Shaped(NamedTuple):
    """What one resource leaves: rows by table of the index, words, pieces of texts, the keys under which the resources
    stand in the index that it contains, and its concepts where it is a large code system.
    """

    rows: dict[str, list[Row]]
    words: list[Word]
    pieces: list[Piece]
    contained: list[tuple[str, str]]
    concepts: LargeCodeSystem | None


def shape(kind: str, identity: str, rows: Iterable[Indexed], *, sqlite: bool) -> Shaped:
    """The rows of the resource `kind/identity`, in the form that SQLite's tables have, or else PostgreSQL's."""
    found, concepts = apart(rows)
    shaped = Shaped({}, [], [], [], concepts)
    if not found or not isinstance(found[0], ContainedRow):
        _add(shaped, kind, identity, enumerate(cast("list[IndexRow]", found)), sqlite=sqlite)
        return shaped
    # With contained ones, each of which becomes a resource of the index.
    for number, (its_kind, its_identity, row) in enumerate(placed(found, kind, identity)):
        _add(shaped, its_kind, its_identity, ((number, row),), sqlite=sqlite)
        if isinstance(row, ReferenceRow) and row.parameter == CONTAINS:
            shaped.contained.append((row.target_type, row.target_id))
    return shaped


def _add(shaped: Shaped, kind: str, identity: str, rows: Iterable[tuple[int, IndexRow]], *, sqlite: bool) -> None:
    """Numbered rows of one resource."""
    tables = shaped.rows
    made: Row
    for number, row in rows:
        # In the order of how often there is one. A row is taken apart by place, which takes half of what names do.
        if isinstance(row, TokenRow):
            made = kind, identity, row[0], number, short(row[1]), row[2], row[3]
        elif isinstance(row, QuantityRow):
            made = (kind, identity, row[0], number, short(row[1]), *row[2:])
        elif isinstance(row, TextRow):
            made = (kind, identity, row[0], number, fulltext.document(kind, row[0], row[1], sqlite=sqlite), *row[2:])
        elif isinstance(row, StringRow):
            made = kind, identity, row[0], number, row[1], longer(row[2], row[1]), row[3], row[4]
        elif isinstance(row, UriRow):
            made = kind, identity, row[0], number, row[1], longer(row[2], row[1]), row[3]
        elif isinstance(row, SpellingRow):
            shaped.pieces.extend(pieces(row[0]))
            continue
        elif isinstance(row, VocabularyRow):
            shaped.words.append((kind, *row))
            continue
        else:
            made = (kind, identity, row[0], number) + row[1:]  # noqa: RUF005 (it is twice as fast)
        name = TABLES[row.__class__]
        known = tables.get(name)
        if known is None:
            tables[name] = [made]
        else:
            known.append(made)
