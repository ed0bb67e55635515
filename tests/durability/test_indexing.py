"""A definition that one server takes works in others too, and a server that is killed leaves its indexing to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.defined import COLOUR
from tests.durability.processes import Client, server_on, unsound
from tests.mass import much, on
from tests.waiting import until

COUNT = much(2_000, 10_000)

RED_FORM = {"coding": [{"code": "red"}]}
STRICT = {"Prefer": "handling=strict"}
RED = "/Medication?colour=red&_summary=count"


def _fill(database: str, folder: Path) -> None:
    """Load small resources, as a catalogue is loaded."""
    file = folder / "medications.ndjson"
    some = ({"resourceType": "Medication", "id": f"m{one:05}", "doseForm": RED_FORM} for one in range(COUNT))
    file.write_text("".join(f"{json.dumps(one)}\n" for one in some))
    done = CliRunner().invoke(main, ["load", "--database", database, "--no-validate", str(file)])
    assert done.exit_code == 0, done.output


def _states(database: str) -> tuple[int, bool]:
    """How many resources are indexed of those that are looked at, and whether all are."""
    store = open_store(Settings(database=database, content=""))
    try:
        done = json.loads(store.state("indexing") or "{}").get("done", 0)
        return int(done), "colour" in (store.state("index of definitions") or "")
    finally:
        store.close()


@pytest.mark.mass
@pytest.mark.slow
@on("sqlite")
def test_what_a_killed_server_began_to_index_another_ends(database_url: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (server_on(database_url, folder) for folder in folders)
    _fill(database_url, tmp_path)
    try:
        _run(one, other, database_url)
    finally:
        one.close()
        other.close()
    assert unsound(database_url) == []


def _run(one: ServerProcess, other: ServerProcess, database: str) -> None:
    one.start()
    first = Client(one.port)
    assert first.send("PUT", "/SearchParameter/colour", COLOUR).status == 201
    assert until(lambda: any(_states(database)))
    one.kill()
    first.close()
    done, complete = _states(database)
    # A machine that is busy elsewhere may have let it end before the kill.
    assert 0 < done < COUNT or complete
    other.start()
    second = Client(other.port)
    meanwhile = second.send("GET", RED, headers=STRICT)
    # A lease holds for seconds; only where all was done before the kill there is nothing to wait for.
    assert meanwhile.status in (200, 503)
    assert meanwhile.status == 503 or complete or _states(database)[1]
    assert until(lambda: second.send("GET", RED, headers=STRICT).status == 200)
    assert second.send("GET", RED).json["total"] == COUNT
    # One that starts later sees what another took away.
    one.start()
    first = Client(one.port)
    assert second.send("DELETE", "/SearchParameter/colour").status == 204
    assert first.send("GET", RED, headers=STRICT).status == 400
    assert until(lambda: "incomplete" not in first.send("GET", "/metadata").body.decode())
    first.close()
    second.close()


CODES = "http://ex.org/codes"


def _code_system(sensitive: bool) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "id": "codes",
        "url": CODES,
        "status": "active",
        "content": "not-present",
        "caseSensitive": sensitive,
    }


@pytest.mark.mass
@on("postgresql")
def test_what_a_code_system_says_of_case_counts_at_once_in_another_process(database_url: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (server_on(database_url, folder) for folder in folders)
    try:
        one.start()
        other.start()
        first, second = Client(one.port), Client(other.port)
        _case(first, second)
        # What is in step needs no work at the next start.
        first.close()
        one.stop()
        one.start()
        first = Client(one.port)
        assert _found(first, "ABC") == _found(first, "abc") == 1
        first.close()
        second.close()
    finally:
        one.close()
        other.close()
    assert unsound(database_url) == []


def _case(first: Client, second: Client) -> None:
    red = {"coding": [{"system": CODES, "code": "ABC"}]}
    organization = {"reference": "Organization/o", "identifier": {"system": CODES, "value": "XYZ"}}
    medication = {"resourceType": "Medication", "id": "m", "code": red, "marketingAuthorizationHolder": organization}
    assert first.send("PUT", "/Organization/o", {"resourceType": "Organization", "id": "o", "name": "O"}).status == 201
    assert first.send("PUT", "/Medication/m", medication).status == 201
    holder = f"/Medication?marketingauthorizationholder:identifier={CODES}|xyz&_summary=count"
    assert _found(second, "abc") == 1
    assert second.send("GET", holder, headers=STRICT).json["total"] == 1
    for sensitive, status in ((True, 201), (False, 200), (True, 200)):
        assert first.send("PUT", "/CodeSystem/codes", _code_system(sensitive)).status == status
        assert until(lambda: second.send("GET", _by("ABC"), headers=STRICT).status == 200)
        assert _found(second, "ABC") == 1
        assert _found(second, "abc") == (0 if sensitive else 1)
        assert second.send("GET", holder, headers=STRICT).json["total"] == (0 if sensitive else 1)
    assert first.send("DELETE", "/CodeSystem/codes").status == 204
    assert until(lambda: second.send("GET", _by("ABC"), headers=STRICT).status == 200)


def _by(code: str) -> str:
    return f"/Medication?code={CODES}|{code}&_summary=count"


def _found(client: Client, code: str) -> int:
    answer = client.send("GET", _by(code), headers=STRICT)
    assert answer.status == 200, answer.body
    return int(answer.json["total"])
