"""What is wrong with a database is told in one line, without a password; Ctrl-C ends a statement."""

from __future__ import annotations

import signal
import sqlite3
import threading
from _thread import interrupt_main
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from apothecary.errors import Busy, StartError
from apothecary.settings import Settings
from apothecary.store.faults import told
from apothecary.store.open import opened
from apothecary.store.postgresql import await_server
from apothecary.store.statements import Statement
from apothecary.store.url import shown, without_password

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("first line\n\tsecond line"),
        psycopg.OperationalError("first line\n\tsecond line"),
        DBAPIError("SELECT 1", {}, sqlite3.OperationalError("first line\n\tsecond line")),
        Busy("first line\n\tsecond line"),
    ],
)
def test_a_fault_of_any_layer_becomes_one_line_that_names_the_database(error: Exception) -> None:
    with pytest.raises(StartError) as caught, told(make_url("postgresql://u:hunter2@h/db?password=hunter2")):
        raise error
    assert str(caught.value) == "postgresql://u:***@h/db: first line second line"


def test_an_error_of_another_kind_is_left_as_it_is() -> None:
    with pytest.raises(KeyError), told(make_url("sqlite:///x.db")):
        raise KeyError("a fault of ours")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///a/b.db", "a/b.db"),
        ("postgresql+psycopg://u:hunter2@h:1/db?sslmode=disable", "postgresql+psycopg://u:***@h:1/db"),
    ],
)
def test_a_database_is_named_without_its_password(url: str, name: str) -> None:
    assert shown(make_url(url)) == name


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("postgresql://u:hunter2@h:p/db", "postgresql://***@h:p/db"),
        ("postgresql://u:hunter2@x@h:p/db", "postgresql://***@h:p/db"),
        ("postgresql:hunter2@h", "postgresql:***@h"),
        ("u:hunter2@h", "u:***@h"),
        ("hunter2@h", "***@h"),
        ("postgresql://h:p/db?user=u&password=hunter2", "postgresql://h:p/db?***"),
        ("postgresql://h:p/db?password=hunter2@x", "postgresql://***@x"),
        ("file.db", "file.db"),
    ],
)
def test_text_that_is_no_url_is_shown_without_what_may_be_a_password(given: str, left: str) -> None:
    assert without_password(given) == left


def test_a_server_that_does_not_answer_is_given_up_with_its_reason() -> None:
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        await_server("postgresql://u@127.0.0.1:1/db", seconds=0)


def test_a_server_that_refuses_is_not_asked_again(postgresql_url: str) -> None:
    wrong = postgresql_url.replace("+psycopg", "").rpartition("/")[0] + "/none"
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        await_server(wrong, seconds=10**9)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C counts, also where what started the tests had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_statement_that_would_not_end(sqlite_database_url: str) -> None:
    settings = Settings(database=sqlite_database_url, request_seconds=3600)
    threading.Timer(1, interrupt_main).start()
    with pytest.raises(KeyboardInterrupt), opened(settings) as store:
        store.rows(Statement(FOREVER, (), {}), ())
