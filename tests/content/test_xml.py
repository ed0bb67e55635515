"""FHIR XML is read as the JSON it means: https://hl7.org/fhir/R5/xml.html"""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.content.xml import read_xml
from apothecary.fhir.json import FhirDecimal, dumps
from apothecary.fhir.releases import FhirVersion

FHIR = 'xmlns="http://hl7.org/fhir"'


def read(inner: str, resource_type: str = "Medication") -> dict[str, Any]:
    document = read_xml("x.xml", f"<{resource_type} {FHIR}>{inner}</{resource_type}>")
    assert document.issues == ()
    value = document.value
    assert isinstance(value, dict)
    assert value.pop("resourceType") == resource_type
    return value


def told(text: str) -> list[tuple[str | None, int, int]]:
    return [(placed.issue.rule, placed.line, placed.column) for placed in read_xml("x.xml", text).issues]


@pytest.mark.parametrize(
    ("inner", "meant"),
    [
        ('<id value="m"/><status value="active"/>', {"id": "m", "status": "active"}),
        ('<code><text value="ä &amp; &#98;"/></code>', {"code": {"text": "ä & b"}}),
        ('<identifier><value value="1"/></identifier>', {"identifier": [{"value": "1"}]}),
        ('<status id="s" value="active"/>', {"status": "active", "_status": {"id": "s"}}),
        ('<status id="s"/>', {"_status": {"id": "s"}}),
        ("<status/>", {"status": None}),
        (
            '<extension id="e" url="http://x"><valueBoolean value="true"/></extension>',
            {"extension": [{"id": "e", "url": "http://x", "valueBoolean": True}]},
        ),
        (
            '<meta><profile value="a"/><profile id="p"/><profile value="c"/></meta>',
            {"meta": {"profile": ["a", None, "c"], "_profile": [None, {"id": "p"}, None]}},
        ),
        ('<meta><profile value="a"/><profile value="b"/></meta>', {"meta": {"profile": ["a", "b"]}}),
        (
            '<contained><Organization><id value="o"/></Organization></contained>',
            {"contained": [{"resourceType": "Organization", "id": "o"}]},
        ),
        (
            '<ingredient><item/><isActive value="yes"/></ingredient>',
            {"ingredient": [{"item": {}, "isActive": "yes"}]},
        ),
        ("<!-- a comment --><?and an='instruction'?>", {}),
    ],
)
def test_elements_become_the_properties_that_they_mean(inner: str, meant: dict[str, Any]) -> None:
    assert read(inner) == meant


@pytest.mark.parametrize(
    ("element", "meant"),
    [
        ('<valueDecimal value="0.50"/>', b"0.50"),
        ('<valueDecimal value="1E3"/>', b"1E3"),
        ('<valueDecimal value="x"/>', b'"x"'),
        ('<valueDecimal value="1e9999999999999999999"/>', b'"1e9999999999999999999"'),
        ('<valueInteger value="-7"/>', b"-7"),
        ('<valueInteger value="07"/>', b'"07"'),
        ('<valueInteger64 value="7"/>', b'"7"'),
        ('<valueString value="7"/>', b'"7"'),
        ('<valueDate value="2024"/>', b'"2024"'),
        ('<valueBoolean value="false"/>', b"false"),
    ],
)
def test_a_literal_is_typed_by_its_element_and_keeps_its_digits(element: str, meant: bytes) -> None:
    (extension,) = read(f'<extension url="u">{element}</extension>')["extension"]
    assert dumps(extension[element[1:].partition(" ")[0]]) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('<div xmlns="{X}"><p a="b">1 &lt; 2<br/> ä</p></div>', '<div xmlns="{X}"><p a="b">1 &lt; 2<br/> ä</p></div>'),
        ('<div xmlns="{X}"><p/><br></br></div>', '<div xmlns="{X}"><p></p><br/></div>'),
        ('<h:div xmlns:h="{X}"><h:b>x</h:b></h:div>', '<div xmlns="{X}"><b>x</b></div>'),
        ('<div xmlns="{X}" xml:lang="en" id="&quot;&lt;"/>', '<div xmlns="{X}" xml:lang="en" id="&quot;&lt;"></div>'),
        ('<div xmlns="{X}">&#xA0;<!-- c --><![CDATA[<&]]></div>', '<div xmlns="{X}">\u00a0&lt;&amp;</div>'),
    ],
)  # fmt: skip
def test_a_narrative_is_kept_as_text_that_stands_on_its_own(written: str, meant: str) -> None:
    xhtml = "http://www.w3.org/1999/xhtml"
    text = read(f'<text><status value="generated"/>{written.replace("{X}", xhtml)}</text>')["text"]
    assert text == {"status": "generated", "div": meant.replace("{X}", xhtml)}


