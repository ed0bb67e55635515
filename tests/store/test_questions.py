"""What is asked through libpq itself is answered, and fails, as what a cursor asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from apothecary.store import questions
from apothecary.store.connections import Connection
from apothecary.store.url import conninfo
from tests.waiting import until

VALUES = ("text with %, \N{SNOWMAN} and ''", 7, 40_000, 2**40, True, None, ["a", 'b"c', "{d,e}", ""])
ASKED = (
    "SELECT %s::VARCHAR, %s::INTEGER, %s::INTEGER, %s::BIGINT, %s::BOOLEAN, %s::VARCHAR, %s::VARCHAR[], "
    "'\\x00ff'::bytea, '100%%', 10 %% 3"
)
NAMES = "SELECT name FROM pg_prepared_statements"


@pytest.fixture(scope="module")
def url(postgresql_url: str) -> str:
    return conninfo(make_url(postgresql_url))


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with closing(Connection.connect(url, autocommit=True)) as made:
        yield made


def kept(connection: Connection) -> int:
    return len(connection.execute(NAMES, prepare=False).fetchall())


@pytest.mark.parametrize("keeps", [True, False])
def test_values_of_every_type_go_there_and_come_back(connection: Connection, keeps: bool) -> None:
    wanted = [(*VALUES, b"\x00\xff", "100%", 1)]
    for _ in range(3):
        assert connection.ask(ASKED, VALUES, kept=keeps) == wanted
    assert kept(connection) == int(keeps)


def test_a_number_of_another_size_is_asked_by_the_same_kept_statement(connection: Connection) -> None:
    for number in (1, 2**20, -(2**31), 5):
        assert connection.ask("SELECT %s::INTEGER + 0", [number], kept=True) == [(number,)]
    assert kept(connection) == 1


def test_what_has_no_rows_or_no_columns_is_empty(connection: Connection) -> None:
    assert connection.ask("SELECT 1 WHERE false", (), kept=False) == []
    assert connection.ask("CREATE TEMPORARY TABLE things (a int)", (), kept=False) == []


def test_the_statements_asked_longest_ago_are_not_kept(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "REMEMBERED", 3)
    for number in range(6):
        for _ in range(2):
            assert connection.ask(f"SELECT {number}", (), kept=True) == [(number,)]
        assert connection.ask("SELECT 'often'", (), kept=True) == [("often",)]
    texts = connection.execute("SELECT statement FROM pg_prepared_statements", prepare=False).fetchall()
    assert {text for (text,) in texts} == {"SELECT 'often'", "SELECT 4", "SELECT 5"}


@pytest.mark.parametrize("ends", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_statements_that_the_server_keeps_no_longer_are_asked_all_the_same(connection: Connection, ends: str) -> None:
    for _ in range(3):
        connection.ask("SELECT %s::INTEGER", [1], kept=True)
    connection.execute(ends)
    assert [connection.ask("SELECT %s::INTEGER", [1], kept=True) for _ in range(3)] == [[(1,)]] * 3
    assert kept(connection) == 1


@pytest.mark.parametrize(
    ("text", "bound", "error"),
    [
        ("SELECT 1 / %s::INTEGER", [0], psycopg.errors.DivisionByZero),
        ("SELECT FROM nothing", [], psycopg.errors.UndefinedTable),
        ("SELECT %s::VARCHAR", ["a\x00b"], psycopg.DataError),
        ("SELECT pg_sleep(600)", [], psycopg.errors.QueryCanceled),
    ],
)
@pytest.mark.parametrize("keeps", [True, False])
def test_an_error_is_the_one_that_a_cursor_raises_and_the_connection_goes_on(
    connection: Connection, text: str, bound: list[Any], error: type[psycopg.Error], keeps: bool
) -> None:
    connection.execute("SET statement_timeout = 50")
    for _ in range(3):
        with pytest.raises(error) as told:
            connection.ask(text, bound, kept=keeps)
        with pytest.raises(error) as meant:
            connection.execute(text, bound)
        assert (str(told.value), told.value.sqlstate) == (str(meant.value), meant.value.sqlstate)
        assert connection.waiting is None
    assert connection.ask("SELECT 1", (), kept=keeps) == [(1,)]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_connection_that_is_lost_is_told_from_an_error_of_the_statement(url: str, keeps: bool) -> None:
    for number in range(2):
        with closing(Connection.connect(url, autocommit=True)) as lost, psycopg.connect(url, autocommit=True) as other:
            for _ in range(2):
                lost.ask("SELECT 1", (), kept=keeps)
            if number:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", [lost.info.backend_pid])
            else:
                with socket.socket(fileno=lost.fileno()) as wire:
                    wire.shutdown(socket.SHUT_RDWR)
                    wire.detach()
            with pytest.raises(psycopg.OperationalError) as told:
                lost.ask("SELECT 1", (), kept=keeps)
            assert told.value.sqlstate in (None, "57P01")
            assert lost.closed


def test_a_wait_for_an_answer_is_seen_and_can_be_ended_by_another_thread(connection: Connection) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connection.ask, "SELECT pg_sleep(600)", (), kept=False)
        assert until(lambda: connection.waiting is not None)
        since = connection.waiting
        assert since is not None
        assert until(lambda: connection.cut(since) or waiting.done())
        with pytest.raises(psycopg.OperationalError):
            waiting.result()
    assert connection.closed
