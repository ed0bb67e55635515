"""Whatever stands in the rows of a directory: the import ends, each row is there or told, and what is made is valid."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apothecary.errors import StartError
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from tests.importers.ndc_files import PACKAGE, PRODUCT, Made, made

# What the columns hold in real files, in pieces that meet in the wrong order, and what nobody would write.
_PIECES = some.sampled_from(
    [
        "0002-1407", "0002-1407-01", "00002-1407-1", "ASPIRIN", "GLYCERIN (X; Y)", "; ", ";", "(", ")", "[EPC]", "[",
        "]", "],", ",", "CII", "mg/1", "mg/.5mL", "/", "1001", ".5", "5-10", "1e9", "20190628", "20190231", "99999999",
        "E", "N", "Y", "30 TABLET in 1 BOTTLE", "1 KIT in 1 BOX", " > ", " / ", " *  ", " in 1 ", "(0002-1407-01)",
        "(GS1:1)", "0", "-1", "2.5", " ", "  ", "é", "\x81", "\u2122", "\x00", "\x1f", "\ufffe", "\u202e",
        "<b>&amp;</b>", "{}", '"', "\\", "\u00a0", "\u2028", "\x85", "x" * 300,
    ]
)  # fmt: skip
_CELL = some.lists(_PIECES, max_size=5).map("".join) | some.text(
    some.characters(blacklist_characters="\t\r\n", blacklist_categories=["Cs"]), max_size=12
)
_SOME_IDENTITY = some.sampled_from(["0002-1407_a", "0002-1407_b", "0002-1408_a", ""])
_SOME_CODE = some.sampled_from(["0002-1407", "0002-1408", "12345-678", "x", ""])
_SOME_PACKAGE = some.sampled_from(["0002-1407-01", "0002-1408-01", "12345-678-90", "0002-1407", ""])


@some.composite
def _rows(draw: some.DrawFn, columns: tuple[str, ...]) -> list[list[str]]:
    found = []
    for _ in range(draw(some.integers(0, 4))):
        row = [draw(_CELL) for _ in columns]
        row[0] = draw(_SOME_IDENTITY | _CELL)
        row[1] = draw(_SOME_CODE | _CELL)
        if "NDCPACKAGECODE" in columns:
            row[2] = draw(_SOME_PACKAGE | _CELL)
        count = draw(some.sampled_from([len(row)] * 8 + [1, len(row) - 1, len(row) + 1]))
        found.append([*row, ""][:count])
    return found


def _file(columns: tuple[str, ...], rows: list[list[str]], encoding: str) -> bytes:
    return b"".join("\t".join(row).encode(encoding, "replace") + b"\n" for row in (list(columns), *rows))


def _told_or_there(found: Made, products: list[list[str]], packages: list[list[str]]) -> None:
    """As many as there are rows, but for those that are told, and those of which no character is printed."""
    for file, rows, resource_type in (
        ("product.txt", products, "Medication"),
        ("package.txt", packages, "PackagedProductDefinition"),
    ):
        skipped = {one.place.line for one in found.told if one.kind == "skipped" and one.place.file.endswith(file)}
        blank = sum(not any(one > " " and one.isprintable() for one in "".join(row)) for row in rows)
        assert len(found.of(resource_type)) + len(skipped) in range(len(rows) - blank, len(rows) + 1)


def _valid(found: Made) -> None:
    identities = {(one["resourceType"], one["id"]) for one in found.resources}
    assert len(identities) == len(found.resources)
    for resource in found.resources:
        assert [one for one in validate(parse(dumps(resource)), FhirVersion.R5) if one.rank < 2] == []


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(_rows(PRODUCT), _rows(PACKAGE), some.sampled_from(["utf-8", "cp1252", "latin-1"]))
def test_any_rows_are_there_or_told_and_valid(
    products: list[list[str]], packages: list[list[str]], encoding: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "product.txt").write_bytes(_file(PRODUCT, products, encoding))
        (Path(folder) / "package.txt").write_bytes(_file(PACKAGE, packages, encoding))
        found = made(Path(folder))
    _told_or_there(found, products, packages)
    _valid(found)


_ROW = b"0002-1407_a\t0002-1407\tX\tBrand\t\tthing\tTABLET\tORAL\t19990101\t\tNDA\tNDA1\tLilly\tA\t5\tmg/1\t\t\tN\t"
_WHOLE = b"\t".join(name.encode() for name in PRODUCT) + b"\n" + _ROW + b"\n" + _ROW.replace(b"1407", b"1408") + b"\n"


@settings(deadline=None, max_examples=60)
@given(some.lists(some.tuples(some.integers(0, len(_WHOLE)), some.integers(0, 9), some.binary(max_size=6)), max_size=4))
def test_any_bytes_end_with_resources_or_with_a_reason(changes: list[tuple[int, int, bytes]]) -> None:
    data = _WHOLE
    for at, gone, put in changes:
        data = data[:at] + put + data[at + gone :]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "product.txt").write_bytes(data)
        try:
            found = made(Path(folder))
        except StartError:
            return
    _valid(found)
    assert found.of("Medication") or any(one.kind == "skipped" for one in found.told) or data.count(b"\n") < 2
