"""What is mended without asking has one reading; what has more than one is left to its author."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.content.mend import mended
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.mends import mends

UCUM = "http://unitsofmeasure.org"
R5 = definitions(FhirVersion.R5)


def mended_value(resource: Any, version: FhirVersion = FhirVersion.R5) -> Any:
    changed = copy.deepcopy(resource)
    for mend in mends(resource, definitions(version)):
        *way, last = mend.pointer
        target = changed
        for step in way:
            target = target[step]
        target[last] = mend.value
    return changed


def coded(system: str) -> dict[str, Any]:
    return {"resourceType": "Medication", "code": {"coding": [{"system": system, "code": "1"}]}}


def measured(**quantity: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "ingredient": [{"strengthQuantity": quantity}]}


MENDED = [
    ({"resourceType": "Medication", "status": " active\n"}, {"resourceType": "Medication", "status": "active"}),
    ({"resourceType": "Medication", "id": "a "}, {"resourceType": "Medication", "id": "a"}),
    *(
        (coded(wrong), coded("http://loinc.org"))
        for wrong in (
            "https://loinc.org",
            "http://loinc.org/",
            "http://www.loinc.org",
            "HTTP://LOINC.org",
            " http://loinc.org",
        )
    ),
    (coded("https://snomed.info/sct/"), coded("http://snomed.info/sct")),
    (coded("http://whocc.no/atc"), coded("http://www.whocc.no/atc")),
    (measured(unit="mg", code="MG", system=UCUM), measured(unit="mg", code="mg", system=UCUM)),
    (measured(unit="mL", code="ML", system=UCUM), measured(unit="mL", code="mL", system=UCUM)),
    (measured(unit="mg", code="MG", system=UCUM + "/"), measured(unit="mg", code="mg", system=UCUM)),
    (
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"search": {"mode": "match"}}, {"search": {"mode": "include"}}],
        },
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"search": {"mode": "match"}}, {"search": {"mode": "include"}}],
            "total": 1,
        },
    ),
    (
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": coded("https://loinc.org")}]},
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": coded("http://loinc.org")}]},
    ),
    (
        {"resourceType": "List", "contained": [{"resourceType": "Medication", "id": " m"}]},
        {"resourceType": "List", "contained": [{"resourceType": "Medication", "id": "m"}]},
    ),
]
LEFT = [
    {"resourceType": "MedicationRequest", "authoredOn": "2024-01-01T10:00:00"},
    {"resourceType": "Medication", "status": "  "},
    {"resourceType": "Medication", "status": "Active"},
    {"resourceType": "Medication", "code": {"text": " x "}},
    coded("http://loinc.org/vs"),
    coded("rxnorm"),
    coded("http://snomed.info/sct/900000000000207008"),
    coded("http://example.org/loinc.org"),
    measured(unit="MG", code="mg", system=UCUM),
    measured(unit="g", code="mg", system=UCUM),
    measured(unit="mg", code="MG", system="http://example.org"),
    measured(unit="tablet", code="TABLET", system=UCUM),
    {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": coded("http://loinc.org")}]},
    {"resourceType": "Bundle", "type": "collection", "entry": [{"search": {"mode": "match"}}]},
    {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": "http://a.b/c"}],
        "entry": [{"search": {"mode": "match"}}],
    },
    {"resourceType": "Nothing", "id": " a"},
    [],
    "text",
]


@pytest.mark.parametrize(("wrong", "right"), MENDED, ids=lambda value: json.dumps(value)[:70])
def test_what_has_one_reading_is_mended(wrong: Any, right: Any) -> None:
    assert mended_value(wrong) == right


@pytest.mark.parametrize("resource", LEFT, ids=lambda value: json.dumps(value)[:70])
def test_what_has_more_than_one_reading_is_left(resource: Any) -> None:
    assert mends(resource, R5) == []


@pytest.mark.parametrize("version", FhirVersion)
def test_every_release_is_mended(version: FhirVersion) -> None:
    assert mended_value(coded("https://loinc.org"), version) == coded("http://loinc.org")


def text_mended(data: bytes, *, is_lines: bool = False) -> bytes:
    return mended(data, lambda value: mends(value, R5), is_lines=is_lines)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"resourceType":"Medication" , "id" : " a" }\r\n', b'{"resourceType":"Medication" , "id" : "a" }\r\n'),
        (b'\xef\xbb\xbf{"resourceType":"Medication","id":"a "}', b'\xef\xbb\xbf{"resourceType":"Medication","id":"a"}'),
        (
            b'{"resourceType":"Bundle",\n\t"type": " searchset ",\n\t"entry":[{"search":{"mode":"match "}}]}',
            b'{"resourceType":"Bundle",\n\t"type": "searchset",\n\t"total": 1,'
            b'\n\t"entry":[{"search":{"mode":"match"}}]}',
        ),
        (b'{"resourceType":"Medication","id":" a","id":"b"}', b'{"resourceType":"Medication","id":" a","id":"b"}'),
        (b'{"resourceType":"Medication","id":" a"', b'{"resourceType":"Medication","id":" a"'),
        (b'{"resourceType":"Medication","id":" \xff"}', b'{"resourceType":"Medication","id":" \xff"}'),
        (b"", b""),
    ],
)
def test_every_other_byte_stays(before: bytes, after: bytes) -> None:
    assert text_mended(before) == after


def test_the_lines_of_ndjson_are_mended_one_by_one() -> None:
    before = b'{"resourceType":"Medication","id":" a"}\r\n\n{"id": \n{"resourceType":"Medication", "id":"b "}'
    after = b'{"resourceType":"Medication","id":"a"}\r\n\n{"id": \n{"resourceType":"Medication", "id":"b"}'
    assert text_mended(before, is_lines=True) == after


_SPACES = st.sampled_from(["", " ", "\n", "\t "])
_SYSTEM = st.sampled_from(["http://loinc.org", "https://loinc.org/", "rxnorm", UCUM, "http://example.org/a"])
_CODE = st.builds(lambda left, code, right: left + code + right, _SPACES, st.sampled_from(["mg", "MG", "x"]), _SPACES)
_RESOURCES = st.builds(
    lambda status, system, code, unit, text: {
        "resourceType": "Medication",
        "status": status,
        "code": {"text": text, "coding": [{"system": system, "code": code}]},
        "ingredient": [{"strengthQuantity": {"unit": unit, "code": code, "system": system}}],
    },
    _CODE,
    _SYSTEM,
    _CODE,
    st.sampled_from(["mg", "MG", "mL"]),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(
    _RESOURCES,
    _SPACES,
    st.sampled_from(["searchset", "collection", " searchset"]),
    st.sampled_from(["match", " match", "?"]),
)
def test_a_second_mend_changes_nothing_and_the_first_only_what_it_says(
    resource: Any, space: str, kind: str, mode: str
) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"search": {"mode": mode}, "resource": resource}]}
    text = (space + json.dumps(bundle, ensure_ascii=space == "", indent=len(space) or None)).encode()
    once = text_mended(text)
    assert text_mended(once) == once
    value, before = parse(once), parse(text)
    while True:
        changed = mended_value(before)
        if changed == before:
            break
        before = changed
    assert value == before
