"""Labels that anybody wrote: nothing crashes, all that is made is valid, and what is left out is told."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apothecary.content.xhtml import xhtml_text
from apothecary.content.xml_tree import Node, parse_xml
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.importers.report import Remark
from apothecary.importers.spl.sections import everything
from apothecary.validation import validate
from tests.importers.making import dangling, imported
from tests.importers.spl.label import NCIT, UNII, label, product, section

DATA = Path(__file__).parents[2] / "data" / "spl"


def read(data: bytes) -> tuple[list[JSON], list[Remark]]:
    """What is made of a file, all of it valid, and what is told."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "label.xml"
        file.write_bytes(data)
        resources, remarks = imported("spl", file)
    found = [issue for one in resources for issue in validate(one, FhirVersion.R5) if issue.severity != "warning"]
    assert [f"{one.expression} {one.diagnostics}" for one in found if one.severity in ("error", "fatal")] == []
    assert dangling(resources) == set()
    assert len({(one["resourceType"], one["id"]) for one in resources}) == len(resources)
    assert resources or any(one.kind == "skipped" for one in remarks)
    return resources, remarks


@pytest.fixture(scope="module")
def whole() -> str:
    """A small label with something of everything."""
    amount = '<quantity><numerator value="5" unit="mg"/><denominator value="1" unit="1"/></quantity>'
    inner = (
        f'<formCode code="C42998" {NCIT} displayName="TABLET"/><asEntityWithGeneric><genericMedicine>'
        f"<name>generic</name></genericMedicine></asEntityWithGeneric>"
        f'<ingredient classCode="ACTIM">{amount}<ingredientSubstance>'
        f'<code code="ABC123DEF4" {UNII}/><name>salt</name><activeMoiety><activeMoiety><code code="ABC123DEF5" {UNII}/>'
        "<name>base</name></activeMoiety></activeMoiety></ingredientSubstance></ingredient><asContent><quantity>"
        '<numerator value="30" unit="1"/><denominator value="1"/></quantity><containerPackagedProduct>'
        '<code code="0001-0002-03" codeSystem="2.16.840.1.113883.6.69"/><asContent><quantity><numerator value="2"/>'
        '<denominator value="1"/></quantity><containerPackagedProduct><code code="0001-0002-04" '
        'codeSystem="2.16.840.1.113883.6.69"/></containerPackagedProduct></asContent></containerPackagedProduct></asContent>'
    )
    outer = (
        f'<subjectOf><approval><id extension="NDA1" root="2.16.840.1.113883.3.150"/>'
        f'<code code="C73594" {NCIT}/></approval></subjectOf>'
        f'<subjectOf><marketingAct><code code="C53292" {NCIT}/><statusCode code="active"/><effectiveTime>'
        '<low value="20100101"/></effectiveTime></marketingAct></subjectOf><subjectOf><characteristic>'
        '<code code="SPLSIZE" codeSystem="2.16.840.1.113883.1.11.19255"/><value xsi:type="PQ" value="12" unit="mm"/>'
        f'</characteristic></subjectOf><subjectOf><policy><code code="C48675" {NCIT}/></policy></subjectOf><consumedIn>'
        f'<substanceAdministration><routeCode code="C38288" {NCIT}/></substanceAdministration></consumedIn>'
    )
    text = (
        '<paragraph ID="p1">Text <content styleCode="bold">bold</content><footnote ID="f1">note</footnote> '
        '<linkHtml href="#S2">link</linkHtml></paragraph><list listType="ordered"><item>one</item></list>'
        '<table><caption>T</caption><tbody><tr><td>a<footnoteRef IDREF="f1"/></td></tr></tbody></table>'
        '<renderMultiMedia referencedObject="M1"/>'
    )
    media = (
        '<component><observationMedia ID="M1"><text>Logo</text><value mediaType="image/jpeg">'
        '<reference value="a.jpg"/></value></observationMedia></component>'
    )
    body = (
        section("34066-1", text, title="Boxed")
        + section("34067-9", "<paragraph>Pain</paragraph>", title="Uses", attributes='ID="S1"', inner=media)
        + section("34070-3", inner=section("42228-7", text), title="Contraindications", attributes='ID="S2"')
        + section("34068-7", "<paragraph>Twice</paragraph>", title="Dosage")
        + section("44425-7", "<paragraph>Cool</paragraph>")
    )
    author = (
        '<author><assignedEntity><representedOrganization><id extension="1" root="1.3.6.1.4.1.519.1"/>'
        "<name>Maker</name>"
        "<assignedEntity><assignedOrganization><name>Other</name></assignedOrganization><performance><actDefinition>"
        f'<code code="C43360" {NCIT}/></actDefinition></performance></assignedEntity></representedOrganization>'
        "</assignedEntity></author>"
    )
    return label(body, products=product("0001-0002", inner, outer), head=author)


