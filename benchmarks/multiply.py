"""A catalogue several times over, under other ids, by SQL alone: a million resources in minutes, and not in hours.

    python -m benchmarks.multiply --database URL --times 10

The database is changed in place: copy it before (`cp`, `createdb --template`). What is searched for is there as often
as the catalogue was repeated; only current versions are. Nothing else may use the database meanwhile.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg

from apothecary.store.tables import INDEXES

TABLES = ("resource", *(table.name for table in INDEXES.values()))
# What defines how the rest is searched for is there once.
ONCE = ("SearchParameter", "CodeSystem", "StructureDefinition", "ValueSet", "OperationDefinition")

Run = Callable[[str], Any]


def multiply(url: str, times: int) -> None:
    """Repeat the resources of the database at `url`, with their index, so that each is there so many times."""
    if url.startswith("sqlite:///"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for one in ("synchronous = OFF", "cache_size = -400000", "temp_store = FILE"):
            file.execute(f"PRAGMA {one}")
        _sqlite(file.execute, times)
        file.close()
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        _postgresql(connection.execute, times)


def _repeat(run: Run, table: str, columns: list[str], times: int) -> None:
    once = ", ".join(f"'{one}'" for one in ONCE)
    there_once = f"target_id = '' OR target_type IN ({once})"
    moved = {
        "id": "id || '-' || {0}",
        "target_id": f"CASE WHEN {there_once} THEN target_id ELSE target_id || '-' || {{0}} END",
    }
    run(f"CREATE TEMPORARY TABLE once AS SELECT * FROM {table} WHERE type NOT IN ({once})")  # noqa: S608 (of ours)
    names = ", ".join(f'"{one}"' for one in columns)
    for number in range(1, times):
        values = ", ".join(moved.get(one, f'"{one}"').format(number) for one in columns)
        run(f"INSERT INTO {table} ({names}) SELECT {values} FROM once")  # noqa: S608 (of ours)
    run("DROP TABLE once")


def _sqlite(run: Run, times: int) -> None:
    marks = ", ".join(f"'{one}'" for one in TABLES)
    found = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name IN ({marks})"  # noqa: S608 (of ours)
    indexes = run(found).fetchall()
    for name, _ in indexes:
        run(f"DROP INDEX {name}")
    run("BEGIN")
    for table in TABLES:
        # The number of a passage is given anew.
        columns = [row[1] for row in run(f"PRAGMA table_info({table})") if row[1] != "number"]
        _repeat(run, table, columns, times)
    run("COMMIT")
    for _, made in indexes:
        run(made)
    run("INSERT INTO index_text_words (index_text_words) VALUES ('rebuild')")
    run("PRAGMA analysis_limit = 1000")
    run("ANALYZE")


def _postgresql(run: Run, times: int) -> None:
    run("SET maintenance_work_mem = '1GB'")
    for table in TABLES:
        of = f"'public.{table}'::regclass"
        column = f"SELECT attname FROM pg_attribute WHERE attrelid = {of} AND attnum > 0 AND NOT attisdropped"  # noqa: S608 (of ours)
        columns = [row[0] for row in run(f"{column} ORDER BY attnum")]
        keys = f"SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = {of} AND contype = 'p'"  # noqa: S608 (of ours)
        constraints = run(keys).fetchall()
        for name, _ in constraints:
            run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        other = f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = '{table}'"  # noqa: S608 (of ours)
        indexes = run(other).fetchall()
        for name, _ in indexes:
            run(f"DROP INDEX {name}")
        _repeat(run, table, columns, times)
        for name, made in constraints:
            run(f"ALTER TABLE {table} ADD CONSTRAINT {name} {made}")
        for _, made in indexes:
            run(made)
    run("VACUUM ANALYZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True, help="the URL of the database, as APOTHECARY_DATABASE has it")
    parser.add_argument("--times", type=int, default=10, help="how often each resource is there afterwards")
    options = parser.parse_args()
    multiply(options.database, options.times)


if __name__ == "__main__":
    main()
