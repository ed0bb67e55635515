"""How often an interaction waits for PostgreSQL: half a millisecond of network each time. Counted at libpq.

https://www.postgresql.org/docs/current/libpq-control.html#LIBPQ-PQTRACE and
https://www.postgresql.org/docs/current/protocol-flow.html: whoever waits, waits for a ReadyForQuery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.connections import Connection, Connections

SYSTEM = "http://ex.org/sku"


class Ways:
    """Counts the answers that were waited for, on all connections."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def of(self, work: Callable[[], Any]) -> int:
        before = self._count()
        work()
        return self._count() - before

    def _count(self) -> int:
        return self._log.read_bytes().count(b"ReadyForQuery")


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ways]:
    log = tmp_path / "protocol"
    with log.open("ab") as file:
        configure = Connections._configure

        def traced(self: Connections, connection: Connection) -> None:
            configure(self, connection)
            connection.pgconn.trace(file.fileno())

        monkeypatch.setattr(Connections, "_configure", traced)
        yield Ways(log)


@pytest.fixture
def client(ways: Ways, postgresql_database_url: str) -> Iterator[FlaskClient]:
    app = create_app(Settings(database=postgresql_database_url, content="", cache_bytes=0))
    yield app.test_client()
    app.service.store.close()


def medication(number: int | str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Medication",
        "status": "active",
        "identifier": [{"system": SYSTEM, "value": f"{number}"}],
        "code": {"coding": [{"system": "http://ex.org/code", "code": "c"}], "text": f"product {number}"},
        "marketingAuthorizationHolder": {"reference": "Organization/o"},
        **more,
    }


def bundle(method: str, count: int, turn: int = 0) -> dict[str, Any]:
    entries = [
        {
            "resource": medication(f"{turn}-{number}") | ({"id": f"b{number}"} if method == "PUT" else {}),
            "request": {"method": method, "url": f"Medication/b{number}" if method == "PUT" else "Medication"},
        }
        for number in range(count)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def ask(client: FlaskClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    answer = client.open(f"/fhir/{path}", method=method, json=body, headers=headers)
    assert answer.status_code < 300, answer.text
    return answer


def unless(value: str) -> dict[str, str]:
    return {"If-None-Exist": f"identifier={SYSTEM}|{value}"}


WAYS: dict[str, tuple[Callable[[FlaskClient, int], Any], int]] = {
    "read": (lambda client, _: ask(client, "GET", "Medication/m"), 1),
    "vread": (lambda client, _: ask(client, "GET", "Medication/m/_history/1"), 1),
    "token search": (lambda client, _: ask(client, "GET", f"Medication?identifier={SYSTEM}|m"), 1),
    "history": (lambda client, _: ask(client, "GET", "Medication/m/_history"), 1),
    "search of two parts": (lambda client, _: ask(client, "GET", f"Medication?status=active&identifier={SYSTEM}|m"), 1),
    "sorted search": (
        lambda client, _: ask(client, "GET", f"Medication?identifier={SYSTEM}|m&_sort=-_lastUpdated"),
        1,
    ),
    "chain with more pages": (
        lambda client, _: ask(client, "GET", "Medication?marketingauthorizationholder.name=x&_count=2"),
        1,
    ),
    "reverse chain": (
        lambda client, _: ask(
            client, "GET", f"Organization?_has:Medication:marketingauthorizationholder:identifier={SYSTEM}|m"
        ),
        1,
    ),
    "_include": (
        lambda client, _: ask(
            client, "GET", f"Medication?identifier={SYSTEM}|m&_include=Medication:marketingauthorizationholder"
        ),
        3,
    ),
    "create": (lambda client, turn: ask(client, "POST", "Medication", medication(turn)), 4),
    "create without references": (
        lambda client, _: ask(client, "POST", "Organization", {"resourceType": "Organization", "name": "x"}),
        3,
    ),
    "update": (lambda client, turn: ask(client, "PUT", "Medication/u", medication(turn, id="u")), 5),
    "delete": (lambda client, turn: _deleted(client, turn), 5),
    "conditional create of what is there": (
        lambda client, _: ask(
            client, "POST", "Medication", medication("m"), **{"If-None-Exist": f"identifier={SYSTEM}|m"}
        ),
        5,
    ),
    "conditional create of what is new": (
        lambda client, turn: ask(client, "POST", "Medication", medication(turn), **unless(f"new{turn}")),
        5,
    ),
    "transaction of 100 POSTs": (lambda client, turn: ask(client, "POST", "", bundle("POST", 100, turn)), 5),
    "transaction of 100 PUTs": (lambda client, turn: ask(client, "POST", "", bundle("PUT", 100, turn)), 6),
}


def _deleted(client: FlaskClient, turn: int) -> None:
    ask(client, "DELETE", f"Medication/d{turn}")


@pytest.mark.parametrize("name", WAYS)
def test_an_interaction_waits_for_the_database_so_often(client: FlaskClient, ways: Ways, name: str) -> None:
    ask(client, "PUT", "Organization/o", {"resourceType": "Organization", "id": "o", "name": "x"})
    ask(client, "PUT", "Medication/m", medication("m", id="m"))
    for turn in range(5):
        ask(client, "PUT", f"Medication/d{turn}", medication(turn, id=f"d{turn}"))
    work, most = WAYS[name]
    # The first times are those of preparing statements.
    counted = [ways.of(partial(work, client, turn)) for turn in range(5)]
    assert 0 < counted[-1] <= most