def test_the_label_that_is_attacked_is_a_good_one(whole: str) -> None:
    resources, remarks = read(whole.encode())
    assert [one.kind for one in remarks] == ["approximated"] * len(remarks)
    assert {one["resourceType"] for one in resources} == {
        "Organization", "Medication", "MedicationKnowledge", "PackagedProductDefinition", "RegulatedAuthorization",
        "ClinicalUseDefinition", "Composition", "DocumentReference",
    }  # fmt: skip


def nested(node: Node) -> list[Node]:
    return [node, *everything(node)]


STRANGE = [
    "", " ", "\u00a0", "x y", "  a  b ", "-1", "1e99999", "99999999999999999999999", "20249999", "1.2.3.4",
    "<&>\"'", "\u202e", "javascript:alert(1)", "#S1", "x" * 3000, "\U0001f48a", "NaN", "0",
]  # fmt: skip


def mutate(root: Node, chance: random.Random) -> None:
    """Change the tree in one place."""
    parents = [one for one in nested(root) if any(isinstance(part, Node) for part in one.content)]
    parent = chance.choice(parents)
    at = chance.choice([at for at, part in enumerate(parent.content) if isinstance(part, Node)])
    part = parent.content[at]
    assert isinstance(part, Node)
    match chance.randrange(9):
        case 0:
            del parent.content[at]
        case 1:
            parent.content.insert(at, part)
        case 2:
            chance.shuffle(parent.content)
        case 3:
            part.content = []
        case 4:
            part.attributes = []
        case 5 | 6:
            if part.attributes:
                which = chance.randrange(len(part.attributes))
                space, name, _ = part.attributes[which]
                part.attributes[which] = (space, name, chance.choice(STRANGE))
        case 7:
            part.name = chance.choice([one.name for one in nested(root)])
        case _:
            chance.choice(parents).content.append(chance.choice(STRANGE))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=some.integers(0, 2**32), changes=some.integers(1, 6))
def test_a_label_that_was_changed_anywhere_makes_nothing_invalid(whole: str, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    root = parse_xml(whole)
    for _ in range(changes):
        mutate(root, chance)
    read(xhtml_text(root).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=some.integers(0, 6000), noise=some.binary(max_size=8))
def test_a_label_that_was_torn_makes_nothing_and_is_told(whole: str, cut: int, noise: bytes) -> None:
    data = whole.encode()
    torn = data[:cut] + noise + data[cut + 40 :]
    resources, remarks = read(torn)
    assert resources or [one for one in remarks if one.kind == "skipped"]


def test_thousands_of_sections_are_read_in_the_time_of_thousands() -> None:
    body = "".join(
        section("34071-1", f'<paragraph ID="p{n}">Bad {n}.</paragraph>', attributes=f'ID="S{n}"') for n in range(3000)
    )
    resources, _ = read(label(body, products=product("0001-0002")).encode())
    assert sum(one["resourceType"] == "ClinicalUseDefinition" for one in resources) == 3000


def test_text_in_text_in_text_is_read() -> None:
    text = '<content styleCode="bold">' * 150 + "deep" + "</content>" * 150
    resources, _ = read(label(section("34071-1", text)).encode())
    assert "deep" in str(resources)


def test_a_footnote_of_itself_is_shown_once() -> None:
    text = '<footnote ID="a">x<footnoteRef IDREF="a"/></footnote>'
    resources, _ = read(label(section("34071-1", text)).encode())
    assert "x" in str(resources)
