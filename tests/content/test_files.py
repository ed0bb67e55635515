"""A content folder is read whole, fast, and never half: https://hl7.org/fhir/R5/resource.html#id"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apothecary.content import files
from apothecary.content.files import ContentFile, read_file, read_folder
from apothecary.errors import ContentError


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def resource(type_name: str, id: str) -> str:
    return json.dumps({"resourceType": type_name, "id": id})


def test_resources_are_found_below_the_folder_of_their_type_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "Medication/b.json", resource("Medication", "b"))
    write(tmp_path, "Medication/oral/tablets/a.json", resource("Medication", "a"))
    write(tmp_path, "Group/g.yaml", "resourceType: Group\nid: g\n")
    write(tmp_path, "Group/h.xml", '<Group xmlns="http://hl7.org/fhir"><id value="h"/></Group>')
    for passed_over in ("LICENSES.md", "claims.csv", "loose.json", ".git/x.json", "Group/.x.json", "Group/notes.txt"):
        write(tmp_path, passed_over, "not FHIR")
    found = [(file.resource_type, file.id) for file in read_folder(tmp_path)]
    assert found == [("Group", "g"), ("Group", "h"), ("Medication", "b"), ("Medication", "a")]


def test_the_bytes_of_a_json_file_are_kept_as_they_are(tmp_path: Path) -> None:
    text = b'{ "resourceType": "Medication",\n\t"id": "m", "x": 0.50 }\n'
    path = write(tmp_path, "Medication/m.json", text)
    file = read_file(path, "Medication")
    assert file == ContentFile(path, "Medication", "m", text, file.value)
    assert str(file.value["x"]) == "0.50"


def test_yaml_is_handed_on_as_json(tmp_path: Path) -> None:
    path = write(tmp_path, "Medication/m.yml", "resourceType: Medication\nid: m\nx: 0.50\n")
    assert read_file(path, "Medication").text == b'{"resourceType":"Medication","id":"m","x":0.50}'


@pytest.mark.parametrize(
    ("name", "text", "place", "reason"),
    [
        ("Medication/m.json", '{"resourceType": "Medication",\n "id": }', (2, 8), "Expected a value"),
        ("Medication/m.json", '{"resourceType": "Medication",\n "id": "m",\n "id": "m"}', (3, 2), "'id' stands twice"),
        ("Medication/m.json", b'{"resourceType": "Medication",\n "id": "\xff"}', (2, 9), "byte FF"),
        ("Medication/m.json", '{"resourceType": "Medication",\n "id": "m", "x": "\\udc00"}', (2, 19), "surrogate"),
        ("Medication/m.json", '{"id": "m",\n "resourceType": "Group"}', (2, 18), "is 'Group', but the folder"),
        ("Medication/m.json", '{"id": "m"}', (1, 1), "resourceType is missing"),
        (
            "Medication/m.json",
            '{"resourceType": "Medication",\n "id": "n"}',
            (2, 8),
            "the id is 'n', but the file name",
        ),
        ("Medication/m.json", '{"resourceType": "Medication"}', (1, 1), "the id is missing"),
        ("Medication/m.json", "[]", (1, 1), "one resource"),
        ("Medication/m.yaml", "resourceType: Medication\nid: n", (2, 5), "the id is 'n'"),
        ("Medication/m.yaml", "a: [", (1, 5), "did not find expected node content"),
        ("Medicine/m.json", resource("Medicine", "m"), (0, 0), "not a resource type"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str | bytes, place: tuple[int, int], reason: str
) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ContentError) as caught:
        list(read_folder(tmp_path, known_types={"Medication", "Group"}))
    assert caught.value.file in (str(path), str(path.parent))
    assert (caught.value.line, caught.value.column) == place
    assert reason in caught.value.reason


def test_an_id_may_stand_once_in_a_type_but_again_in_another(tmp_path: Path) -> None:
    write(tmp_path, "Group/x.json", resource("Group", "x"))
    write(tmp_path, "Medication/x.json", resource("Medication", "x"))
    assert len(list(read_folder(tmp_path))) == 2
    write(tmp_path, "Medication/more/x.yaml", "resourceType: Medication\nid: x\n")
    with pytest.raises(ContentError, match="the id 'x' is taken by"):
        list(read_folder(tmp_path))


def test_a_file_that_cannot_be_read_is_a_content_error(tmp_path: Path) -> None:
    (tmp_path / "Medication").mkdir()
    (tmp_path / "Medication" / "m.json").symlink_to(tmp_path / "nowhere.json")
    with pytest.raises(ContentError, match="cannot be read"):
        list(read_folder(tmp_path))


def test_sound_json_is_parsed_once_and_not_read_again_for_its_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        function = getattr(files, name)
        return lambda *arguments: (done.append(name), function(*arguments))[1]

    for name in ("parse", "_document"):
        monkeypatch.setattr(files, name, counted(name))
    for number in range(30):
        value = {"resourceType": "Medication", "id": f"m{number}", "x": ["text" * 10] * 50}
        write(tmp_path, f"Medication/m{number}.json", json.dumps(value))
    assert len(list(read_folder(tmp_path))) == 30
    assert done == ["parse"] * 30
    write(tmp_path, "Medication/m0.json", "{")
    with pytest.raises(ContentError):
        list(read_folder(tmp_path))
    assert done[30:] == ["parse", "_document"]


def test_only_files_that_hold_resources_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A database in the folder would lose its locks if this process opened and closed its file.
    from apothecary.content.sync import sync
    from apothecary.settings import Settings
    from apothecary.store.open import open_store

    (tmp_path / "Substance").mkdir()
    resource = '{"resourceType": "Substance", "id": "s", "instance": false, "code": {"concept": {"text": "x"}}}'
    (tmp_path / "Substance" / "s.json").write_text(resource)
    (tmp_path / "Substance" / "notes.txt").write_text("not a resource")
    settings = Settings(database=f"sqlite:///{tmp_path / 'apothecary.db'}", content=str(tmp_path))
    opened: list[str] = []
    really = Path.open

    def noting(path: Path, *given: Any, **named: Any) -> Any:
        if path.is_relative_to(tmp_path):
            opened.append(path.name)
        return really(path, *given, **named)

    monkeypatch.setattr(Path, "open", noting)
    store = open_store(settings)
    assert [sync(settings, store).created, sync(settings, store).unchanged] == [1, 1]
    store.close()
    assert set(opened) == {"s.json"}
