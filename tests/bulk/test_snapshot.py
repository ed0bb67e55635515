"""An export holds what there was at its transactionTime, whatever is written meanwhile, and goes on after a crash."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apothecary.bulk.job import read
from apothecary.bulk.worker import Worker
from apothecary.fhir.json import dumps
from apothecary.fhir.temporal import instant
from apothecary.interactions.service import Service
from apothecary.settings import Settings
from apothecary.store.bulk import Bulk
from apothecary.store.contract import Stored, Transaction
from apothecary.store.open import open_store
from tests.bulk.exporting import Exporting, medication, organization

Write = tuple[str, str, bool]
"""A resource's type and id, and whether it is written or deleted."""


class Model:
    """A store beside a plain account of what it holds."""

    def __init__(self, server: Exporting) -> None:
        self.server = server
        self.held: dict[str, dict[str, Any]] = {}
        self.number = 0

    def do(self, write: Write) -> None:
        kind, identity, kept = write
        self.number += 1
        if kept:
            made = medication(identity) if kind == "Medication" else organization(identity)
            made["identifier"] = [{"value": str(self.number)}]
            self.server.put(made)
            self.held[f"{kind}/{identity}"] = made
        elif self.held.pop(f"{kind}/{identity}", None) is not None:
            self.server.delete(f"{kind}/{identity}")

    def clear(self) -> None:
        for key in list(self.held):
            self.do((*key.split("/"), False))  # type: ignore[arg-type] # two parts


def plain(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    without = ({key: value for key, value in one.items() if key not in ("meta", "text")} for one in lines)
    return {f"{one['resourceType']}/{one['id']}": one for one in without}


WRITES = some.lists(
    some.tuples(some.sampled_from(["Medication", "Organization"]), some.sampled_from("abcd"), some.booleans()),
    max_size=6,
)
QUERIES = ("", "_type=Medication", "_typeFilter=Medication?_id=a,Medication?_id=b")


@pytest.fixture
def model(server: Exporting) -> Model:
    return Model(server)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WRITES, some.lists(WRITES, min_size=1, max_size=3), some.sampled_from(QUERIES))
def test_writes_meanwhile_do_not_tear_an_export(
    model: Model, before: list[Write], between: list[list[Write]], query: str
) -> None:
    """One page is one resource, and between any two steps others write."""
    server = model.server
    for write in before:
        model.do(write)
    expected = dict(model.held)
    if "Filter" in query:
        expected = {key: one for key, one in expected.items() if key not in ("Medication/c", "Medication/d")}
    elif query:
        expected = {key: one for key, one in expected.items() if key.startswith("Medication/")}
    where = server.kick_off("/fhir/r5", query)
    left = list(between)

    def pause(_: float) -> None:
        for write in left.pop() if left else ():
            model.do(write)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apothecary.bulk.portions.PAGE", 1)
        server.worker.pause = pause
        assert server.worker.run()
    manifest = server.ask("GET", where).json
    assert plain(server.lines(manifest)) == expected
    assert manifest["error"] == []
    server.ask("DELETE", where)
    model.clear()


def test_filters_are_asked_again_where_somebody_wrote_meanwhile(server: Exporting) -> None:
    server.put(medication("a"), medication("b", status="inactive"))
    where = server.kick_off("/fhir/r5", "_type=Medication&_typeFilter=Medication?status=active")
    begun = server.bulk.jobs()[0]
    server.put(medication("a", status="inactive"), medication("b"))
    assert server.worker.run()
    manifest = server.ask("GET", where).json
    assert [one["id"] for one in server.lines(manifest)] == ["b"]
    assert manifest["transactionTime"] > instant(read(begun.data).moment)


