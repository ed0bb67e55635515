"""The tables come from the migrations or from the server itself, and are the same; tables of others are refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from apothecary.cli import main
from apothecary.errors import SchemaError, StartError
from apothecary.settings import Settings
from apothecary.store import schema, tables
from apothecary.store.migrate import migrate, stamp, usable_from
from apothecary.store.open import open_store
from tests.waiting import until

ROOT = Path(__file__).parent.parent.parent

# What `compare_metadata` does not look at: collations, the order of key columns, what SQLite keeps as text.
CATALOGUE = {
    # Of a table that got another column later its statement tells in other words.
    "sqlite": [
        "SELECT type, name, tbl_name, CASE WHEN name <> 'resource' THEN sql END FROM sqlite_master"
        " WHERE tbl_name <> 'alembic_version' ORDER BY 1, 2",
        "SELECT * FROM pragma_table_xinfo('resource')",
    ],
    "postgresql": [
        "SELECT table_name, ordinal_position, column_name, data_type, collation_name, is_nullable, column_default,"
        " col_description(table_name::regclass, ordinal_position::int) FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT relname, obj_description(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    ],
}


def rows(url: str, *statements: str) -> list[list[tuple[Any, ...]]]:
    """What each statement gives, in one transaction."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        results = [connection.execute(text(one)) for one in statements]
        return [[_plain(row) for row in result] if result.returns_rows else [] for result in results]


def _plain(row: Any) -> tuple[Any, ...]:
    """A row, with white space that means nothing made even: SQLite keeps the text of each statement."""
    return tuple(" ".join(value.split()) if isinstance(value, str) else value for value in row)


def catalogue(url: str) -> list[list[tuple[Any, ...]]]:
    return rows(url, *CATALOGUE[url.partition(":")[0].partition("+")[0]])


def set_stamp(url: str, revision: str, usable_from: str | None = None) -> None:
    """Make the tables those of another revision, which code from `usable_from` on can use."""
    told = [f"INSERT INTO state (name, value) VALUES ('{schema.USABLE}', '{usable_from}')"] if usable_from else []
    forget = f"DELETE FROM state WHERE name = '{schema.USABLE}'"
    rows(url, f"UPDATE alembic_version SET version_num = '{revision}'", forget, *told)


def empty(url: str) -> None:
    words = ["index_text_words", "concept_words", "spelling_parts"] if url.startswith("sqlite") else []
    for table in [*words, "index_text", "spelling", *reversed(tables.metadata.sorted_tables), "alembic_version"]:
        rows(url, f"DROP TABLE {table}")


def of_metadata(_item: Any, name: str | None, *_: Any) -> bool:
    """Full text has tables that each database makes its own way, and one index of each table is for PostgreSQL only;
    the catalogues are compared for them.
    """
    own = (name or "").startswith(("index_text", "concept_words", "spelling"))
    return not own and not (name or "").endswith(f"_{tables.OF_RESOURCE}")


def test_the_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    assert migrate(Settings(database=database_url)) == (None, schema.REVISION)
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": of_metadata})
        assert compare_metadata(context, tables.metadata) == []


def test_a_server_makes_the_same_tables_in_an_empty_database_as_the_migrations_do(database_url: str) -> None:
    migrate(Settings(database=database_url))
    migrated = catalogue(database_url)
    empty(database_url)
    open_store(Settings(database=database_url)).close()
    assert catalogue(database_url) == migrated
    assert stamp(Settings(database=database_url)) == schema.REVISION


def test_the_newest_migration_is_the_revision_that_the_code_uses() -> None:
    script = ScriptDirectory(str(schema.VERSIONS.parent))
    assert script.get_heads() == [schema.REVISION]
    assert [one.revision for one in script.walk_revisions()] == schema.revisions()[::-1]


def test_a_second_migration_changes_nothing(database_url: str) -> None:
    settings = Settings(database=database_url)
    open_store(settings).close()
    assert migrate(settings) == (schema.REVISION, schema.REVISION)


def test_downgrading_leaves_nothing_behind(database_url: str) -> None:
    from alembic import command

    from apothecary.store.migrate import _config

    migrate(Settings(database=database_url))
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        command.downgrade(_config(connection), "base")
        connection.commit()
        assert engine.dialect.get_table_names(connection) == ["alembic_version"]


