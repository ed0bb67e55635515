"""PostgreSQL's planner knows the tables when a server starts, wherever they come from."""

from __future__ import annotations

import psycopg
import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.parameters import Registry
from apothecary.settings import Settings
from apothecary.store import postgresql, schema
from apothecary.store.contract import Stored
from apothecary.store.open import open_store

REGISTRY = Registry(FhirVersion.R5, ("Organization",))


@pytest.fixture
def connection(postgresql_database_url: str) -> psycopg.Connection[tuple[str]]:
    """To a database with some resources, of which the planner knows nothing."""
    store = open_store(Settings(database=postgresql_database_url))
    with store.transaction() as transaction:
        for number in range(50):
            resource = {"resourceType": "Organization", "id": f"o{number}", "name": f"Name {number}", "active": True}
            stored = Stored("Organization", f"o{number}", 1, 1000, "R5", dumps(resource))
            transaction.write(stored, "PUT", REGISTRY.rows(resource))
    store.close()
    made = psycopg.connect(postgresql_database_url.replace("+psycopg", ""), autocommit=True)
    made.execute("DELETE FROM pg_statistic")
    return made


def unknown(connection: psycopg.Connection[tuple[str]]) -> set[str]:
    return {name for (name,) in connection.execute(postgresql._UNKNOWN, [list(schema.TABLES)])}


def test_what_the_planner_does_not_know_is_looked_at_when_a_server_starts(
    postgresql_database_url: str, connection: psycopg.Connection[tuple[str]]
) -> None:
    with connection:
        assert {"resource", "index_token", "index_string", "index_text", "spelling"} <= unknown(connection)
        open_store(Settings(database=postgresql_database_url)).close()
        assert unknown(connection) == set()
        connection.execute("DELETE FROM pg_statistic WHERE starelid = 'index_token'::regclass")
        assert unknown(connection) == {"index_token"}, "some are known, and others are not"
        open_store(Settings(database=postgresql_database_url)).close()
        assert unknown(connection) == set()


def test_every_table_is_one_that_is_backed_up_and_known(connection: psycopg.Connection[tuple[str]]) -> None:
    with connection:
        made = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        assert {name for (name,) in made} == set(schema.TABLES)
