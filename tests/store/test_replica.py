"""Reads go to a standby, and a client that wrote reads what it wrote, however far the standby lags behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from apothecary.app import Apothecary, create_app
from apothecary.errors import StartError
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.terminology import stored
from tests.databases import Cluster, DatabaseUnavailable, find_binaries, running_cluster, running_standby
from tests.missing import missing
from tests.waiting import until

pytestmark = pytest.mark.slow


@dataclass
class Pair:
    """A primary, its standby, and servers on both of them."""

    primary: Cluster
    standby: Cluster

    def settings(self, **changes: Any) -> Settings:
        urls = {"database": self.primary.url, "read_database": self.standby.url} | changes
        return Settings(content="", **urls)

    def app(self, **changes: Any) -> Apothecary:
        """One server process, as far as the replica is concerned."""
        return create_app(self.settings(**changes))

    def ask(self, cluster: Cluster, question: str) -> object:
        with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as connection:
            row = connection.execute(question).fetchone()
            return row[0] if row else None

    def pause(self) -> None:
        self.ask(self.standby, "SELECT pg_wal_replay_pause()")
        assert until(lambda: self.ask(self.standby, "SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        self.ask(self.standby, "SELECT pg_wal_replay_resume()")

    def reads(self, cluster: Cluster) -> int:
        """How many statements the server has run on a cluster's tables, by the cluster's own count of scans."""
        self.ask(cluster, "SELECT pg_stat_clear_snapshot()")
        question = (
            "SELECT coalesce(sum(idx_scan) + sum(seq_scan), 0) FROM pg_stat_user_tables WHERE relname = 'resource'"
        )
        return int(str(self.ask(cluster, question)))

    def caught_up(self) -> bool:
        """Whether the standby gets to where the primary is now: received is not enough, and not written out yet is more
        than a commit waits for.
        """
        here = self.ask(self.primary, "SELECT pg_current_wal_insert_lsn()")
        return until(lambda: self.ask(self.standby, f"SELECT pg_last_wal_replay_lsn() >= '{here}'") is True)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    try:
        find_binaries()
    except DatabaseUnavailable as error:
        missing(str(error))
    with running_cluster() as primary, running_standby(primary) as standby:
        yield Pair(primary, standby)


@pytest.fixture
def app(pair: Pair) -> Iterator[Apothecary]:
    app = pair.app()
    yield app
    pair.resume()
    app.service.replica.close()
    app.service.store.close()


def create(client: FlaskClient, code: str) -> tuple[str, str]:
    """A new Substance: its address, and the cookie that came with it."""
    body = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": code}}}
    answer = client.post("/fhir/Substance", json=body)
    assert answer.status_code == 201
    return f"/fhir/Substance/{answer.json['id']}", answer.headers["Set-Cookie"]


def test_reads_and_searches_go_to_the_standby_when_it_has_caught_up(pair: Pair) -> None:
    app = pair.app(cache_bytes=0)
    client = app.test_client()
    address, _ = create(client, "anywhere")
    assert pair.caught_up()
    assert client.get(address).status_code == 200
    primary, standby = pair.reads(pair.primary), pair.reads(pair.standby)
    for _ in range(20):
        assert client.get(address).status_code == 200
        assert client.get("/fhir/Substance?_id=none").json["total"] == 0
    # A backend publishes its scans when it ends, or after ten seconds without work: those of the create come, too.
    app.service.replica.close()
    app.service.store.close()
    assert until(lambda: pair.reads(pair.standby) >= standby + 40)
    assert pair.reads(pair.primary) < primary + 10


def test_a_client_reads_its_write_in_the_process_that_took_it_while_the_standby_lags(
    pair: Pair, app: Apothecary
) -> None:
    pair.pause()
    client = app.test_client(use_cookies=False)
    address, _ = create(client, "mine")
    assert client.get(address).status_code == 200
    assert client.get("/fhir/Substance?_id=" + address.rpartition("/")[2]).json["total"] == 1


def test_a_client_that_keeps_the_cookie_reads_its_write_in_any_other_process(pair: Pair, app: Apothecary) -> None:
    other = pair.app()
    assert pair.caught_up()
    pair.pause()
    address, cookie = create(app.test_client(), "travelling")
    position = cookie.partition(";")[0]
    without = other.test_client(use_cookies=False)
    assert without.get(address).status_code == 404
    assert without.get(address, headers={"Cookie": position}).status_code == 200
    # Another client of that process is still served by the standby.
    assert without.get(address).status_code == 404
    pair.resume()
    assert until(lambda: without.get(address).status_code == 200)


def test_an_answer_is_given_again_only_to_who_may_see_one_as_old(pair: Pair, app: Apothecary) -> None:
    writing, other = app.test_client(use_cookies=False), pair.app()
    address, _ = create(writing, "old")
    assert pair.caught_up()
    reading = other.test_client(use_cookies=False)
    queries = (address, f"/fhir/Substance?_id={address.rpartition('/')[2]}&code:text=new")
    for client, query in product((writing, reading), queries * 3):
        assert b'"new"' not in client.get(query).data
    hits = 'apothecary_cache_requests_total{result="hit"} 2'
    assert hits in reading.get("/metrics").text
    pair.pause()
    body = {"resourceType": "Substance", "id": address.rpartition("/")[2], "instance": False}
    changed = writing.put(address, json=body | {"code": {"concept": {"text": "new"}}})
    position = changed.headers["Set-Cookie"].partition(";")[0]
    for query in queries * 3:
        assert b'"new"' in writing.get(query).data
        assert b'"new"' in reading.get(query, headers={"Cookie": position}).data
        assert b'"new"' not in reading.get(query).data
    pair.resume()
    assert until(lambda: all(b'"new"' in reading.get(query).data for query in queries))


@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 40, "²", str(2**64 - 1)])
def test_a_cookie_that_makes_no_sense_harms_nobody(app: Apothecary, value: str) -> None:
    answer = app.test_client(use_cookies=False).get(
        "/fhir/Substance", headers={"Cookie": f"apothecary-position={value}".encode().decode("latin-1")}
    )
    assert answer.status_code == 200


def test_only_an_answer_to_a_write_carries_the_cookie(app: Apothecary) -> None:
    client = app.test_client()
    address, cookie = create(client, "once")
    assert "HttpOnly" in cookie
    for path in (address, "/healthz", "/fhir/metadata"):
        assert "Set-Cookie" not in client.get(path).headers


def test_the_primary_answers_while_the_standby_is_down(pair: Pair) -> None:
    with running_standby(pair.primary) as standby:
        app = create_app(pair.settings(read_database=standby.url))
        client = app.test_client()
        address, _ = create(client, "enduring")
        assert until(lambda: pair.ask(standby, "SELECT pg_last_wal_replay_lsn() = pg_last_wal_receive_lsn()") is True)
        assert client.get(address).status_code == 200
        standby.crash()
        assert [client.get(address).status_code for _ in range(5)] == [200] * 5


def test_a_role_without_privileges_can_use_a_standby(pair: Pair) -> None:
    for statement in ("CREATE ROLE plain LOGIN", "CREATE DATABASE plain OWNER plain"):
        with psycopg.connect(pair.primary.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)
    urls = [
        one.url.replace("postgres@", "plain@").replace("/postgres", "/plain") for one in (pair.primary, pair.standby)
    ]
    exists = "SELECT count(*) FROM pg_database WHERE datname = 'plain'"
    assert until(lambda: pair.ask(pair.standby, exists) == 1)
    client = create_app(pair.settings(database=urls[0], read_database=urls[1])).test_client()
    address, _ = create(client, "unprivileged")
    assert client.get(address).status_code == 200


def test_what_is_no_standby_of_the_database_stops_the_start(pair: Pair, sqlite_database_url: str) -> None:
    cases = [
        ({"database": sqlite_database_url}, "SQLite has none"),
        ({"read_database": "sqlite:///other.db"}, "SQLite has none"),
        ({"read_database": pair.primary.url}, "no streaming standby"),
    ]
    for changes, said in cases:
        with pytest.raises(StartError, match=said):
            create_app(pair.settings(**changes))
    with running_cluster() as stranger:
        open_store(Settings(database=stranger.url)).close()
        with pytest.raises(StartError, match="no streaming standby"):
            create_app(pair.settings(database=stranger.url))


FORM: dict[str, object] = {
    "resourceType": "SearchParameter",
    "id": "form-of-replica",
    "url": "http://example.org/form-of-replica",
    "name": "form",
    "status": "active",
    "description": "The form",
    "code": "form-of-replica",
    "base": ["Medication"],
    "type": "token",
    "processingMode": "normal",
    "expression": "Medication.doseForm",
}


def test_a_definition_counts_where_the_data_of_the_standby_have_it(pair: Pair, app: Apothecary) -> None:
    """An answer from the standby is one of its own moment: it knows a SearchParameter as soon as it has its rows."""
    client, strict = app.test_client(use_cookies=False), {"Prefer": "handling=strict"}
    red = {"resourceType": "Medication", "id": "of-replica", "doseForm": {"coding": [{"code": "red"}]}}
    assert client.put("/fhir/r5/Medication/of-replica", json=red).status_code in (200, 201)
    other = pair.app()
    reader = other.test_client(use_cookies=False)
    asked = "/fhir/r5/Medication?form-of-replica=red"
    assert pair.caught_up()
    pair.pause()
    assert client.put("/fhir/r5/SearchParameter/form-of-replica", json=FORM).status_code == 201
    before = reader.get(asked, headers=strict)
    # It is unknown there, or known and not yet complete; never known and empty.
    assert before.status_code in (400, 503), before.get_data(as_text=True)
    pair.resume()
    assert until(lambda: reader.get(asked, headers=strict).status_code == 200)
    assert [one["resource"]["id"] for one in reader.get(asked, headers=strict).json["entry"]] == ["of-replica"]
    pair.pause()
    assert client.delete("/fhir/r5/SearchParameter/form-of-replica").status_code == 204
    after = reader.get(asked, headers=strict)
    assert after.status_code in (200, 400)
    if after.status_code == 200:
        assert after.json["total"] == 1
    pair.resume()
    assert until(lambda: reader.get(asked, headers=strict).status_code == 400)
    other.service.replica.close()
    other.service.store.close()


DRUGS = "http://example.org/replicated"


def large(version: str, *codes: str) -> dict[str, object]:
    return {
        "resourceType": "CodeSystem", "id": "replicated", "url": DRUGS, "version": version, "status": "active",
        "content": "complete", "caseSensitive": True,
        "concept": [{"code": code, "display": f"Tablet {code}"} for code in codes],
    }  # fmt: skip


def test_a_large_code_system_is_asked_of_the_standby_and_is_of_one_version_there(
    pair: Pair, app: Apothecary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head, its concepts and their words are of the standby's own moment, and so is what a process remembers."""
    monkeypatch.setattr(stored, "LARGE", 2)
    client, other = app.test_client(use_cookies=False), pair.app()
    reader = other.test_client(use_cookies=False)
    whole = {
        "resourceType": "ValueSet", "id": "replicated", "url": f"{DRUGS}/all", "status": "active",
        "compose": {"include": [{"system": DRUGS}]},
    }  # fmt: skip
    assert client.put("/fhir/CodeSystem/replicated", json=large("1", "a", "b", "c")).status_code in (200, 201)
    assert client.put("/fhir/ValueSet/replicated", json=whole).status_code in (200, 201)
    assert other.service.store.code_system("replicated") is not None
    assert pair.caught_up()

    def seen(headers: dict[str, str] | None = None) -> tuple[object, ...]:
        found = [
            reader.get(f"/fhir/{path}", headers=headers).json
            for path in (
                f"CodeSystem/$lookup?system={DRUGS}&code=a",
                f"CodeSystem/$validate-code?url={DRUGS}&code=d",
                "ValueSet/replicated/$expand?filter=tablet",
            )
        ]
        version = next(one["valueString"] for one in found[0]["parameter"] if one["name"] == "version")
        codes = "".join(one["code"] for one in found[2]["expansion"]["contains"])
        return version, found[1]["parameter"][0]["valueBoolean"], codes

    before = pair.reads(pair.standby)
    old, new = ("1", False, "abc"), ("2", True, "abd")
    # A backend at work publishes its scans once a second, one without work after ten.
    assert until(lambda: seen() == old and pair.reads(pair.standby) > before)
    pair.pause()
    changed = client.put("/fhir/CodeSystem/replicated", json=large("2", "a", "b", "d"))
    position = changed.headers["Set-Cookie"].partition(";")[0]
    for _ in range(3):
        assert seen({"Cookie": position}) == new
        assert seen() == old
    pair.resume()
    assert until(lambda: seen() == new)
    other.service.replica.close()
    other.service.store.close()