def test_a_resource_in_a_bundle_is_read_by_its_own_tables() -> None:
    strength = '<strengthQuantity><value value="5.0"/></strengthQuantity>'
    medication = f"<Medication><ingredient>{strength}</ingredient></Medication>"
    value = read(f"<entry><resource>{medication}</resource></entry>", "Bundle")
    ingredient = {"strengthQuantity": {"value": FhirDecimal("5.0")}}
    assert value == {"entry": [{"resource": {"resourceType": "Medication", "ingredient": [ingredient]}}]}


def test_the_release_decides_which_elements_there_are() -> None:
    text = f'<MedicationKnowledge {FHIR}><amount><value value="1"/></amount></MedicationKnowledge>'
    assert read_xml("x.xml", text, FhirVersion.R4).value["amount"] == {"value": 1}
    assert read_xml("x.xml", text, FhirVersion.R5).value["amount"] == {"value": "1"}


def test_every_value_is_found_where_it_stands() -> None:
    text = f'<Medication {FHIR}>\n <meta>\n  <profile value="ä"/><profile id="b"/>\n </meta><code/>\n</Medication>'
    find = read_xml("x.xml", text).positions.find
    assert find(()) == (1, 1)
    assert find(("meta", "profile", 1)) == (3, 23)
    assert find(("meta", "_profile", 1, "id")) == (3, 23)
    assert find(("code", "coding")) == (4, 9)
    assert find(("nothing",)) == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("xml-syntax", 1, 1)]),
        ("<a", [("xml-syntax", 1, 1)]),
        ("<a>\n</b>", [("xml-syntax", 2, 3)]),
        ("<a>&lol;</a>", [("xml-syntax", 1, 4)]),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a/>', [("xml-doctype", 1, 13)]),
        ('\n<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', [("xml-doctype", 2, 40)]),
        ("<a>" * 100_000, [("too-deep", 1, 601)]),
        ("<Group/>", [("xml-namespace", 1, 1)]),
        (f'<Group {FHIR}><id xmlns="urn:x" value="1"/></Group>', [("xml-namespace", 1, 36)]),
        (f'<Group {FHIR}><name value="n"/><id value="g"/></Group>', [("xml-element-order", 1, 53)]),
        (f'<Group {FHIR}><id value="g"/><id value="g"/></Group>', [("xml-repeated-element", 1, 51)]),
        (f"<Group {FHIR}>stray<name x='y' value='n'/></Group>", [("xml-unexpected", 1, 1), ("xml-unexpected", 1, 41)]),
        (f'<Group {FHIR}><code><id value="x"/></code></Group>', [("xml-unexpected", 1, 42)]),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_what_xml_alone_can_get_wrong_is_told_at_its_place(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert told(text) == expected


def test_an_element_that_nobody_knows_stays_for_validation_to_refuse() -> None:
    text = f'<Group {FHIR}><id value="g"/><foo value="1"/><bar><id value="2"/></bar></Group>'
    document = read_xml("x.xml", text)
    assert document.value == {"resourceType": "Group", "id": "g", "foo": "1", "bar": {"id": "2"}}
    assert document.positions.find(("foo",)) == (1, 51)
