"""What an operator loads is bounded as what comes over REST is, only 20 times wider, and what is over is told with its
place. https://hl7.org/fhir/R5/http.html#Status-Codes
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apothecary.app import create_app
from apothecary.cli import main
from apothecary.content import files, stream
from apothecary.content.sync import sync
from apothecary.errors import ContentError
from apothecary.fhir.json import MAX_DEPTH
from apothecary.settings import Settings
from apothecary.store.open import open_store

LIMITS = {"APOTHECARY_INDEX_LIMIT": "10", "APOTHECARY_TEXT_LIMIT": "100"}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def organization(identity: str, identifiers: int = 0, text: int = 0) -> dict[str, Any]:
    found = [{"system": "urn:x", "value": f"v{number}"} for number in range(identifiers)]
    narrative = {"text": {"status": "generated", "div": DIV.format("a " * (text // 2))}} if text else {}
    return {"resourceType": "Organization", "id": identity, **narrative, "name": "x"} | (
        {"identifier": found} if found else {}
    )


GOOD = organization("good", identifiers=30, text=1_000)
BAD = {
    "APOTHECARY_INDEX_LIMIT": organization("bad", identifiers=300),
    "APOTHECARY_TEXT_LIMIT": organization("bad", text=3_000),
}


def load(url: str, *paths: Path) -> Result:
    return CliRunner(env=LIMITS).invoke(main, ["load", "--database", url, *map(str, paths)])


@pytest.mark.parametrize("setting", BAD)
def test_what_is_too_much_is_told_with_its_place_and_the_rest_is_loaded(
    database_url: str, tmp_path: Path, setting: str
) -> None:
    lines, whole = tmp_path / "a.ndjson", tmp_path / "b.json"
    lines.write_text("".join(json.dumps(one) + "\n" for one in (GOOD, BAD[setting], organization("last"))))
    entries = [{"resource": {**one, "id": f"b{one['id']}"}} for one in (BAD[setting], GOOD)]
    whole.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, indent=1))
    result = load(database_url, lines, whole)
    assert result.exit_code == 1
    assert "3 created, 0 updated, 0 unchanged, 2 failed" in result.output
    for place in (f"{lines}:2:1: Organization/bad: ", f"{whole}:6:16: Organization/bbad: "):
        (told,) = [line for line in result.output.splitlines() if line.startswith(place)]
        assert f"20 times {setting}" in told
    store = open_store(Settings(database=database_url))
    held = {one.id: json.loads(one.body or b"") for one in store.all_of_type("Organization")}
    found = create_app(Settings(database=database_url, content=""), store).test_client()
    # Nothing of it is cut: what was loaded is whole, and found by its last value.
    assert held.keys() == {"good", "last", "bgood"}
    assert held["good"]["text"] == GOOD["text"]
    assert found.get("/fhir/Organization?identifier=urn:x|v29").json["total"] == 2
    store.close()


@pytest.mark.parametrize("setting", BAD)
def test_the_content_folder_is_refused_whole_and_the_file_named(
    database_url: str, tmp_path: Path, setting: str
) -> None:
    folder = tmp_path / "Organization"
    folder.mkdir()
    for one in (GOOD, BAD[setting]):
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    settings = Settings(database=database_url, content=str(tmp_path), index_limit=10, text_limit=100)
    store = open_store(settings)
    with pytest.raises(ContentError, match=f"bad.json:1:1: .*20 times {setting}"):
        sync(settings, store)
    assert list(store.all_of_type("Organization")) == []
    (folder / "bad.json").unlink()
    assert sync(settings, store).created == 1
    store.close()


def test_over_rest_it_is_the_setting_itself(database_url: str) -> None:
    settings = Settings(database=database_url, content="", index_limit=10, text_limit=100)
    store = open_store(settings)
    client = create_app(settings, store).test_client()
    for setting, one in (("INDEX", organization("a", identifiers=20)), ("TEXT", organization("a", text=200))):
        answer = client.put("/fhir/Organization/a", json=one)
        assert answer.status_code == 413
        assert f"(APOTHECARY_{setting}_LIMIT)" in answer.text
    store.close()


def test_a_document_that_is_nested_too_deep_is_told_with_its_place(database_url: str, tmp_path: Path) -> None:
    deep = '{"resourceType": "Organization", "id": "a", "x": ' + "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5) + "}"
    path = tmp_path / "deep.json"
    path.write_text(deep)
    result = load(database_url, path)
    assert result.exit_code == 1
    assert f"{path}:1:" in result.output
    assert f"nested deeper than {MAX_DEPTH} levels" in result.output
    (tmp_path / "Organization").mkdir()
    path.rename(tmp_path / "Organization" / "a.json")
    settings = Settings(database=database_url, content=str(tmp_path))
    store = open_store(settings)
    with pytest.raises(ContentError, match=r"a\.json:1:\d+: .*nested deeper"):
        sync(settings, store)
    store.close()


def test_a_file_that_is_too_long_is_not_read_whole(
    sqlite_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_FILE", 2_000)
    monkeypatch.setattr(files, "MAX_RESOURCE", 2_000)
    (tmp_path / "Organization").mkdir()
    path = tmp_path / "Organization" / "a.json"
    path.write_text(json.dumps(organization("a", text=3_000)))
    result = load(sqlite_database_url, path)
    assert result.exit_code == 2
    assert f"{path}: is longer than 2000 bytes" in result.output
    settings = Settings(database=sqlite_database_url, content=str(tmp_path))
    store = open_store(settings)
    with pytest.raises(ContentError, match="is longer than 2000 bytes"):
        sync(settings, store)
    store.close()