@pytest.mark.parametrize(
    ("revision", "said"),
    [("0000", "run `apothecary migrate`"), ("9999", "a newer version has migrated it")],
)
def test_a_server_refuses_tables_of_another_revision(
    database_url: str, revision: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database=database_url)
    open_store(settings).close()
    set_stamp(database_url, revision)
    monkeypatch.setattr(schema, "revisions", lambda: ["0000", schema.REVISION])
    with pytest.raises(SchemaError, match=said):
        open_store(settings)


@pytest.mark.parametrize("usable_from", [None, "9998", "9999"])
def test_a_server_refuses_newer_tables_that_its_code_cannot_use(database_url: str, usable_from: str | None) -> None:
    settings = Settings(database=database_url)
    open_store(settings).close()
    set_stamp(database_url, "9999", usable_from)
    with pytest.raises(SchemaError, match="a newer version has migrated it"):
        open_store(settings)
    with pytest.raises(SchemaError, match="a newer version has migrated it"):
        migrate(settings)


def test_a_server_goes_on_with_newer_tables_that_only_add_to_its_own(database_url: str) -> None:
    settings = Settings(database=database_url)
    open_store(settings).close()
    set_stamp(database_url, "9999", schema.REVISION)
    store = open_store(settings)
    store.write(lambda transaction: transaction.set_state("x", "y"))
    store.close()
    assert migrate(settings) == ("9999", "9999")
    assert run("migrate", "--check", f"--database={database_url}") == (0, "at revision 9999\n")


def test_the_tables_say_which_versions_can_use_them_whoever_made_them(database_url: str) -> None:
    open_store(Settings(database=database_url)).close()
    made = usable_from(Settings(database=database_url))
    empty(database_url)
    migrate(Settings(database=database_url))
    assert usable_from(Settings(database=database_url)) == made == schema.USABLE_FROM


def test_two_that_migrate_at_the_same_time_take_turns(database_url: str) -> None:
    older(database_url)
    command = [sys.executable, "-m", "apothecary", "migrate", f"--database={database_url}"]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    open_store(Settings(database=database_url)).close()


def older(url: str, revision: str = schema.revisions()[-2]) -> None:
    """Make the tables of a revision, by itself the one before the newest."""
    from alembic import command

    from apothecary.store.migrate import _config

    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        command.upgrade(_config(connection), revision)
        connection.commit()


def lower(url: str, revision: str) -> None:
    """Take the newer migrations back."""
    from alembic import command

    from apothecary.store.migrate import _config

    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        command.downgrade(_config(connection), revision)
        connection.commit()


