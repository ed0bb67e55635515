"""The times of writes: clocks differ and go back, and who asks what changed since his last answer misses nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.content.sync import sync
from apothecary.fhir.json import dumps
from apothecary.fhir.temporal import instant, parse_span
from apothecary.settings import Settings
from apothecary.store.open import conninfo, open_store
from tests.conformance.harness import InProcess, write_content
from tests.waiting import until

NOON = parse_span("2030-05-11T12:00:00Z").low
HOUR = 3_600_000_000
FHIR = {"Content-Type": "application/fhir+json"}
SUBSTANCE = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x"}}}


def started(url: str, time: int, content: str = "") -> InProcess:
    """A server whose clock stands still."""
    settings = Settings(database=url, content=content)
    store = open_store(settings)
    store.clock = lambda: time
    return InProcess(settings, store)


@pytest.fixture
def servers(database_url: str) -> Iterator[tuple[InProcess, InProcess]]:
    """Two servers on one database; the clock of the second is an hour behind."""
    both = started(database_url, NOON), started(database_url, NOON - HOUR)
    yield both
    for one in both:
        one.store.close()


def times(server: InProcess) -> list[str]:
    """When each version was made, in the order of a history, the oldest first."""
    entries = server.ask("GET", "/fhir/r5/_history?_count=100").json["entry"]
    found = [one["response"]["lastModified"] for one in reversed(entries)]
    assert found == sorted(found)
    return found


def create(server: InProcess, base: str = "/fhir/r5", **elements: object) -> str:
    answer = server.ask("POST", f"{base}/Substance", FHIR, dumps({**SUBSTANCE, **elements}).decode())
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def test_a_clock_that_is_behind_makes_no_change_that_a_poller_misses(servers: tuple[InProcess, InProcess]) -> None:
    ahead, behind = servers
    first = create(ahead)
    since = instant(NOON)
    for server in servers:
        created = create(behind)
        answer = server.ask("GET", f"/fhir/r5/_history?_since={since}")
        assert created in [one["resource"]["id"] for one in answer.json["entry"]]
        assert created in server.ask("GET", f"/fhir/r5/Substance?_lastUpdated=ge{since}").ids
    body = dumps({**SUBSTANCE, "id": first, "status": "active"}).decode()
    assert behind.ask("PUT", f"/fhir/r5/Substance/{first}", FHIR, body).status == 200
    assert behind.ask("DELETE", f"/fhir/r5/Substance/{created}").status == 204
    gone = behind.ask("GET", f"/fhir/r5/Substance/_history?_since={since}").json["entry"]
    assert len(gone) == 5
    assert min(times(behind)) == since


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/r4b", "/fhir/r5"])
def test_a_bundle_and_every_release_keep_the_order(servers: tuple[InProcess, InProcess], base: str) -> None:
    ahead, behind = servers
    organization = {"resourceType": "Organization", "name": "A", "active": True}
    assert ahead.ask("POST", f"{base}/Organization", FHIR, dumps(organization).decode()).status == 201
    entries = [{"resource": organization, "request": {"method": "POST", "url": "Organization"}} for _ in range(3)]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert behind.ask("POST", base, FHIR, dumps(bundle).decode()).status == 200
    assert times(behind) == [instant(NOON)] * 4


def test_what_files_bring_keeps_the_order(database_url: str, tmp_path: Path) -> None:
    ahead = started(database_url, NOON)
    create(ahead)
    ahead.store.close()
    folder = tmp_path / "content"
    write_content(folder, [{"resourceType": "Organization", "id": "a", "name": "A", "active": True}])
    behind = started(database_url, NOON - HOUR, str(folder))
    sync(behind.settings, behind.store)
    loader = Loader(behind.store, behind.settings, lambda failure: pytest.fail(str(failure)))
    text = dumps({"resourceType": "Organization", "id": "b", "name": "B", "active": True})
    assert load(loader, [read_bytes("loose.json", text)]).created == 1
    assert times(behind) == [instant(NOON)] * 3
    behind.store.close()


def test_a_server_whose_clock_is_behind_says_so_once(
    servers: tuple[InProcess, InProcess], caplog: pytest.LogCaptureFixture
) -> None:
    ahead, behind = servers
    create(ahead)
    with caplog.at_level(logging.WARNING, "apothecary"):
        create(ahead)
        assert not caplog.messages
        create(behind)
        create(behind)
    assert len(caplog.messages) == 1
    assert instant(NOON - HOUR) in caplog.messages[0]
    assert instant(NOON) in caplog.messages[0]


def test_versions_of_one_resource_follow_each_other_when_the_clock_stands(database_url: str) -> None:
    server = started(database_url, NOON)
    identity = create(server)
    for status in ("active", "inactive"):
        body = dumps({**SUBSTANCE, "id": identity, "status": status}).decode()
        assert server.ask("PUT", f"/fhir/r5/Substance/{identity}", FHIR, body).status == 200
    assert times(server) == [instant(NOON + more) for more in (0, 1000, 2000)]
    server.store.close()


def test_writers_do_not_meet_in_what_they_read_to_know_the_time(postgresql_database_url: str) -> None:
    """A predicate lock on the newest change would make every two writers at once refuse each other. What is read for it
    of `state` is what exports write, and no writer of resources.
    """
    server = started(postgresql_database_url, NOON)
    create(server)
    held = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE mode = 'SIReadLock' AND datname = current_database() "
        "AND relation NOT IN ('state'::regclass, 'state_pkey'::regclass)"
    )
    with psycopg.connect(conninfo(make_url(postgresql_database_url)), autocommit=True) as other:
        # Locks outlive their transaction while others run beside it, in any database of the server.
        assert until(lambda: other.execute(held).fetchone() == (0,))
        with server.store.transaction() as transaction:
            assert transaction.moment() == NOON
            assert other.execute(held).fetchone() == (0,)
            transaction.history_of(None, count=1)
            assert other.execute(held).fetchone() != (0,)
    server.store.close()
