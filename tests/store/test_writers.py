"""Writers stand in one line, are committed together, and each has its own outcome."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import pytest

from apothecary.errors import Busy, Conflict
from apothecary.settings import Settings
from apothecary.store import writers
from apothecary.store.contract import Transaction
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore
from apothecary.store.sqlite import SqliteStore
from apothecary.store.writers import Job, Line, own_time
from tests.waiting import PATIENCE, until

MANY = 20


def noting(name: str) -> Callable[[Transaction], str]:
    """Work that leaves a mark, and gives its name."""

    def work(transaction: Transaction) -> str:
        transaction.set_state(name, "done")
        return name

    return work


def failing(name: str, error: Exception) -> Callable[[Transaction], str]:
    """The same, and then it fails."""

    def work(transaction: Transaction) -> str:
        transaction.set_state(name, "half done")
        raise error

    return work


@pytest.fixture
def store(sqlite_database_url: str) -> Iterator[SqliteStore]:
    opened = cast("SqliteStore", open_store(Settings(database=sqlite_database_url)))
    yield opened
    opened.close()


@pytest.fixture
def commits(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each commit."""
    counted: list[int] = []
    commit = store._writers._commit

    def counting(connection: sqlite3.Connection) -> None:
        counted.append(1)
        commit(connection)

    monkeypatch.setattr(store._writers, "_commit", counting)
    return counted


class Lined:
    """Writers in line behind one that goes on when the block ends."""

    def __init__(self, store: SqliteStore, pool: ThreadPoolExecutor) -> None:
        self._store, self._pool = store, pool
        self.futures: list[Future[Any]] = []

    def add(self, work: Callable[[Transaction], Any], *, brief: bool = True) -> Future[Any]:
        """One more, who stands in line when this returns."""
        return self.ask(lambda: self._store.write(work, brief=brief))

    def ask(self, asking: Callable[[], Any]) -> Future[Any]:
        """The same of somebody who does more than to write."""
        length = self._store._writers._line.length
        made = self._pool.submit(asking)
        self.futures.append(made)
        assert until(lambda: self._store._writers._line.length > length)
        return made

    def outcomes(self) -> list[Any]:
        """What became of each: what it gave, or what it raised."""
        return [one.exception(PATIENCE) or one.result() for one in self.futures]


