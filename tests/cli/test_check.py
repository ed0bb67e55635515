"""`apothecary check` finds what a database must not hold, and nothing in one that is sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from apothecary.cli import main
from apothecary.content.sync import sync
from apothecary.fhir.json import dumps
from apothecary.settings import Settings
from apothecary.store import check
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, served, write_content
from tests.durability.test_crashes import Writer

CONTAINER: dict[str, Any] = {
    "resourceType": "Medication",
    "id": "container",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Inside"}],
    "marketingAuthorizationHolder": {"reference": "#o"},
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def found(url: str) -> list[str]:
    """The defects that the command names; the status agrees with them."""
    result = run("check", "--database", url)
    assert result.exit_code == (1 if result.stdout else 0), result.output
    return result.stdout.splitlines()


@pytest.fixture
def filled(emptied_url: str, tmp_path: Path) -> str:
    """A database with content, versions, a deletion, contained resources, and one written in R4."""
    content = tmp_path / "content"
    resources = [{"resourceType": "Medication", "id": f"m{n}", "status": "active"} for n in range(4)]
    settings = Settings(database=emptied_url, content=str(content))
    store = open_store(settings)
    write_content(content, [*resources, CONTAINER])
    sync(settings, store)
    write_content(content, [resources[0] | {"status": "inactive"}])
    (content / "Medication" / "m3.json").unlink()
    sync(settings, store)
    server = InProcess(settings, store)
    post(server, "/fhir/r4/Medication", {"resourceType": "Medication", "form": {"text": "tablet"}})
    post(server, "/fhir/r4/MedicationKnowledge", {"resourceType": "MedicationKnowledge", "status": "active"})
    store.close()
    return emptied_url


def post(server: InProcess, path: str, resource: dict[str, Any]) -> None:
    answer = server.ask("POST", path, {"Content-Type": "application/fhir+json"}, json.dumps(resource))
    assert answer.status == 201, answer.body


def rows(url: str, statement: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        assert connection.execute(text(statement)).rowcount


DEFECTS: list[tuple[str, str]] = [
    ("DELETE FROM index_token WHERE id = 'm1'", "Medication/m1 lacks an index row"),
    ("UPDATE index_token SET code = 'x' WHERE id = 'm1' AND parameter = 'status'", "has an index row too many"),
    ("DELETE FROM index_string WHERE type = 'Organization#'", "Medication/container#o lacks an index row"),
    ("DELETE FROM index_token WHERE type = 'MedicationKnowledge'", "lacks an index row"),
    ("UPDATE index_token SET id = 'ghost' WHERE id = 'm1'", "index_token has rows of Medication/ghost"),
    ("UPDATE index_token SET id = 'm3' WHERE id = 'm2'", "index_token has rows of Medication/m3"),
    (
        "DELETE FROM superseded WHERE id = 'm0' AND version = 1",
        "Medication/m0 is at version 2, of those before there are 0, up to 0",
    ),
    (
        "UPDATE superseded SET version = 3 WHERE id = 'm0'",
        "Medication/m0 is at version 2, of those before there are 1, up to 3",
    ),
    (
        "UPDATE resource SET updated = 1 WHERE id = 'm0'",
        "Medication/m0 version 2 was not made when the one before was replaced",
    ),
    ("DELETE FROM resource WHERE id = 'm0'", "superseded has rows of Medication/m0"),
    ("UPDATE resource SET body = CAST('{}' AS {blob}) WHERE id = 'm1'", "says of itself that it is (None, None, None)"),
    ("UPDATE resource SET body = CAST('[' AS {blob}) WHERE id = 'm1'", "Medication/m1 version 1 cannot be read"),
    ("UPDATE resource SET body = CAST('[1]' AS {blob}) WHERE id = 'm1'", "Medication/m1 version 1 cannot be read"),
]


def test_a_sound_database_has_no_defect(filled: str) -> None:
    assert found(filled) == []


@pytest.mark.parametrize(("statement", "said"), DEFECTS, ids=[said for _, said in DEFECTS])
def test_a_defect_is_named(filled: str, statement: str, said: str) -> None:
    blob = "bytea" if filled.startswith("postgresql") else "BLOB"
    rows(filled, statement.replace("{blob}", blob))
    assert any(said in line for line in found(filled)), found(filled)


def test_more_defects_of_a_kind_than_are_named_are_said_to_be_more(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(filled, "DELETE FROM resource WHERE id IN ('m0', 'm3')")
    rows(filled, "UPDATE resource SET version = 9")
    monkeypatch.setattr(check, "MOST", 1)
    lines = found(filled)
    assert "superseded has rows of more than 1 resources that are not there" in lines
    assert "there are more than 1 resources that do not agree with their versions" in lines


def test_an_index_of_other_rules_is_one_defect(filled: str) -> None:
    rows(filled, "UPDATE state SET value = 'of another version' WHERE name = 'index'")
    (line,) = found(filled)
    assert "apothecary serve makes it anew" in line


def test_what_is_not_served_is_said_to_be_unchecked(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(filled, "DELETE FROM state WHERE name = 'index'")
    monkeypatch.setenv("APOTHECARY_RESOURCE_TYPES", "Organization")
    result = run("check", "--database", filled)
    assert "not served, so their index was not checked: Medication" in result.stderr


def test_what_is_written_meanwhile_is_no_defect(filled: str, tmp_path: Path) -> None:
    with served({"database": filled, "content": str(tmp_path / "content"), "workers": "2"}) as server:
        writer = Writer(server.port)
        writer.start()
        try:
            for _ in range(2):
                assert found(filled) == []
        finally:
            writer.stop()
        assert writer.created


def test_a_resource_that_is_written_while_it_is_looked_at_is_looked_at_again(filled: str) -> None:
    settings = Settings(database=filled, content="")
    store = open_store(settings)
    calls: list[int] = []

    def rows_of(stored: Stored) -> None:
        if stored.id == "m1" and not calls:
            # It is gone from its history, and comes back: whoever looks once sees a defect that is none.
            calls.append(stored.version)
            body = dumps({"resourceType": "Medication", "id": "m1", "meta": {"versionId": "2"}})
            store.write(lambda t: t.write(stored._replace(version=2, body=body), "PUT", ()))
            raise ValueError("a state between two others")

    assert list(check.disagreements(store, rows_of)) == []
    assert calls == [1]
    store.close()


def test_a_damaged_file_is_a_defect_and_no_traceback(sqlite_database_url: str, tmp_path: Path) -> None:
    settings = Settings(database=sqlite_database_url, content=str(tmp_path / "content"))
    store = open_store(settings)
    many = [{"resourceType": "Medication", "id": f"m{n}", "status": "active"} for n in range(100)]
    write_content(tmp_path / "content", many)
    sync(settings, store)
    store.close()
    path = Path(str(make_url(sqlite_database_url).database))
    data = bytearray(path.read_bytes())
    # The pages of the tables; the first ones hold the schema, without which nothing can be opened.
    for page in range(60, len(data) // 4096, 2):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    path.write_bytes(bytes(data))
    result = run("check", "--database", sqlite_database_url)
    assert result.exit_code in (1, 2)
    assert "damaged" in result.output or "malformed" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no such database"),
        (lambda path: path.write_bytes(b""), "holds no resources yet"),
        (lambda path: path.write_bytes(b"no database" * 100), "the file is no SQLite database"),
        (lambda path: path.mkdir(), "it is a folder, not a file"),
    ],
    ids=["absent", "empty", "text", "folder"],
)
@pytest.mark.parametrize("command", [("check",), ("content", "status"), ("content", "pull")], ids=" ".join)
def test_without_a_database_nothing_runs_and_nothing_is_made(
    tmp_path: Path, make: Callable[[Path], Any], said: str, command: tuple[str, ...]
) -> None:
    path = tmp_path / "some.db"
    make(path)
    (tmp_path / "content").mkdir()
    where = [] if command == ("check",) else ["--content", str(tmp_path / "content")]
    result = run(*command, "--database", f"sqlite:///{path}", *where)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    if not path.is_dir():
        assert path.exists() == (said != "there is no such database")
