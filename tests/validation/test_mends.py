"""What is mended without asking has one reading; what has more than one is left to its author."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.content.documents import Format
from apothecary.content.mend import mended
from apothecary.content.read import read_bytes
from apothecary.content.write import file_text
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
    return mended(data, lambda value: mends(value, R5), "ndjson" if is_lines else "json")


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


XML = b'<?xml version="1.0"?>\r\n<!-- a -->\r\n<Medication xmlns="http://hl7.org/fhir">'
BUNDLE = b'<f:Bundle xmlns:f="http://hl7.org/fhir">\n  <f:type value="searchset"  />'
ENTRY = b'<f:entry><f:search><f:mode value="match"/></f:search></f:entry></f:Bundle>'


@pytest.mark.parametrize(
    ("format", "before", "after"),
    [
        ("xml", XML + b'<id  value = " a&#9;"/>\r\n</Medication>\n', XML + b'<id  value = "a"/>\r\n</Medication>\n'),
        (
            "xml",
            XML + b"<status id='x' value=' active'><!-- b --></status></Medication>",
            XML + b"<status id='x' value='active'><!-- b --></status></Medication>",
        ),
        (
            "xml",
            XML
            + "<!-- ä𝄞 --><extension url=' http://x.org/é'><valueCode value='a '/></extension></Medication>".encode(),
            XML + "<!-- ä𝄞 --><extension url='http://x.org/é'><valueCode value='a'/></extension></Medication>".encode(),
        ),
        (
            "xml",
            BUNDLE + b"\n  <f:timestamp value='2026-01-01T00:00:00Z'></f:timestamp>\n  " + ENTRY,
            BUNDLE
            + b"\n  <f:timestamp value='2026-01-01T00:00:00Z'></f:timestamp>\n  <f:total value=\"1\"/>\n  "
            + ENTRY,
        ),
        ("xml", BUNDLE + ENTRY, BUNDLE + b'\n  <f:total value="1"/>' + ENTRY),
        # An element with children, one that is no XML, one whose order is wrong: left to their authors.
        ("xml", XML + b'<id value=" a">', XML + b'<id value=" a">'),
        ("xml", XML + b'<status value=" active"/><id value="a"/>', XML + b'<status value=" active"/><id value="a"/>'),
        (
            "yaml",
            b"# a\r\nresourceType: Medication\r\nid: 'a '  # b\r\nstatus: \" active\"\r\n",
            b"# a\r\nresourceType: Medication\r\nid: 'a'  # b\r\nstatus: \"active\"\r\n",
        ),
        (
            "yaml",
            "resourceType: Medication\ncode: {text: ä𝄞, coding: [{system: https://loinc.org/, code: 1-8}]}\n".encode(),
            "resourceType: Medication\ncode: {text: ä𝄞, coding: [{system: http://loinc.org, code: 1-8}]}\n".encode(),
        ),
        (
            "yaml",
            b"resourceType: Bundle\ntype: searchset # all\nentry:\n- search: {mode: match}\n",
            b"resourceType: Bundle\ntype: searchset # all\ntotal: 1\nentry:\n- search: {mode: match}\n",
        ),
        (
            "yaml",
            b"{resourceType: Bundle, type: searchset, entry: [{search: {mode: match}}]}",
            b"{resourceType: Bundle, type: searchset, total: 1, entry: [{search: {mode: match}}]}",
        ),
        (
            "yaml",
            b"resourceType: Medication\nidentifier: [{value: x, system: &s 'https://loinc.org'}, {system: *s}]\n",
            b"resourceType: Medication\nidentifier: [{value: x, system: &s 'https://loinc.org'}, {system: *s}]\n",
        ),
        ("yaml", b"resourceType: Medication\nid: ' a'\nid: b\n", b"resourceType: Medication\nid: ' a'\nid: b\n"),
    ],
)
def test_xml_and_yaml_keep_every_other_byte(format: Format, before: bytes, after: bytes) -> None:
    assert mended(before, lambda value: mends(value, R5), format) == after
    assert mended(after, lambda value: mends(value, R5), format) == after


@given(_RESOURCES, st.sampled_from([("xml", ".xml"), ("yaml", ".yaml")]))
def test_xml_and_yaml_are_mended_to_what_json_is_mended_to(resource: Any, format: tuple[Format, str]) -> None:
    resource["code"]["text"] = "".join(filter(str.isprintable, resource["code"]["text"])) or "x"
    text = file_text(resource, format[1])
    once = mended(text, lambda value: mends(value, R5), format[0])
    assert mended(once, lambda value: mends(value, R5), format[0]) == once
    # An XML reader makes spaces of line breaks that stand in an attribute.
    assert read_bytes("", once, format[0]).value == mended_twice(read_bytes("", text, format[0]).value)


def mended_twice(value: Any) -> Any:
    return mended_value(mended_value(value))