@contextmanager
def lined_up(store: SqliteStore, *, brief: bool = True) -> Iterator[Lined]:
    goes_on, inside = threading.Event(), threading.Event()

    def first(transaction: Transaction) -> str:
        transaction.set_state("first", "done")
        inside.set()
        assert goes_on.wait(PATIENCE)
        return "first"

    with ThreadPoolExecutor(2 * MANY) as pool:
        held = pool.submit(store.write, first, brief=brief)
        assert inside.wait(PATIENCE)
        lined = Lined(store, pool)
        try:
            yield lined
        finally:
            goes_on.set()
        assert held.result(PATIENCE) == "first"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group takes in whoever comes, however slow the machine is."""
    monkeypatch.setattr(writers, "LONGEST", PATIENCE)


# -- the line


@pytest.mark.parametrize("width", [1, 3])
def test_a_line_lets_in_as_they_came_and_no_more_than_its_width(width: int) -> None:
    line, order = Line(width), list[int]()
    for _ in range(width):
        assert line.enter()

    def wait(number: int) -> None:
        assert line.enter(PATIENCE)
        order.append(number)

    with ThreadPoolExecutor(MANY) as pool:
        for number in range(MANY):
            pool.submit(wait, number)
            assert until(lambda number=number: line.length == number + 1)  # type: ignore[misc] # bound at once
        assert order == []
        for number in range(MANY):
            line.leave()
            assert until(lambda number=number: len(order) == number + 1)  # type: ignore[misc] # bound at once
    assert order == list(range(MANY))
    assert line.length == 0


def test_who_waited_long_enough_leaves_the_line_and_holds_up_nobody() -> None:
    line = Line(1)
    assert line.enter()
    assert not line.enter(0.01)
    with pytest.raises(Busy, match="busy"), line.turn(0.01):
        pytest.fail("it was not its turn")
    line.leave()
    with line.turn(0.01):
        assert not line.enter(0)
    assert line.enter(0)


# -- the group


def test_who_comes_while_another_writes_is_committed_together_with_the_others(
    store: SqliteStore, commits: list[int]
) -> None:
    names = [f"state {number}" for number in range(MANY)]
    with lined_up(store) as lined:
        for name in names:
            lined.add(noting(name))
    assert lined.outcomes() == names
    assert len(commits) == 1
    assert {store.state(name) for name in [*names, "first"]} == {"done"}


def test_a_lone_writer_commits_at_once_and_makes_no_savepoint(store: SqliteStore, commits: list[int]) -> None:
    said: list[str] = []
    with store._connection() as connection:
        connection.set_trace_callback(said.append)
    for number in range(3):
        store.write(noting(f"state {number}"), brief=True)
    assert len(commits) == 3
    assert [one for one in said if "SAVEPOINT" in one] == []


def test_whose_work_fails_undoes_that_alone_and_is_told_why(store: SqliteStore, commits: list[int]) -> None:
    errors = {number: Conflict(f"number {number}") for number in (0, 3, MANY - 1)}
    with lined_up(store) as lined:
        for number in range(MANY):
            name = f"state {number}"
            lined.add(failing(name, errors[number]) if number in errors else noting(name))
    assert lined.outcomes() == [errors.get(number, f"state {number}") for number in range(MANY)]
    assert len(commits) == 1
    assert [number for number in range(MANY) if store.state(f"state {number}") is None] == list(errors)


def test_where_the_first_fails_the_others_go_on(store: SqliteStore) -> None:
    inside = threading.Event()

    def first(transaction: Transaction) -> None:
        transaction.set_state("first", "half done")
        inside.set()
        assert until(lambda: store._writers._line.length == 2)
        raise Conflict("no")

    with ThreadPoolExecutor(3) as pool:
        held = pool.submit(store.write, first, brief=True)
        assert inside.wait(PATIENCE)
        others = [pool.submit(store.write, noting(name), brief=True) for name in ("a", "b")]
        assert isinstance(held.exception(PATIENCE), Conflict)
        assert [one.result(PATIENCE) for one in others] == ["a", "b"]
    assert (store.state("first"), store.state("a"), store.state("b")) == (None, "done", "done")


def test_each_sees_what_those_before_it_wrote_and_readers_see_nothing_of_it_yet(store: SqliteStore) -> None:
    def last(transaction: Transaction) -> tuple[str | None, str | None]:
        return transaction.state("a"), store.state("a")

    with lined_up(store) as lined:
        lined.add(noting("a"))
        seen = lined.add(last)
    assert seen.result(PATIENCE) == ("done", None)
    assert store.state("a") == "done"


def test_nobody_returns_before_the_commit_that_holds_its_work(store: SqliteStore) -> None:
    with lined_up(store) as lined:
        early = lined.add(noting("early"))

        def last(_: Transaction) -> bool:
            # Everything of `early` is done but the commit.
            return early.done() or store.state("early") is not None

        late = lined.add(last)
    assert late.result(PATIENCE) is False
    assert early.result(PATIENCE) == "early"


def test_work_that_is_not_brief_is_committed_by_itself(store: SqliteStore, commits: list[int]) -> None:
    with lined_up(store) as lined:
        lined.add(noting("a"))
        lined.add(noting("large"), brief=False)
        lined.add(noting("b"))
        lined.add(noting("c"))
    assert lined.outcomes() == ["a", "large", "b", "c"]
    assert len(commits) == 3
    with lined_up(store, brief=False) as lined:
        lined.add(noting("d"))
    assert len(commits) == 5


def test_a_group_takes_in_no_more_than_its_most(
    store: SqliteStore, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MOST", 5)
    with lined_up(store) as lined:
        for number in range(9):
            lined.add(noting(f"state {number}"))
    assert lined.outcomes() == [f"state {number}" for number in range(9)]
    assert len(commits) == 2


def test_where_a_fault_undoes_all_of_it_the_others_do_their_work_again(store: SqliteStore) -> None:
    runs: list[str] = []

    def counted(name: str) -> Callable[[Transaction], str]:
        def work(transaction: Transaction) -> str:
            runs.append(name)
            return noting(name)(transaction)

        return work

    def fault(transaction: Any) -> None:
        # As SQLite does where a disk fails: https://www.sqlite.org/lang_transaction.html
        transaction._cursor.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    with lined_up(store) as lined:
        lined.add(counted("before"))
        lined.add(fault)
        lined.add(counted("after"))
    before, failed, after = lined.outcomes()
    assert (before, after) == ("before", "after")
    assert isinstance(failed, sqlite3.OperationalError)
    assert sorted(runs) == ["after", "before", "before"]
    assert {store.state(name) for name in ("first", "before", "after")} == {"done"}


def test_where_one_cannot_be_undone_alone_nothing_of_it_is_kept(store: SqliteStore) -> None:
    def fault(transaction: Any) -> None:
        transaction.set_state("half", "done")
        # From here on there is nothing to go back to.
        transaction._cursor.execute("RELEASE work")
        raise Conflict("no")

    with lined_up(store) as lined:
        lined.add(noting("before"))
        failed = lined.add(fault)
        lined.add(noting("after"))
    assert isinstance(failed.exception(PATIENCE), sqlite3.OperationalError)
    assert [store.state(name) for name in ("first", "before", "half", "after")] == ["done", "done", None, "done"]


def test_where_the_commit_fails_all_of_the_group_are_told_and_nothing_is_kept(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("no room")

    with ThreadPoolExecutor(MANY) as pool, monkeypatch.context() as patched:
        patched.setattr(store._writers, "_commit", full)
        inside = threading.Event()

        def first(_: Transaction) -> None:
            inside.set()
            assert until(lambda: store._writers._line.length == 3)

        held = [pool.submit(store.write, first, brief=True)]
        assert inside.wait(PATIENCE)
        held += [pool.submit(store.write, noting(f"state {number}"), brief=True) for number in range(3)]
        assert [str(one.exception(PATIENCE)) for one in held] == ["no room"] * 4
    assert [store.state(f"state {number}") for number in range(3)] == [None] * 3
    assert store.write(noting("state 0"), brief=True) == "state 0"
    assert store.state("state 0") == "done"


def test_a_writer_of_another_process_is_let_in_between_those_who_go_on_writing(
    store: SqliteStore, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MOST", 3)
    path = sqlite_database_url.removeprefix("sqlite:///")
    other, over = SqliteStore(path, lock_seconds=PATIENCE), threading.Event()
    written: list[int] = []

    def go_on(number: int) -> None:
        while not over.is_set():
            store.write(noting(f"state {number}"), brief=True)
            written.append(number)

    with ThreadPoolExecutor(MANY) as pool:
        busy = [pool.submit(go_on, number) for number in range(MANY)]
        try:
            assert until(lambda: len(written) > 2 * MANY)
            for number in range(3):
                assert other.write(noting(f"other {number}")) == f"other {number}"
        finally:
            over.set()
        for one in busy:
            one.result(PATIENCE)
    other.close()
    assert store.state("other 2") == "done"


def test_the_work_of_all_is_done_by_one_thread_and_as_if_by_each(store: SqliteStore) -> None:
    asking = ContextVar("asking", default="nobody")

    def work(_: Transaction) -> tuple[int, str]:
        asked = asking.get()
        asking.set("somebody else")  # of what the next one has it is no part
        return threading.get_ident(), asked

    def ask(name: str) -> tuple[int, str, str, int]:
        asking.set(name)
        return *store.write(work, brief=True), asking.get(), threading.get_ident()

    names = [f"client {number}" for number in range(MANY)]
    with lined_up(store, brief=False) as lined:
        for name in names:
            lined.ask(partial(ask, name))
    found = lined.outcomes()
    assert [(seen, kept) for _, seen, kept, _ in found] == [(name, name) for name in names]
    assert len({did for did, *_ in found}) == 1
    assert len({own for *_, own in found}) == MANY
    assert found[0][0] == found[0][3], "the first of them led"


def test_the_time_of_work_is_that_of_who_asked_for_it(store: SqliteStore) -> None:
    def asking(seconds: float) -> float:
        def work(_: Transaction) -> None:
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass

        before = own_time()
        store.write(work, brief=True)
        return own_time() - before

    given = [0.0, 0.2, 0.0, 0.4]
    with lined_up(store, brief=False) as lined:
        for seconds in given:
            lined.ask(partial(asking, seconds))
    taken = lined.outcomes()
    assert [seconds <= found < seconds + 0.15 for seconds, found in zip(given, taken, strict=True)] == [True] * 4


def test_what_one_undid_the_next_does_not_know(store: SqliteStore) -> None:
    def reading(transaction: Transaction) -> tuple[str | None, int]:
        return transaction.state("a"), transaction.moment()

    def setting(value: str, error: Exception | None = None) -> Callable[[Transaction], None]:
        def work(transaction: Transaction) -> None:
            transaction.state("a")
            transaction.set_state("a", value)
            assert transaction.state("a") == value
            if error is not None:
                raise error

        return work

    with lined_up(store) as lined:
        seen = [lined.add(reading)]
        lined.add(setting("one"))
        seen.append(lined.add(reading))
        lined.add(setting("two", Conflict("no")))
        seen.append(lined.add(reading))
        lined.add(lambda transaction: transaction.forget_state("a"))
        seen.append(lined.add(reading))
    values, moments = zip(*[one.result(PATIENCE) for one in seen], strict=True)
    assert values == (None, "one", "one", None)
    assert list(moments) == sorted(moments)
    # Another process may have set it since.
    with sqlite3.connect(store.path) as other:
        other.execute("INSERT INTO state (name, value) VALUES ('a', 'theirs')")
    assert store.write(reading, brief=True)[0] == "theirs"


def test_whose_patience_ends_when_its_job_is_taken_has_the_outcome_and_else_nobody_takes_it() -> None:
    line, numbers = Line(1), random.Random(1)
    assert line.enter()
    taken, patience = 0, 0.02
    with ThreadPoolExecutor(1) as pool:
        for number in range(40):
            job = Job(lambda connection: connection)
            waiting = pool.submit(line.enter, patience, job=job)
            time.sleep(patience * numbers.uniform(0.5, 1.5))
            found = line.take()
            if found is not None:
                lock, theirs = found
                assert theirs is job
                job.do(number)
                lock.release()
            assert waiting.result(PATIENCE) is (found is not None)
            assert job.taken is (found is not None)
            taken += job.taken
            assert line.length == 0
    assert 0 < taken < 40, "neither came first always"


# -- both databases


def test_who_waits_to_write_for_too_long_is_told_to_come_back(database_url: str) -> None:
    store = cast("Any", open_store(Settings(database=database_url, threads=1)))
    store._seconds = 0.05
    if isinstance(store, SqliteStore):
        store._writers._seconds = 0.05
    with store.transaction(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.write, noting("x")).exception(PATIENCE)
    assert isinstance(waiting, Busy)
    assert "busy with other writes" in str(waiting)
    assert waiting.headers == {"Retry-After": "1"}
    store._seconds = PATIENCE
    assert store.write(noting("x")) == "x"
    store.close()


def test_what_a_thread_would_keep_from_others_is_theirs_while_it_writes(database_url: str) -> None:
    store: SqlStore = open_store(Settings(database=database_url))
    kept = threading.Lock()

    @contextmanager
    def aside() -> Iterator[None]:
        kept.release()
        try:
            yield
        finally:
            kept.acquire()

    store.aside = aside
    with kept:
        assert store.write(lambda _: kept.locked()) is False
        assert kept.locked()
        with pytest.raises(Conflict):
            store.write(failing("x", Conflict("no")))
        assert kept.locked()
    store.close()
