"""A migration adds to the tables that servers of the version before are using; what it takes away, they did without.

The rule is in docs/contributing.md; https://www.postgresql.org/docs/current/sql-altertable.html says what is harmless.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Engine

from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.migrate import migrate

# What others can go on beside. A column is added empty, or with a value for all: neither writes the table anew.
HARMLESS = (
    r"CREATE TABLE ",
    r"CREATE (UNIQUE )?INDEX CONCURRENTLY ",
    r"ALTER TABLE \w+ ADD COLUMN (IF NOT EXISTS )?\w+ [A-Z]+( COLLATE \"?\w+\"?)?$",
    r"ALTER TABLE \w+ ADD COLUMN (IF NOT EXISTS )?\w+ [A-Z]+( COLLATE \"?\w+\"?)? DEFAULT ('[^']*'|-?\w+)( NOT NULL)?$",
    r"ALTER TABLE \w+ ADD CONSTRAINT .* NOT VALID$",
    r"ALTER TABLE \w+ VALIDATE CONSTRAINT ",
    # It says how the index is made anew one day, and holds up nobody who reads or writes meanwhile.
    r"ALTER INDEX \w+ SET \(fillfactor = \d+\)$",
    r"COMMENT ON ",
    r"(INSERT INTO|UPDATE|DELETE FROM) (alembic_version|state) ",
    r"(SELECT|SHOW|SET|BEGIN|COMMIT|LOCK TABLE alembic_version) ?",
)


def disturbing(statements: list[str]) -> list[str]:
    """The statements that would hold others up, or take something from them.

    Whatever is done to a table that the same statements make disturbs nobody.
    """
    own = {found[1] for one in statements if (found := re.match(r"CREATE TABLE (\w+)", one))}
    return [
        one
        for one in statements
        if not any(re.match(pattern, one, re.IGNORECASE) for pattern in HARMLESS)
        and not ((found := re.match(r"(?:CREATE (?:UNIQUE )?INDEX \w+ ON|ALTER TABLE) (\w+)", one)) and found[1] in own)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE vocabulary",
        "DROP INDEX resource_updated",
        "ALTER TABLE resource DROP COLUMN deleted",
        "ALTER TABLE resource RENAME COLUMN deleted TO gone",
        "ALTER TABLE resource RENAME TO resources",
        "ALTER TABLE resource ALTER COLUMN version TYPE BIGINT",
        "ALTER TABLE resource ALTER COLUMN body SET NOT NULL",
        "ALTER TABLE resource ADD COLUMN size INTEGER NOT NULL",
        "ALTER TABLE resource ADD COLUMN size INTEGER DEFAULT random()",
        "ALTER TABLE resource ADD CONSTRAINT small CHECK (version < 9)",
        "CREATE INDEX resource_version ON resource (version)",
        "UPDATE resource SET version = 1",
        "LOCK TABLE resource IN EXCLUSIVE MODE",
        "TRUNCATE resource",
    ],
)
def test_what_would_disturb_a_server_is_noticed(statement: str) -> None:
    assert disturbing([statement]) == [statement]


def test_what_adds_is_let_through() -> None:
    statements = [
        "ALTER TABLE resource ADD COLUMN size INTEGER",
        "ALTER TABLE resource ADD COLUMN size INTEGER DEFAULT 0 NOT NULL",
        "ALTER TABLE resource ADD COLUMN author TEXT COLLATE \"C\" DEFAULT '' NOT NULL",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS resource_size ON resource (size)",
        "CREATE TABLE more ( id TEXT )",
        "CREATE INDEX more_id ON more (id)",
        "ALTER TABLE more ADD PRIMARY KEY (id)",
    ]
    assert disturbing(statements) == []


def test_every_migration_only_adds_to_what_servers_use(postgresql_database_url: str) -> None:
    """A later one may take away what no code from its `usable_from` on uses: it must say which, in `contracts`."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        migrate(Settings(database=postgresql_database_url))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any(one.startswith("CREATE INDEX CONCURRENTLY") for one in sent)
    contracts = {one for script in scripts() for one in getattr(script.module, "contracts", ())}
    assert [one for one in disturbing(sent) if one not in contracts] == []


def scripts() -> list[Any]:
    """The migrations, the oldest first."""
    return list(ScriptDirectory(str(schema.VERSIONS.parent)).walk_revisions())[::-1]


# Migrations that shut out the revision before, which no release has.
BEFORE_THE_FIRST_RELEASE = {"0010"}


def test_every_migration_leaves_the_code_of_the_revision_before_at_work() -> None:
    """Whatever else it says: who serves while it runs is of the revision before."""
    oldest = ""
    for script in scripts():
        usable_from = script.module.usable_from
        alone = script.revision in BEFORE_THE_FIRST_RELEASE
        assert oldest <= usable_from <= (script.revision if alone else script.down_revision or script.revision)
        if not getattr(script.module, "contracts", ()):
            assert usable_from == (oldest or script.revision), "what adds shuts nobody out"
        oldest = usable_from
    assert oldest == schema.USABLE_FROM


def test_revisions_are_numbers_that_grow() -> None:
    """They are compared as texts."""
    assert [script.revision for script in scripts()] == [f"{number:04}" for number in range(1, len(scripts()) + 1)]
