"""What is asked through libpq itself is answered, and fails, as what a cursor asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from apothecary.store import questions
from apothecary.store.connections import Connection
from apothecary.store.postgresql_transaction import BEGIN
from apothecary.store.questions import SYNC, Asked
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
        assert connection.ask(Asked(ASKED, VALUES, kept=keeps)) == wanted
    assert kept(connection) == int(keeps)


def test_a_number_of_another_size_is_asked_by_the_same_kept_statement(connection: Connection) -> None:
    for number in (1, 2**20, -(2**31), 5):
        assert connection.ask(Asked("SELECT %s::INTEGER + 0", [number], kept=True)) == [(number,)]
    assert kept(connection) == 1


def test_what_has_no_rows_or_no_columns_is_empty(connection: Connection) -> None:
    assert connection.ask(Asked("SELECT 1 WHERE false", (), kept=False)) == []
    assert connection.ask(Asked("CREATE TEMPORARY TABLE things (a int)", (), kept=False)) == []


def test_the_statements_asked_longest_ago_are_not_kept(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "REMEMBERED", 3)
    for number in range(6):
        for _ in range(2):
            assert connection.ask(Asked(f"SELECT {number}", (), kept=True)) == [(number,)]
        assert connection.ask(Asked("SELECT 'often'", (), kept=True)) == [("often",)]
    texts = connection.execute("SELECT statement FROM pg_prepared_statements", prepare=False).fetchall()
    assert {text for (text,) in texts} == {"SELECT 'often'", "SELECT 4", "SELECT 5"}


@pytest.mark.parametrize("ends", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_statements_that_the_server_keeps_no_longer_are_asked_all_the_same(connection: Connection, ends: str) -> None:
    for _ in range(3):
        connection.ask(Asked("SELECT %s::INTEGER", [1], kept=True))
    connection.execute(ends)
    assert [connection.ask(Asked("SELECT %s::INTEGER", [1], kept=True)) for _ in range(3)] == [[(1,)]] * 3
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
            connection.ask(Asked(text, bound, kept=keeps))
        with pytest.raises(error) as meant:
            connection.execute(text, bound)
        assert (str(told.value), told.value.sqlstate) == (str(meant.value), meant.value.sqlstate)
        assert connection.waiting is None
    assert connection.ask(Asked("SELECT 1", (), kept=keeps)) == [(1,)]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_connection_that_is_lost_is_told_from_an_error_of_the_statement(url: str, keeps: bool) -> None:
    for number in range(2):
        with closing(Connection.connect(url, autocommit=True)) as lost, psycopg.connect(url, autocommit=True) as other:
            for _ in range(2):
                lost.ask(Asked("SELECT 1", (), kept=keeps))
            if number:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", [lost.info.backend_pid])
            else:
                with socket.socket(fileno=lost.fileno()) as wire:
                    wire.shutdown(socket.SHUT_RDWR)
                    wire.detach()
            with pytest.raises(psycopg.OperationalError) as told:
                lost.ask(Asked("SELECT 1", (), kept=keeps))
            assert told.value.sqlstate in (None, "57P01")
            assert lost.closed


def test_a_wait_for_an_answer_is_seen_and_can_be_ended_by_another_thread(connection: Connection) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connection.ask, Asked("SELECT pg_sleep(600)", (), kept=False))
        assert until(lambda: connection.waiting is not None)
        since = connection.waiting
        assert since is not None

        def ended() -> bool:
            connection.cut(since)
            return waiting.done()

        assert until(ended)
        with pytest.raises(psycopg.OperationalError):
            waiting.result()
    assert connection.closed


def test_many_are_answered_in_order_and_kept_from_their_second_time_on(connection: Connection) -> None:
    connection.execute("CREATE TEMPORARY TABLE things (a int, b bytea)")
    insert = "INSERT INTO things VALUES (%s::INTEGER, %s::BYTEA)"
    some = [Asked(insert, (number, bytes([number, 0, 255]))) for number in range(4)]
    asked = [*some, Asked("SELECT a, b FROM things ORDER BY a"), Asked("DELETE FROM things WHERE a > 1")]
    for _ in range(2):
        *inserted, found, deleted = connection.ask_all([*asked, Asked("DELETE FROM things")])[:-1]
        assert [one.rowcount for one in inserted] == [1] * 4
        assert found.fetchall() == [(number, bytes([number, 0, 255])) for number in range(4)]
        assert found.fetchone() == (0, b"\x00\x00\xff")
        assert (deleted.rows, deleted.fetchone(), deleted.rowcount) == ([], None, 2)
    assert kept(connection) == 4
    assert connection.ask_all([]) == []


def test_what_stands_before_a_sync_is_a_transaction_of_its_own(connection: Connection) -> None:
    connection.execute("CREATE TEMPORARY TABLE things (a int)")
    insert = "INSERT INTO things VALUES (%s::INTEGER)"
    wrong = Asked("SELECT 1 / %s::INTEGER", [0])
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.ask_all([Asked(insert, [1]), SYNC, Asked(insert, [2]), wrong, Asked(insert, [3])])
    assert connection.ask(Asked("SELECT a FROM things")) == [(1,)]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_was_to_be_kept_behind_an_error_is_asked_all_the_same(connection: Connection, times: int) -> None:
    good, wrong = Asked("SELECT %s::INTEGER", [1]), Asked("SELECT 1 / %s::INTEGER", [0])
    for _ in range(times):
        for some in ([wrong, good, good], [good, wrong, Asked("SELECT 2"), Asked("SELECT 2")]):
            with pytest.raises(psycopg.errors.DivisionByZero):
                connection.ask_all([Asked(BEGIN), *some])
            connection.roll_back()
    assert [one.rows for one in connection.ask_all([good, good, Asked("SELECT 2")])] == [[(1,)], [(1,)], [(2,)]]
    assert kept(connection) > 0


def test_a_value_that_cannot_be_sent_leaves_the_connection_as_it_was(connection: Connection) -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        connection.ask_all([Asked(BEGIN), Asked("SELECT %s::VARCHAR", ["a\x00b"])])
    assert connection.ask_all([Asked("SELECT 1")])[0].rows == [(1,)]


def test_statements_that_were_let_go_by_somebody_are_kept_anew_the_next_time(connection: Connection) -> None:
    good = Asked("SELECT %s::INTEGER", [1])
    connection.ask_all([good, good])
    connection.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        connection.ask_all([good])
    assert [one.rows for one in connection.ask_all([good, good, good])] == [[(1,)]] * 3


def test_large_questions_and_large_answers_at_once_wait_for_nothing(connection: Connection) -> None:
    large = b"x" * 4_000_000
    some = [Asked("SELECT %s::BYTEA", [large]) for _ in range(5)]
    assert [one.rows == [(large,)] for one in connection.ask_all(some)] == [True] * 5


def test_many_over_a_connection_that_is_lost_are_an_error_of_it(url: str) -> None:
    with closing(Connection.connect(url, autocommit=True)) as lost, psycopg.connect(url, autocommit=True) as other:
        lost.ask_all([Asked(BEGIN), Asked("SELECT 1")])
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [lost.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            lost.ask_all([Asked("SELECT 1"), SYNC, Asked("SELECT 2")])
        with suppress(psycopg.Error):
            lost.roll_back()
        assert lost.closed