def test_filters_that_are_overtaken_each_time_say_of_what(server: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put(medication("a"), medication("b", status="inactive"))
    where = server.kick_off("/fhir/r5", "_type=Medication&_typeFilter=Medication?status=active")
    monkeypatch.setattr("apothecary.bulk.selecting.TRIES", 1)
    server.put(medication("b"))
    assert server.worker.run()
    manifest = server.ask("GET", where).json
    (told,) = server.lines(manifest, "error")
    assert told["issue"][0]["expression"] == ["Medication/b"]
    assert told["issue"][0]["severity"] == "warning"


def test_a_write_that_commits_later_than_an_export_begins_is_later_than_it(postgresql_database_url: str) -> None:
    """A transaction that took its time before, and commits afterwards, would be in no export: neither in this one, nor
    in the next with `_since`.
    """
    with Exporting.over(postgresql_database_url) as server:
        server.put(medication("before"))
        moments: list[int] = []
        begun: list[str] = []

        def work(transaction: Transaction) -> None:
            moments.append(transaction.moment())
            body = dumps(medication("late"))
            transaction.write(Stored("Medication", "late", 1, moments[-1], "R5", body), "PUT", (), absent=True)
            if not begun:
                begun.append(server.kick_off("/fhir/r5"))

        server.store.write(work)
        assert server.worker.run()
        manifest = server.ask("GET", begun[0]).json
        time = manifest["transactionTime"]
        assert len(moments) > 1, "the database refused the first try"
        assert instant(moments[-1]) > time
        assert [one["id"] for one in server.lines(manifest)] == ["before"]
        since = server.export("/fhir/r5", f"_since={time}")
        assert [one["id"] for one in server.lines(since)] == ["late"]


def test_nothing_is_written_before_an_export_by_a_clock_that_is_behind(server: Exporting) -> None:
    server.store.clock = lambda: 1_900_000_000_000_000
    time = server.export("/fhir/r5")["transactionTime"]
    server.store.clock = lambda: 1_800_000_000_000_000
    server.put(medication("m"))
    assert server.ask("GET", "/fhir/r5/Medication/m").json["meta"]["lastUpdated"] > time
    assert [one["id"] for one in server.lines(server.export("/fhir/r5", f"_since={time}"))] == ["m"]


class Died(BaseException):
    """What ends a process that is killed."""


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_another_process_goes_on_where_one_ended(
    server: Exporting, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr("apothecary.bulk.worker.PIECE", 200)
    server.put(*(medication(f"m{number}") for number in range(8)), organization("o"))
    where = server.kick_off("/fhir/r5", "_type=Medication,Organization")
    dying = Worker(server.app.service, server.bulk)
    left = steps

    def pause(_: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Died

    monkeypatch.setattr("apothecary.bulk.portions.PAGE", 1)
    dying.pause = pause
    with pytest.raises(Died):
        dying.run()
    assert not server.worker.run(), "the lease has not run out"
    assert server.ask("GET", where).status == 202
    server.age(60_000_000)
    assert server.worker.run()
    manifest = server.ask("GET", where).json
    assert sorted(one["id"] for one in server.lines(manifest)) == [*(f"m{number}" for number in range(8)), "o"]
    assert server.pieces() == server.pieces_of_files()


def test_who_lost_a_job_writes_nothing_more(server: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put(medication("a"), medication("b"))
    where = server.kick_off("/fhir/r5", "_type=Medication")
    slow = Worker(server.app.service, server.bulk)

    def pause(_: float) -> None:
        server.age(60_000_000)
        assert server.worker.run()

    slow.pause = pause
    slow.run()
    manifest = server.ask("GET", where).json
    assert [one["id"] for one in server.lines(manifest)] == ["a", "b"]
    assert server.pieces() == 1


def test_a_job_that_is_cancelled_meanwhile_leaves_nothing(server: Exporting) -> None:
    server.put(medication("a"))
    where = server.kick_off("/fhir/r5")
    server.worker.pause = lambda _: server.ask("DELETE", where)
    server.worker.run()
    assert server.ask("GET", where).status == 404
    assert server.pieces() == 0


def test_a_process_starts_no_thread_for_exports_while_there_are_none(sqlite_database_url: str) -> None:
    store = open_store(Settings(database=sqlite_database_url, content=""))
    asked: list[str] = []

    class Counting(Bulk):
        def jobs(self) -> list[Any]:
            asked.append("jobs")
            return super().jobs()

    from apothecary.app import make_service

    service: Service = make_service(Settings(database=sqlite_database_url, content=""), store)
    worker = Worker(service, Counting(store))
    threads = threading.active_count()
    worker.look()
    assert asked == ["jobs"]
    assert threading.active_count() == threads
    store.close()
