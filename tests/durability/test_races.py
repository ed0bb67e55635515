"""No lost update and no duplicate, however many write at once: https://hl7.org/fhir/R5/http.html#concurrency"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.durability.processes import JSON, Client, clients, medication, server_on, unsound
from tests.mass import much

RIVALS = 8


@pytest.fixture
def two_servers(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    """Two servers of two workers each, on one database."""
    with ExitStack() as stack:
        servers = [server_on(database_url, tmp_path_factory.mktemp("server")) for _ in range(2)]
        for one in servers:
            stack.callback(one.kill)
            one.start()
        yield servers
        for one in servers:
            print(one.log)  # shown where the test fails: what a server says of a dropped connection


def at_once(rivals: int, work: Callable[[int, Barrier], Any]) -> list[Any]:
    """What `work(number, barrier)` gave in each of the threads. The first failure ends all of them."""
    barrier = Barrier(rivals)

    def run(number: int) -> Any:
        try:
            return work(number, barrier)
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(rivals) as pool:
        running = [pool.submit(run, number) for number in range(rivals)]
    failures = [error for one in running if (error := one.exception()) is not None]
    for error in failures:
        if not isinstance(error, BrokenBarrierError):
            raise error
    return [one.result() for one in running]


# The answer never came: the process that had the request ended. What it did is whole or absent, and nobody knows which.
LOST = 0


def status(
    client: Client, method: str, path: str, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> int:
    """The status of the answer, or LOST; what the server said of it is printed with its log."""
    try:
        return client.send(method, path, body, headers).status
    except HTTPException as error:
        print(f"no answer to {method} {path}: {error!r}")
        return LOST


@pytest.mark.mass
@pytest.mark.slow
def test_each_version_has_one_winner(two_servers: list[ServerProcess], database_url: str) -> None:
    contests = much(100, 1000)
    with clients(two_servers, RIVALS) as connected:
        assert connected[0].send("PUT", "/Medication/prize", medication("start", id="prize")).status == 201

        def compete(number: int, barrier: Barrier) -> list[int]:
            statuses = []
            for version in range(1, contests + 1):
                barrier.wait(timeout=120)
                body = medication(f"{number}-{version}", id="prize")
                condition = {"If-Match": f'W/"{version}"'}
                statuses.append(status(connected[number], "PUT", "/Medication/prize", body, condition))
            return statuses

        for statuses in zip(*at_once(RIVALS, compete), strict=True):
            found = Counter(statuses)
            assert found[200] == 1 or (found[200] == 0 and found[LOST])
            assert found[200] + found[412] + found[LOST] == RIVALS
        last = connected[0].send("GET", "/Medication/prize").json
        assert last["meta"]["versionId"] == str(contests + 1)
        assert unsound(database_url) == []


@pytest.mark.slow
def test_simultaneous_conditional_creates_leave_one_resource(
    two_servers: list[ServerProcess], database_url: str
) -> None:
    rivals, rounds = 20, 10
    with clients(two_servers, rivals) as connected:

        def create(number: int, barrier: Barrier) -> list[int]:
            statuses = []
            for _ in range(rounds):
                barrier.wait(timeout=120)
                condition = {"If-None-Exist": "identifier=http://ex.org/sku|ONE"}
                statuses.append(status(connected[number], "POST", "/Medication", medication("ONE"), condition))
            return statuses

        statuses = Counter(status for one in at_once(rivals, create) for status in one)
        assert statuses[201] == 1 or (statuses[201] == 0 and statuses[LOST])
        assert statuses[200] + statuses[201] + statuses[LOST] == rivals * rounds
        found = connected[0].send("GET", "/Medication?identifier=http://ex.org/sku|ONE&_total=accurate").json
        assert found["total"] == 1
        assert unsound(database_url) == []


@pytest.mark.slow
def test_simultaneous_transactions_with_one_condition_leave_one_resource(
    two_servers: list[ServerProcess], database_url: str
) -> None:
    with clients(two_servers, RIVALS) as connected:

        def transact(number: int, barrier: Barrier) -> list[int]:
            statuses = []
            for turn in range(10):
                request = {"method": "POST", "url": "Organization", "ifNoneExist": f"identifier=http://ex.org/o|{turn}"}
                holder = {
                    "resourceType": "Organization",
                    "identifier": [{"system": "http://ex.org/o", "value": f"{turn}"}],
                }
                product = medication(f"{number}-{turn}", marketingAuthorizationHolder={"reference": "urn:uuid:" + UUID})
                entries = [
                    {"fullUrl": "urn:uuid:" + UUID, "resource": holder, "request": request},
                    {"resource": product, "request": {"method": "POST", "url": "Medication"}},
                ]
                barrier.wait(timeout=120)
                bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
                statuses.append(status(connected[number], "POST", "", bundle))
            return statuses

        statuses = Counter(one for some in at_once(RIVALS, transact) for one in some)
        assert statuses.keys() <= {200, LOST}
        assert connected[0].send("GET", "/Organization?_total=accurate").json["total"] == 10
        total = connected[0].send("GET", "/Medication?_total=accurate&_count=0").json["total"]
        assert statuses[200] <= total <= 10 * RIVALS
        assert unsound(database_url) == []


UUID = "7c2f3a52-6f2e-4f3a-9a51-0a3d6f5b7e11"


def test_threads_of_one_server_lose_no_update(database_url: str, tmp_path: Path) -> None:
    contests = 25
    settings = Settings(database=database_url, content="", threads=RIVALS)
    store = open_store(settings)
    app = create_app(settings, store)
    body = json.dumps(medication("start", id="prize"))
    assert app.test_client().put("/fhir/r5/Medication/prize", data=body, headers=JSON).status_code == 201

    def compete(number: int, barrier: Barrier) -> list[int]:
        client, statuses = app.test_client(), []
        for version in range(1, contests + 1):
            barrier.wait(timeout=60)
            text = json.dumps(medication(f"{number}-{version}", id="prize"))
            headers = JSON | {"If-Match": f'W/"{version}"'}
            statuses.append(client.put("/fhir/r5/Medication/prize", data=text, headers=headers).status_code)
        return statuses

    for statuses in zip(*at_once(RIVALS, compete), strict=True):
        assert Counter(statuses) == {200: 1, 412: RIVALS - 1}
    store.close()
