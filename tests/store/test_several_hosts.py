"""A database with several servers is named as SQLAlchemy or as libpq does it, and means the same to every command."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.migrate import stamp
from apothecary.store.open import open_store
from apothecary.store.url import conninfo, database_url


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://u@one/name", "one", None),
        ("postgresql+psycopg://u@one,two,three/name?target_session_attrs=read-write", "one,two,three", None),
        ("postgresql+psycopg://u@/name?host=one:1&host=two:2", "one,two", "1,2"),
        ("postgresql+psycopg://u@/name?host=one,two&port=1,2", "one,two", "1,2"),
        ("postgresql+psycopg://u@/name?host=/run/postgresql", "/run/postgresql", None),
    ],
)
def test_hosts_are_those_of_the_url(url: str, hosts: str, ports: str | None) -> None:
    given = conninfo_to_dict(conninfo(database_url(url)))
    assert (given["host"], given.get("port"), given["user"], given["dbname"]) == (hosts, ports, "u", "name")


@pytest.mark.parametrize("secret", ["plain", "p@ss:/?#[]%", "a 'quoted\\' one"])
def test_a_password_and_a_parameter_arrive_as_they_are(secret: str) -> None:
    url = make_url("postgresql://one/name?sslmode=verify-full").set(username="u", password=secret)
    given = conninfo_to_dict(conninfo(url))
    assert (given["password"], given["sslmode"]) == (secret, "verify-full")


def test_the_server_that_takes_writes_is_found_among_others(postgresql_database_url: str) -> None:
    url = make_url(postgresql_database_url)
    several = f"postgresql+psycopg://{url.username}@/{url.database}?host=127.0.0.1:1&host={url.host}:{url.port}"
    store = open_store(Settings(database=f"{several}&target_session_attrs=read-write", content=""))
    store.close()
    assert stamp(Settings(database=several)) == schema.REVISION
