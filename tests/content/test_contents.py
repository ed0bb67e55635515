"""Content is whatever holds resources: type folders, loose files, bundles, NDJSON, FHIR packages; nothing of it is
passed over without a word (https://hl7.org/fhir/R5/packages.html).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.content.contents import contents
from apothecary.content.sync import Report, sync
from apothecary.errors import BrokenContent, ContentError
from apothecary.fhir.meta import stamp
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.content.packing import as_bytes, tarball, unpacked, zipped

URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def resource(type_: str, identity: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": type_, "id": identity, **more}


def medication(identity: str, **more: Any) -> dict[str, Any]:
    return resource("Medication", identity, **more)


def lines(*resources: dict[str, Any]) -> bytes:
    return b"\n".join(map(as_bytes, resources))


# In R4 a form is an element of Medication, and a definition says its own release.
OLD = medication("w", form={"text": "x"}, ingredient=[{"itemCodeableConcept": {"text": "a"}}])
PROFILE = {
    **resource("StructureDefinition", "p", url="http://example.org/p", name="P", status="active", kind="resource"),
    "abstract": False,
    "type": "Medication",
    "fhirVersion": "5.0.0",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Medication",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Medication", "path": "Medication"}]},
}
GUIDE = {
    **resource("ImplementationGuide", "g", url="http://example.org/g", name="G", status="active", packageId="g"),
    "fhirVersion": ["4.0.1"],
}
COLLECTION = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"fullUrl": URN, "resource": {"resourceType": "Organization", "name": "Acme"}},
        {
            "fullUrl": "http://example.org/fhir/Medication/m",
            "resource": medication("m", marketingAuthorizationHolder={"reference": URN}),
        },
    ],
}
MANIFEST = {"name": "x.y", "version": "1.0.0", "fhirVersions": ["4.0.1"]}
PACKAGE = {
    "package/package.json": MANIFEST,
    "package/.index.json": {"index-version": 2, "files": []},
    "package/Medication-w.json": OLD,
    "package/StructureDefinition-p.json": PROFILE,
    "package/example/Medication-e.json": {**OLD, "id": "e"},
    "package/openapi/x.openapi.json": {"openapi": "3.0.2", "x": "resourceType"},
    "package/other/OperationOutcome-validation.json": {"resourceType": "OperationOutcome", "id": "o"},
    "package/xml/Medication-w.xml": b'<Medication xmlns="http://hl7.org/fhir"><id value="xml"/></Medication>',
}
FOUND = {"Medication/w": "R4", "Medication/e": "R4", "StructureDefinition/p": "R5"}

Make = Callable[[Path], Path]


def beside(name: str, data: bytes) -> Make:
    def make(path: Path) -> Path:
        (path / name).write_bytes(data)
        return path / name

    return make


KINDS: dict[str, tuple[Make, dict[str, str]]] = {
    "a package": (lambda path: tarball(path / "x.tgz", PACKAGE), FOUND),
    "a package by its other name": (lambda path: tarball(path / "x.tar.gz", PACKAGE), FOUND),
    "a package of which the manifest comes last": (
        lambda path: tarball(path / "x.tgz", dict(reversed(PACKAGE.items()))),
        FOUND,
    ),
    "a package as a zip file": (lambda path: zipped(path / "x.zip", PACKAGE), FOUND),
    "a package, unpacked": (lambda path: unpacked(path, PACKAGE), FOUND),
    "the folder of a package": (lambda path: unpacked(path, PACKAGE) / "package", FOUND),
    "packages in folders, as in the package cache": (
        lambda path: unpacked(path, {f"x.y#1.0.0/{name}": one for name, one in PACKAGE.items()}),
        FOUND,
    ),
    "a package that names its release by what it depends on": (
        lambda path: tarball(
            path / "x.tgz",
            {
                "package/package.json": {"name": "x", "dependencies": {"hl7.fhir.r4.core": "4.0.1"}},
                "package/w.json": OLD,
            },
        ),
        {"Medication/w": "R4"},
    ),
    "a package of several releases": (
        lambda path: tarball(
            path / "x.tgz",
            {"package/package.json": {**MANIFEST, "fhirVersions": ["3.0.2", "4.3.0"]}, "package/w.json": OLD},
        ),
        {"Medication/w": "R4B"},
    ),
    "loose files as SUSHI writes them": (
        lambda path: unpacked(
            path, {"Medication-w.json": OLD, "ImplementationGuide-g.json": GUIDE, "package.json": {"name": "node"}}
        ),
        {"Medication/w": "R4", "ImplementationGuide/g": "R4"},
    ),
    "loose files beside type folders": (
        lambda path: unpacked(path, {"Medication/a.json": medication("a"), "Medication-b.json": medication("b")}),
        {"Medication/a": "R5", "Medication/b": "R5"},
    ),
    "type folders of a package, and what says its own release": (
        lambda path: unpacked(
            path,
            {"package.json": MANIFEST, "Medication/w.json": OLD, "StructureDefinition/p.json": PROFILE},
        ),
        {"Medication/w": "R4", "StructureDefinition/p": "R5"},
    ),
    "loose files in folders": (
        lambda path: unpacked(path, {"drugs/oral/a.json": medication("a"), "LICENSES.md": b"", "x.csv": b""}),
        {"Medication/a": "R5"},
    ),
    "NDJSON in a folder, compressed or not": (
        lambda path: unpacked(
            path,
            {
                "1.Medication.ndjson": lines(medication("a"), medication("b")),
                "2.Medication.ndjson": lines(medication("c")),
                "1.Group.ndjson.gz": gzip.compress(
                    lines(resource("Group", "g", type="person", membership="definitional"))
                ),
            },
        ),
        {"Medication/a": "R5", "Medication/b": "R5", "Medication/c": "R5", "Group/g": "R5"},
    ),
    "a file of NDJSON": (
        beside("x.ndjson", lines(medication("a"), medication("b"))),
        {"Medication/a": "R5", "Medication/b": "R5"},
    ),
    "a bundle": (
        beside("x.json", as_bytes(COLLECTION)),
        {"Medication/m": "R5", f"Organization/{URN.removeprefix('urn:uuid:')}": "R5"},
    ),
    "one resource": (beside("x.yaml", b"resourceType: Medication\nid: y\n"), {"Medication/y": "R5"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_resources_are_found_in_the_release_of_what_they_were_published_in(kind: str, tmp_path: Path) -> None:
    make, expected = KINDS[kind]
    found = contents(make(tmp_path))
    assert {key: str(one.version) for key, one in found.files.items()} == expected
    assert found.left_out == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_content_is_loaded_and_validated_the_same(kind: str, tmp_path: Path) -> None:
    make, expected = KINDS[kind]
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    url = f"sqlite:///{tmp_path / 'a.db'}"
    loaded = CliRunner().invoke(main, ["load", str(path), "--database", url])
    assert loaded.exit_code == 0, loaded.output
    store = open_store(Settings(database=url))
    stored = {f"{kind}/{one.id}": str(one.fhir_version) for kind in store.types() for one in store.all_of_type(kind)}
    store.close()
    assert stored == expected
    checked = CliRunner().invoke(main, ["validate", str(path), "--format", "json"])
    errors = [one for one in json.loads(checked.stdout)["findings"] if one["severity"] == "error"]
    assert errors == [], errors


def test_what_a_publisher_made_is_served_without_what_cannot_be_used_and_that_is_told(
    tmp_path: Path, database_url: str
) -> None:
    broken = {**OLD, "id": "broken", "nonsense": True}
    files = {
        **PACKAGE,
        "package/Medication-broken.json": broken,
        "package/Medication-torn.json": b'{"resourceType": "Medication"',
        "package/example/Medication-again.json": {**OLD, "form": {"text": "other"}},
        "package/Patient-p.json": resource("Patient", "p"),
        "package/Medication-odd.json": {**OLD, "id": "odd", "status": "odd"},
    }
    path = tarball(tmp_path / "x.tgz", files)
    settings = Settings(database=database_url, content=str(path))
    store = open_store(settings)
    try:
        first = sync(settings, store)
        assert first == Report(created=4)
        told = "\n".join(first.left_out)
        assert "package/Medication-broken.json:1:" in told
        assert "nonsense" in told
        assert "package/Medication-torn.json:1:" in told
        assert "Medication/w is taken by" in told
        assert "not served (see APOTHECARY_RESOURCE_TYPES): Patient (1)" in told
        assert len(first.left_out) == 5
        # A guide is made with the codes of its day.
        assert "Medication.status is 'odd'" in told
        assert told.count("It is served all the same.") == 1
        assert store.read("Medication", "odd") is not None
        found = store.read("Medication", "w")
        assert found is not None
        assert found.fhir_version == "R4"
        assert b'"form":{"text":"x"}' in (found.body or b"")
        again = sync(settings, store)
        assert (again, again.left_out) == (Report(unchanged=4), first.left_out)
        # A new edition: what changed is a new version, what is gone is deleted, what was mended is there.
        edition = {
            **PACKAGE,
            "package/Medication-w.json": {**OLD, "status": "active"},
            "package/Medication-broken.json": {**OLD, "id": "broken"},
        }
        del edition["package/example/Medication-e.json"]
        tarball(path, edition)
        assert sync(settings, store) == Report(unchanged=1, updated=1, deleted=2, created=1)
    finally:
        store.close()


def test_every_broken_file_of_ones_own_content_is_told_at_once(tmp_path: Path) -> None:
    unpacked(
        tmp_path,
        {
            "Medication/a.json": b'{\n "resourceType": "Medication",',
            "Medication/b.json": medication("other"),
            "Medication-c.json": b'{"resourceType": "Medication",\n "id": }',
            "all.ndjson": lines(medication("d")) + b"\n{\n" + lines(resource("Medication", "not an id")),
            "Bundle-b.json": {**COLLECTION, "entry": [{"resource": {"resourceType": "Medication"}}, {}]},
            "Medicine/x.json": medication("x"),
            "Patient-p.json": resource("Patient", "p"),
        },
    )  # fmt: skip
    with pytest.raises(BrokenContent) as caught:
        contents(tmp_path, types=("Medication",))
    said = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    places = [one.partition(": ")[0] for one in said]
    assert sorted(places) == [
        "Bundle-b.json:1:106",
        "Bundle-b.json:1:73",
        "Medication-c.json:2:8",
        "Medication/a.json:2:31",
        "Medication/b.json:1:38",
        "Medicine",
        "Patient-p.json",
        "all.ndjson:2:2",
        "all.ndjson:3:38",
    ]


def test_invalid_resources_of_ones_own_content_are_told_together(tmp_path: Path, sqlite_database_url: str) -> None:
    (tmp_path / "x.ndjson").write_bytes(
        lines(*(medication(one, status="nonsense", batch={"lotNumber": 7}) for one in "ab"), medication("c"))
    )
    settings = Settings(database=sqlite_database_url, content=str(tmp_path))
    store = open_store(settings)
    with pytest.raises(ContentError) as caught:
        sync(settings, store)
    said = str(caught.value).splitlines()
    assert [one.partition(": ")[0].removeprefix(f"{tmp_path}/") for one in said] == ["x.ndjson:1:53", "x.ndjson:2:53"]
    assert all("nonsense" in one and "(and 1 more" in one for one in said)
    assert store.types() == []
    store.close()


def test_an_archive_in_a_folder_is_told_of_and_not_read(tmp_path: Path) -> None:
    tarball(tmp_path / "x.tgz", PACKAGE)
    found = contents(tmp_path)
    assert found.files == {}
    assert found.left_out == [f"{tmp_path / 'x.tgz'}: is an archive, which is content only where it is named as such"]


def test_what_is_not_a_file_of_its_own_is_not_written_back(tmp_path: Path, sqlite_database_url: str) -> None:
    from apothecary.content.pull import pull

    (tmp_path / "in").mkdir()
    content = unpacked(
        tmp_path / "in",
        {
            "Medication-a.json": medication("a"),
            "x.ndjson": lines(medication("b")),
            "p/package.json": MANIFEST,
            "p/Medication-w.json": OLD,
        },
    )
    settings = Settings(database=sqlite_database_url, content=str(content))
    store = open_store(settings)
    sync(settings, store)
    for identity in "abw":
        now = store.read("Medication", identity)
        assert now is not None
        value = {**json.loads(now.body or b""), "status": "inactive"}
        changed = now._replace(version=2, body=stamp(value, identity, 2, now.updated))
        store.write(lambda transaction, one=changed: transaction.write(one, "PUT", ()))
    said: list[str] = []
    done = pull(store, content, ("Medication",), (), None, said.append, said.append)
    assert (done.written, done.refused) == (1, 2), said
    assert json.loads((content / "Medication-a.json").read_text())["status"] == "inactive"
    assert any("Medication/b" in one and "holds others as well" in one for one in said)
    assert any("Medication/w" in one and "was published as it is" in one for one in said)
    store.close()


def exported(kind: str, identity: str, **more: Any) -> dict[str, Any]:
    """A resource as servers export it: with what they assigned."""
    meta = {"versionId": "7", "lastUpdated": "2026-01-01T00:00:00.000+00:00", "source": "#Xy12"}
    return {"resourceType": kind, "id": identity, "meta": meta, **more}


MADE_BY = exported("Medication", "m1", marketingAuthorizationHolder={"reference": "Organization/o1"})
EXPORTS: dict[str, dict[str, Any]] = {
    # Several files of a type, numbered by the client that fetched them, in the order of the alphabet.
    "numbered": {
        "1.Medication.ndjson": lines(MADE_BY),
        "2.Medication.ndjson": lines(exported("Medication", "m2")),
        "1.Organization.ndjson": lines(exported("Organization", "o1", name="Acme")),
    },
    # Files named by the server, whatever they hold, with an empty one and the list of them beside.
    "named by the server": {
        "0a1f.ndjson": lines(MADE_BY, exported("Organization", "o1", name="Acme")) + b"\n\n",
        "77b2.ndjson": b"",
        "c3d4.ndjson.gz": gzip.compress(lines(exported("Medication", "m2"))),
        "manifest.json": {"transactionTime": "2026-01-01T00:00:00Z", "output": [{"type": "Medication", "url": "x"}]},
    },
    "a folder for each type": {
        "Organization/part-0.ndjson": lines(exported("Organization", "o1", name="Acme")),
        "Medication/part-0.ndjson.gz": gzip.compress(lines(MADE_BY, exported("Medication", "m2"))),
    },
    "a folder for each type in a folder": {
        "out/Medication/part-0.ndjson": lines(MADE_BY, exported("Medication", "m2")),
        "out/Organization/part-0.ndjson": lines(exported("Organization", "o1", name="Acme")),
    },
    "pages of searches": {
        f"page-{number}.json": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one}]}
        for number, one in enumerate((MADE_BY, exported("Medication", "m2"), exported("Organization", "o1", name="A")))
    },
}


@pytest.mark.parametrize("shape", EXPORTS)
def test_what_other_servers_export_is_taken_in_any_order_as_content_and_by_load(shape: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "in", EXPORTS[shape])
    keys = ["Medication/m1", "Medication/m2", "Organization/o1"]
    assert sorted(contents(folder).files) == keys
    # Backwards as well: what is pointed to comes later, or earlier.
    backwards = sorted((one for one in folder.rglob("*.*") if one.name != "manifest.json"), reverse=True)
    for number, paths in enumerate(([folder], backwards)):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        loaded = CliRunner().invoke(main, ["load", "--database", url, *map(str, paths)])
        assert (loaded.exit_code, "3 created" in loaded.output) == (0, True), loaded.output
