"""Kits, packages, strengths, schedules and old forms of labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from apothecary.fhir.json import JSON
from apothecary.importers.report import Remark
from tests.importers.making import by_type, dangling, errors, imported
from tests.importers.spl.label import LOINC, NCIT, NDC, SET_ID, UNII, label, product, section


def made(tmp_path: Path, text: str) -> tuple[list[JSON], list[Remark]]:
    """The resources of a label, which are valid and refer to what is there, and what is told."""
    file = tmp_path / "label.xml"
    file.write_text(text, encoding="utf-8")
    resources, remarks = imported("spl", file)
    assert errors(resources) == []
    assert dangling(resources) == set()
    return resources, remarks


def ingredient(kind: str, quantity: str, more: str = "") -> str:
    return (
        f'<ingredient classCode="{kind}"><quantity>{quantity}</quantity><ingredientSubstance>'
        f'<code code="ABC123DEF4" {UNII}/><name>exampline hydrochloride</name>{more}</ingredientSubstance></ingredient>'
    )


@pytest.mark.parametrize(
    ("quantity", "strength", "told"),
    [
        (
            '<numerator value=".50" unit="mg"/><denominator value="1" unit="1"/>',
            {
                "strengthRatio": {
                    "numerator": {"value": "0.50", "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
                    "denominator": {"value": "1", "system": "http://unitsofmeasure.org", "code": "1"},
                }
            },
            None,
        ),
        (
            '<numerator value="5" unit="pinches"/>',
            {"strengthQuantity": {"value": "5", "unit": "pinches"}},
            "approximated: the unit 'pinches' is no code of UCUM that is sure",
        ),
        ('<numerator value="lots" unit="mg"/>', {}, "skipped: the strength 'lots' is no number"),
        ('<numerator value="5" unit="mg"/><denominator value="0" unit="mL"/>', {}, "skipped: a strength in nothing"),
        (
            '<numerator><low value="1" unit="mg"/><high value="2" unit="mg"/></numerator>'
            '<denominator value="1" unit="mL"/>',
            {"strengthCodeableConcept": {"text": "1 mg to 2 mg in 1 mL"}},
            "approximated: a strength that is a range stands as text",
        ),
    ],
)
def test_a_strength_is_there_to_the_digit_or_is_told(
    tmp_path: Path, quantity: str, strength: JSON, told: str | None
) -> None:
    resources, remarks = made(tmp_path, label(products=product("0001-0002", ingredient("ACTIB", quantity))))
    (found,) = by_type(resources, "Medication")[0]["ingredient"]
    assert {key: texts(value) for key, value in found.items() if key.startswith("strength")} == strength
    said = [f"{one.kind}: {one.reason}" for one in remarks if "strength" in one.reason or "unit" in one.reason]
    assert len(said) == (1 if told else 0)
    assert all(one.startswith(told or "") for one in said)


def texts(node: object) -> object:
    if isinstance(node, dict):
        return {key: texts(value) for key, value in node.items()}
    return str(node)


def test_a_strength_may_be_that_of_a_reference_substance(tmp_path: Path) -> None:
    substance = f'<definingSubstance><code code="REF1" {UNII}/><name>exampline</name></definingSubstance>'
    reference = f"<asEquivalentSubstance>{substance}</asEquivalentSubstance>"
    amount = '<numerator value="5" unit="mg"/><denominator value="1" unit="1"/>'
    resources, _ = made(tmp_path, label(products=product("0001-0002", ingredient("ACTIR", amount, reference))))
    role = by_type(resources, "MedicationKnowledge")[0]["definitional"]["ingredient"][0]["type"]
    assert (role["coding"][0]["code"], role["text"]) == ("ACTIR", "Strength is that of exampline (REF1)")


def test_a_kit_has_its_parts(tmp_path: Path) -> None:
    def part(code: str, count: int) -> str:
        return (
            f'<part><quantity><numerator value="{count}" unit="1"/><denominator value="1"/></quantity><partProduct>'
            f'<code code="{code}" {NDC}/><name>Part {code}</name><formCode code="C42998" {NCIT} displayName="TABLET"/>'
            + ingredient("ACTIB", '<numerator value="5" unit="mg"/><denominator value="1" unit="1"/>')
            + "</partProduct></part>"
        )

    form = f'<formCode code="C47916" {NCIT} displayName="KIT"/>'
    kit = product("0001-0002", form + part("0001-0003", 21) + part("", 7))
    resources, _ = made(tmp_path, label(products=kit))
    whole, *parts = by_type(resources, "Medication")
    ids = [one["id"] for one in parts]
    assert [one["item"]["reference"]["reference"] for one in whole["ingredient"]] == [
        f"Medication/{one}" for one in ids
    ]
    assert [one["strengthRatio"]["numerator"]["value"] for one in whole["ingredient"]] == [21, 7]
    assert parts[0]["code"]["coding"][0]["code"] == "0001-0003"
    related = by_type(resources, "MedicationKnowledge")[0]["relatedMedicationKnowledge"]
    assert [one["reference"][0]["reference"] for one in related] == [f"MedicationKnowledge/{one}" for one in ids]


def test_a_container_in_two_boxes_is_in_two_packages(tmp_path: Path) -> None:
    def box(code: str, count: int) -> str:
        return (
            f'<asContent><quantity><numerator value="{count}"/><denominator value="1"/></quantity>'
            f'<containerPackagedProduct><code code="{code}" {NDC}/><formCode code="C43182" {NCIT}/>'
            "</containerPackagedProduct></asContent>"
        )

    inner = (
        '<asContent><quantity><numerator value="10" unit="1"/><denominator value="1"/></quantity>'
        f'<containerPackagedProduct><code code="0001-0002-01" {NDC}/>{box("0001-0002-02", 3)}{box("0001-0002-03", 10)}'
        "</containerPackagedProduct></asContent>"
    )
    resources, _ = made(tmp_path, label(products=product("0001-0002", inner)))
    found = by_type(resources, "PackagedProductDefinition")
    assert [one["id"].removeprefix(f"spl-{SET_ID}-") for one in found] == ["0001-0002-02", "0001-0002-03"]
    assert [one["packaging"]["packaging"][0]["quantity"] for one in found] == [3, 10]
    assert {one["packaging"]["packaging"][0]["identifier"][0]["value"] for one in found} == {"0001-0002-01"}


def test_what_is_said_of_a_package_is_there(tmp_path: Path) -> None:
    def act(day: str) -> str:
        return (
            f'<subjectOf><marketingAct><code code="C53292" {NCIT}/><statusCode code="active"/><effectiveTime>'
            f'<low value="{day}"/></effectiveTime></marketingAct></subjectOf>'
        )

    kind = (
        '<subjectOf><characteristic><code code="SPLCMBPRDTP" codeSystem="2.16.840.1.113883.1.11.19255"/>'
        f'<value xsi:type="CV" code="C112160" {NCIT} displayName="Type 0: Not a Combination Product"/>'
        "</characteristic></subjectOf>"
    )
    box = f'<containerPackagedProduct><code code="0001-0002-02" {NDC}/></containerPackagedProduct>'
    outer = f"<asContent>{box}{{}}</asContent>"
    inner = (
        f'<asContent><containerPackagedProduct><code code="0001-0002-01" {NDC}/>{{}}</containerPackagedProduct>'
        f"{act('20200101')}</asContent>"
    )
    for day, told in (("20200101", 0), ("20210101", 1)):
        text = label(products=product("0001-0002", inner.format(outer.format(act(day) + kind))))
        resources, remarks = made(tmp_path, text)
        (package,) = by_type(resources, "PackagedProductDefinition")
        assert package["marketingStatus"][0]["dateRange"]["start"].replace("-", "") == day
        (look,) = package["characteristic"]
        assert look["valueCodeableConcept"]["coding"][0]["display"] == "Type 0: Not a Combination Product"
        assert [one.reason for one in remarks] == [
            "an inner package is marketed otherwise than the one that it is in"
        ] * told


@pytest.mark.parametrize(
    ("state", "end", "status"),
    [
        ("active", "", "active"),
        ("active", "20200101", "active"),
        ("completed", "20200101", "inactive"),
        ("completed", "20300101", "active"),
        ("completed", "", "inactive"),
        ("cancelled", "", "inactive"),
    ],
)
def test_what_was_not_marketed_any_more_on_the_day_of_the_label_is_inactive(
    tmp_path: Path, state: str, end: str, status: str
) -> None:
    high = f'<high value="{end}"/>' if end else ""
    act = (
        f'<subjectOf><marketingAct><code code="C53292" {NCIT}/><statusCode code="{state}"/>'
        f'<effectiveTime><low value="20100101"/>{high}</effectiveTime></marketingAct></subjectOf>'
    )
    resources, _ = made(tmp_path, label(products=product("0001-0002", outer=act)))
    assert {one["status"] for one in resources if one["resourceType"].startswith("Medication")} == {status}


def test_a_schedule_of_controlled_substances_is_there(tmp_path: Path) -> None:
    code = f'<code code="C48675" {NCIT} displayName="CII"/>'
    policy = f'<subjectOf><policy classCode="DEADrugSchedule">{code}</policy></subjectOf>'
    resources, _ = made(tmp_path, label(products=product("0001-0002", outer=policy)))
    (one,) = by_type(resources, "MedicationKnowledge")[0]["regulatory"]
    assert one["schedule"][0]["coding"][0]["code"] == "C48675"


def test_a_label_of_before_2009_is_read_too(tmp_path: Path) -> None:
    old = (
        f'<subject><manufacturedProduct><manufacturedMedicine><code code="0001-0002" {NDC}/><name>Old</name>'
        '<activeIngredient><quantity><numerator value="5" unit="mg"/><denominator value="1" unit="1"/></quantity>'
        f'<activeIngredientSubstance><code code="ABC123DEF4" {UNII}/><name>exampline</name>'
        "</activeIngredientSubstance></activeIngredient><inactiveIngredient><inactiveIngredientSubstance>"
        "<name>water</name></inactiveIngredientSubstance></inactiveIngredient>"
        "</manufacturedMedicine></manufacturedProduct></subject>"
    )
    warnings = section("34071-1", "<paragraph>May be bad.</paragraph>", title="WARNINGS")
    interactions = section("34073-7", "<paragraph>With much.</paragraph>", title="Drug interactions")
    precautions = section("42232-9", inner=interactions)
    resources, _ = made(tmp_path, label(warnings + precautions, products=old))
    assert [one["isActive"] for one in by_type(resources, "Medication")[0]["ingredient"]] == [True, False]
    found = by_type(resources, "ClinicalUseDefinition")
    assert {one["category"][0]["coding"][0]["code"]: one["type"] for one in found} == {
        "34071-1": "warning",
        "34073-7": "interaction",
    }


def test_what_nothing_reads_is_told(tmp_path: Path) -> None:
    _, remarks = made(tmp_path, label(products=product("0001-0002", "<asSpecializedKind/>", "<somethingElse/>")))
    assert [one.reason for one in remarks if one.kind == "skipped"] == [
        "the element somethingElse in manufacturedProduct is not taken over",
        "the element asSpecializedKind in manufacturedProduct is not taken over",
    ]


def test_codes_of_no_known_system_keep_their_oid_or_are_told(tmp_path: Path) -> None:
    code = '<routeCode code="X 1" codeSystem="{}"/>'
    route = f"<consumedIn><substanceAdministration>{code}</substanceAdministration></consumedIn>"
    resources, remarks = made(
        tmp_path, label(products=product("0001-0002", outer=route.format("1.2.3") + route.format("no OID")))
    )
    routes = by_type(resources, "MedicationKnowledge")[0]["definitional"]["intendedRoute"]
    assert [one["coding"][0] for one in routes] == [{"system": "urn:oid:1.2.3", "code": "X 1"}, {"code": "X 1"}]
    assert [one.reason for one in remarks] == ["the code 'X 1' is of no code system: 'no OID' is no OID"]


STATED = "<paragraph>May be bad.</paragraph>"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (section("34070-3", "<paragraph>None.</paragraph>", title="4 CONTRAINDICATIONS"), []),
        (section("34070-3", "<paragraph>None known</paragraph>"), []),
        (section("34070-3", "<paragraph>None of these may be taken.</paragraph>"), ["contraindication"]),
        (section("34070-3", inner=section("42228-7", STATED)), ["contraindication"]),
        (section("34070-3", inner=section("34066-1", STATED)), ["contraindication", "warning"]),
        (section("34071-1", inner=section("50570-1", STATED)), ["contraindication"]),
        (section("34071-1", STATED, inner=section("50570-1", STATED)), ["warning", "contraindication"]),
        (section("34067-9", STATED) * 2, ["indication", "indication"]),
        (section("50565-1", title="Keep out of reach of children."), ["warning"]),
        (section("34071-1", title="WARNINGS"), []),
        (section("99999-9", STATED), []),
    ],
)  # fmt: skip
def test_a_section_states_what_its_code_says(tmp_path: Path, body: str, kinds: list[str]) -> None:
    resources, _ = made(tmp_path, label(body, products=product("0001-0002")))
    found = by_type(resources, "ClinicalUseDefinition")
    assert [one["type"] for one in found] == kinds
    assert len({one["id"] for one in found}) == len(found)


def test_a_short_section_is_the_text_of_its_concept_and_prose_is_not(tmp_path: Path) -> None:
    short, prose = "<paragraph>Heartburn</paragraph>", f"<paragraph>{'Much is to be said. ' * 20}</paragraph>"
    resources, _ = made(tmp_path, label(section("34067-9", short) + section("34067-9", prose)))
    first, second = by_type(resources, "ClinicalUseDefinition")
    assert first["indication"] == {"diseaseSymptomProcedure": {"concept": {"text": "Heartburn"}}}
    assert "indication" not in second
    resources, _ = made(tmp_path, label(section("34084-4", "<paragraph>To report any, call us.</paragraph>")))
    assert "undesirableEffect" not in by_type(resources, "ClinicalUseDefinition")[0]
    assert "Much is to be said." in second["text"]["div"]


def test_sections_far_inside_others_stand_beside_them(tmp_path: Path) -> None:
    body = ""
    for number in range(60):
        body = section("42229-5", f"<paragraph>Level {number}.</paragraph>", inner=body)
    resources, remarks = made(tmp_path, label(body))
    text = str(by_type(resources, "Composition")[0])
    assert all(f"Level {number}." in text for number in range(60))
    assert sum("stands at level 20" in one.reason for one in remarks) == 40


def test_a_reference_to_another_label_is_kept(tmp_path: Path) -> None:
    other = "99999999-2222-4333-8444-555555555555"
    known = f'<relatedDocument><id root="1"/><setId root="{other}"/></relatedDocument>'
    head = f'<relatedDocument typeCode="RPLC">{known}</relatedDocument>'
    resources, _ = made(tmp_path, label(section("34067-9", STATED), head=head))
    (relation,) = by_type(resources, "DocumentReference")[0]["relatesTo"]
    assert relation["target"]["identifier"]["value"] == f"urn:uuid:{other}"


def test_a_label_without_a_type_and_a_date_is_still_one(tmp_path: Path) -> None:
    kind = f'<code code="34391-3" {LOINC} displayName="HUMAN PRESCRIPTION DRUG LABEL"/>'
    text = label(section("34067-9", STATED)).replace(kind, "").replace("20240229", "20240230")
    resources, _ = made(tmp_path, text)
    assert by_type(resources, "Composition")[0]["_date"]["extension"][0]["valueCode"] == "unknown"