def test_servers_read_and_write_while_an_index_is_built(postgresql_database_url: str) -> None:
    """A transaction that is open on the table would hold up a plain CREATE INDEX, and whoever writes after it."""
    url = postgresql_database_url
    older(url, "0001")
    one = ("INSERT INTO version VALUES ('A', '{}', 1, 0, 'R5', 'PUT', NULL)").format
    engine = create_engine(url, poolclass=NullPool)
    with ThreadPoolExecutor(1) as pool, engine.connect() as connection:
        connection.execute(text("INSERT INTO resource VALUES ('A', '1', 1, 0, 'R5', false, NULL)"))
        migrating = pool.submit(migrate, Settings(database=url))
        building = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"
        )
        assert until(lambda: rows(url, building) == [[(1,)]] or migrating.done())
        assert not migrating.done()
        # Others write meanwhile.
        rows(
            url,
            "SET statement_timeout = '60s'",
            "INSERT INTO resource VALUES ('A', '2', 1, 0, 'R5', false, NULL)",
            one(2),
        )
        connection.commit()
        assert migrating.result()[1] == schema.REVISION
    assert rows(url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [[(0,)]]


def test_a_build_that_was_broken_off_is_begun_anew(postgresql_database_url: str) -> None:
    url = postgresql_database_url
    older(url, "0001")
    rows(url, "CREATE INDEX resource_deleted ON resource (type) WHERE deleted")
    rows(url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'resource_deleted'::regclass")
    migrate(Settings(database=url))
    assert rows(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'resource_deleted'::regclass") == [[(True,)]]


def test_a_migration_that_waits_for_a_table_lets_others_to_it(
    postgresql_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for a table after one who waits for all of it would wait, too."""
    url, tries = postgresql_database_url, []
    monkeypatch.setattr("apothecary.store.migrate.ATTEMPTS", 2)
    # Not the sleep of the whole process, in which threads of other tests may sleep.
    monkeypatch.setattr("apothecary.store.migrate.time", SimpleNamespace(sleep=tries.append))
    older(url)

    def wants_the_table(*_: Any) -> None:
        with create_engine(url, poolclass=NullPool).connect() as other:
            other.execute(text("SET lock_timeout = '10ms'"))
            other.execute(text("ALTER TABLE resource ADD COLUMN more TEXT"))

    monkeypatch.setattr("apothecary.store.migrate.command.upgrade", wants_the_table)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as reader:
        reader.execute(text("SELECT * FROM resource"))
        with pytest.raises(SchemaError, match="lock timeout"):
            migrate(Settings(database=url))
    assert len(tries) == 1


def test_a_server_refuses_tables_that_it_did_not_make(database_url: str) -> None:
    rows(database_url, "CREATE TABLE resource (id TEXT)")
    with pytest.raises(SchemaError, match="name an empty database"):
        open_store(Settings(database=database_url))
    with pytest.raises(SchemaError, match="name an empty database"):
        migrate(Settings(database=database_url))


def test_a_migration_that_fails_leaves_the_database_as_it_was(database_url: str) -> None:
    # The last table's name is taken, so every statement before it must be undone.
    rows(database_url, "CREATE TABLE index_uri (id TEXT)")
    before = catalogue(database_url)
    with pytest.raises(SchemaError, match="nothing of it was kept"):
        migrate(Settings(database=database_url))
    assert catalogue(database_url) == before


def test_a_database_that_does_not_answer_stops_the_migration() -> None:
    with pytest.raises(StartError, match="Connection refused"):
        migrate(Settings(database="postgresql+psycopg://nobody@127.0.0.1:1/nothing"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_the_command_migrates_and_checks(database_url: str) -> None:
    option = f"--database={database_url}"
    assert run("migrate", "--check", option) == (1, f"at nothing; {schema.REVISION} is wanted\n")
    assert run("migrate", option) == (0, f"from nothing to {schema.REVISION}\n")
    assert run("migrate", "--check", option) == (0, f"at revision {schema.REVISION}\n")
    assert run("migrate", option) == (0, f"at revision {schema.REVISION} already\n")
    set_stamp(database_url, "9999")
    for words in (("migrate", option), ("migrate", "--check", option), ("serve", option)):
        status, said = run(*words)
        assert (status, "which this Apothecary" in said) == (2, True)


START = """
import sys, time
from apothecary.settings import Settings
from apothecary.content.sync import sync
from apothecary.app import create_app
from apothecary.store.open import open_store
settings = Settings(database=sys.argv[1], content=sys.argv[2])
time.sleep(max(0.0, float(sys.argv[3]) - time.time()))
store = open_store(settings)
report = sync(settings, store)
app = create_app(settings, store)
print(report.created, app.service.secret.hex())
store.close()
"""


@pytest.mark.slow
def test_servers_that_start_together_on_one_empty_database_all_come_up(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "Substance").mkdir()
    for number in range(20):
        code = {"concept": {"text": "x"}}
        resource = {"resourceType": "Substance", "id": f"s{number}", "instance": False, "code": code}
        (tmp_path / "Substance" / f"s{number}.json").write_text(json.dumps(resource))
    command = [sys.executable, "-c", START, database_url, str(tmp_path), str(time.time() + 2)]
    servers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [server.communicate()[0].split() for server in servers]
    assert [server.returncode for server in servers] == [0] * 4
    # One of them made the resources, and all sign page links with one key.
    assert sorted(int(created) for created, _ in said) == [0, 0, 0, 20]
    assert len({secret for _, secret in said}) == 1
    assert rows(database_url, "SELECT count(*), max(version) FROM resource") == [[(20, 1)]]


@pytest.mark.slow
def test_an_ordinary_start_does_not_load_alembic(sqlite_database_url: str) -> None:
    program = (
        "import sys; from apothecary.settings import Settings; from apothecary.app import create_app;"
        f"create_app(Settings(database={sqlite_database_url!r}, content='')); print('alembic' in sys.modules)"
    )
    for _ in range(2):
        answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        assert answer.stdout == "False\n"
