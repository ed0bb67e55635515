"""The tables of the index hold what extraction makes and predicates ask for."""

from __future__ import annotations

from typing import get_args

import pytest

from apothecary.search.predicates import Table
from apothecary.search.rows import TABLES, IndexRow, SpellingRow, VocabularyRow
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.store.tables import INDEXES
from tests.store.test_migrate import rows

# Words belong to a parameter and texts to nobody, not to a resource: their tables are others.
OF_RESOURCES = {row: name for row, name in TABLES.items() if row not in (VocabularyRow, SpellingRow)}


@pytest.mark.parametrize("row", OF_RESOURCES)
def test_a_row_has_the_columns_of_its_table_in_their_order(row: type[IndexRow]) -> None:
    columns = [column.name for column in INDEXES[TABLES[row]].columns]
    assert columns == ["type", "id", row._fields[0], "row", *row._fields[1:]]


def test_every_kind_of_row_has_a_table_that_can_be_asked() -> None:
    assert set(TABLES) == set(get_args(IndexRow))
    assert sorted(OF_RESOURCES.values()) == sorted(INDEXES) == sorted(get_args(Table))


def test_each_btree_of_the_index_leaves_a_twentieth_of_its_pages_free(postgresql_database_url: str) -> None:
    open_store(Settings(database=postgresql_database_url)).close()
    (found,) = rows(
        postgresql_database_url,
        "SELECT indexname, indexdef LIKE '%fillfactor=''95''%' FROM pg_indexes"
        " WHERE tablename LIKE 'index\\_%' AND indexdef LIKE '%USING btree%'",
    )
    assert len(found) > 15
    assert [name for name, says in found if not says] == []
