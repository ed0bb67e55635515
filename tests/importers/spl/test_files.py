"""Files of labels: zip files of zip files, versions of one label, and what is broken, which harms nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from apothecary.errors import StartError
from apothecary.importers.spl import MOST_TAGS
from tests.importers.making import by_type, imported
from tests.importers.spl.label import SET_ID, label, product, section

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
GOOD = label(section("34067-9", "<paragraph>Heartburn</paragraph>"))
OTHER = "99999999-2222-4333-8444-555555555555"


def zipped(path: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path.read_bytes()


def test_labels_are_read_where_they_lie_in_zip_files_of_a_release(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "one.zip", {"a.xml": GOOD.encode(), "a-01.jpg": b"image"})
    other = GOOD.replace("11111111", "99999999").encode()
    second = zipped(tmp_path / "two.zip", {"b.xml": other, "b-01.jpg": b"image"})
    release = tmp_path / "release"
    release.mkdir()
    zipped(release / "labels.zip", {"prescription/one.zip": inner, "prescription/two.zip": second})
    resources, remarks = imported("spl", release)
    assert len(by_type(resources, "Composition")) == 2
    assert remarks == []


@pytest.mark.parametrize(
    ("rows", "codes", "told"),
    [
        (f"{SET_ID.upper()}|3|206157|a|SBD\n{SET_ID}|3|206157|b|PSN\n{OTHER}|1|1|c|SCD\n", ["206157"], ""),
        (
            f"{SET_ID}|3|206157|a|SBD\n{SET_ID}|3|206159|b|SBD\n",
            [],
            "has several RxCUIs, and its products get none",
        ),
        (f"{SET_ID}|3\n{OTHER}|1|1|c|SCD\n", [], "has 2 columns, not 5"),
    ],
)
def test_the_products_of_a_label_of_one_drug_have_the_rxcui_that_is_given_beside(
    tmp_path: Path, rows: str, codes: list[str], told: str
) -> None:
    (tmp_path / "a.xml").write_text(label(products=product("0001-0002")))
    (tmp_path / "mapping.txt").write_text(f"SETID|SPL_VERSION|RXCUI|RXSTRING|RXTTY\n{rows}")
    resources, remarks = imported("spl", tmp_path)
    for kind in ("Medication", "MedicationKnowledge"):
        codings = by_type(resources, kind)[0]["code"]["coding"]
        assert [one["code"] for one in codings if one["system"] == RXNORM] == codes
    assert [one.reason for one in remarks if told and told in one.reason] == [one.reason for one in remarks]
    assert bool(remarks) == bool(told)


@pytest.mark.parametrize("order", [("2", "3"), ("3", "2"), ("3", "3")])
def test_of_several_files_of_a_label_the_newest_is_read(tmp_path: Path, order: tuple[str, str]) -> None:
    for name, version in zip("ab", order, strict=True):
        (tmp_path / f"{name}.xml").write_text(
            label(section("34067-9", f"<paragraph>{name}</paragraph>"), version=version)
        )
    resources, remarks = imported("spl", tmp_path)
    assert [one["version"] for one in by_type(resources, "Composition")] == ["3"]
    assert len({one["id"] for one in by_type(resources, "ClinicalUseDefinition")}) == 1
    (passed,) = remarks
    assert "has version 3 of this label" in passed.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD.encode()[:-40], "The text is not well-formed XML"),
        (b"", "The text is not well-formed XML"),
        (GOOD.replace("Made", "M\xe4de").encode("latin-1"), "is not UTF-8: byte"),
        (GOOD.encode("utf-16"), "is not UTF-8: byte"),
        (GOOD.replace("<document", '<!DOCTYPE a [<!ENTITY b "c">]><document').encode(), "document type declaration"),
        (GOOD.replace("urn:hl7-org:v3", "urn:other").encode(), "is no Structured Product Label: its root is document"),
        (b"<patient xmlns='urn:hl7-org:v3'/>", "is no Structured Product Label: its root is patient"),
        (GOOD.replace("setId", "otherId").replace("<id ", "<noId ").encode(), "has neither a set id nor an id"),
        (label().encode(), "is no label: HUMAN PRESCRIPTION DRUG LABEL"),
        (b"<a>" * 300 + b"</a>" * 300, "nested deeper than 200 levels"),
        (b"<a>" + b"<b/>" * MOST_TAGS + b"</a>", "has more than 500000 tags"),
        (b"<a>" + b'<b c="" d="" e="" f=""/>' * 125_001 + b"</a>", "or 500000 attributes"),
        (b"<a>" + b" " * (32 * 1024 * 1024) + b"</a>", "cannot be read: is larger than"),
    ],
)
def test_a_broken_file_is_named_and_the_rest_goes_on(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "broken.xml").write_bytes(data)
    (tmp_path / "good.xml").write_text(label(section("34067-9", "<paragraph>x</paragraph>"), set_id=OTHER))
    resources, remarks = imported("spl", tmp_path)
    assert len(by_type(resources, "Composition")) == 1
    (passed,) = [one for one in remarks if one.kind == "skipped"]
    assert Path(passed.place.file).name == "broken.xml"
    assert reason in passed.reason


def test_a_torn_zip_file_in_another_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "one.zip", {"a.xml": GOOD.encode()})
    release = tmp_path / "release"
    release.mkdir()
    zipped(release / "labels.zip", {"torn.zip": whole[:-30], "whole.zip": whole})
    resources, remarks = imported("spl", release)
    assert len(by_type(resources, "Composition")) == 1
    assert ["torn.zip" in one.place.file for one in remarks] == [True]


def test_a_strict_import_ends_with_the_first_file_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken.xml").write_text("<")
    with pytest.raises(StartError, match=r"broken.xml.*not well-formed"):
        imported("spl", tmp_path, strict=True)
