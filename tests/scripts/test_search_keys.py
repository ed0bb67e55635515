"""Which parameters share rows in the index is what the definitions and the resources say, and what the page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.search import keys
from apothecary.search.parameter import standard_parameters
from scripts.fetch_examples import CACHE, PACKAGES
from scripts.search_keys import page
from scripts.search_keys.__main__ import by_type, compared, types
from scripts.search_keys.compare import OLDER, Comparison
from tests.missing import missing

SHIPPED: dict[str, dict[str, dict[str, str]]] = json.loads(keys.DATA.read_bytes())
R4, R4B, R5 = FhirVersion

# Types of the medication family, and others whose parameters differ in every way; few resources decide on them.
SOME = (
    "Medication",
    "MedicationKnowledge",
    "Organization",
    "Group",
    "Composition",
    "DocumentReference",
    "Provenance",
    "Substance",
    "PackagedProductDefinition",
    "Encounter",
    "PractitionerRole",
)


# Composites of MolecularSequence that begin at %resource, which no component may: they are read in no release.
UNREADABLE = {"referenceseqid-variant-coordinate", "chromosome-variant-coordinate"}


def shipped(resource_type: str) -> dict[FhirVersion, dict[str, str]]:
    return {version: SHIPPED[version][resource_type] for version in OLDER if resource_type in SHIPPED[version]}


@pytest.mark.parametrize("resource_type", SOME)
def test_what_is_shipped_follows_from_resources_that_use_every_element(resource_type: str) -> None:
    assert compared(resource_type) == shipped(resource_type)


@pytest.mark.walk
def test_what_is_shipped_follows_from_every_official_example() -> None:
    if not all((CACHE / package.file_name).is_file() for package in PACKAGES.values()):
        missing("the examples are not in .cache: python -m scripts.fetch_examples")
    texts = by_type()
    wrong = {name for name in types() if compared(name, texts.get(name)) != shipped(name)}
    assert wrong == set()


def test_the_page_and_the_file_are_written_from_the_same() -> None:
    found = {version: SHIPPED[version] for version in OLDER}
    assert page.data(found) == keys.DATA.read_text(encoding="utf-8")
    assert f"{page.BEGIN}\n{page.table(found)}\n{page.END}" in page.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("version", OLDER)
def test_every_name_leads_to_rows_that_some_parameter_makes(version: FhirVersion) -> None:
    for resource_type in definitions(version).resource_types():
        if not definitions(R5).is_resource_type(resource_type):
            continue
        codes = {one: {found.code for found in _standard(resource_type, one)} for one in FhirVersion}
        for code in codes[version] - UNREADABLE:
            owner = keys.owner(name := keys.key(version, resource_type, code))
            assert name.removeprefix(f"{owner}.") in codes[owner], (version, resource_type, code, name)
            if owner is not R5:
                assert keys.key(owner, resource_type, name.removeprefix(f"{owner}.")) == name


def _standard(resource_type: str, version: FhirVersion) -> Any:
    return standard_parameters(resource_type, version) if definitions(version).is_resource_type(resource_type) else ()


def told(resource_type: str, *resources: tuple[FhirVersion, Mapping[str, Any]]) -> dict[FhirVersion, dict[str, str]]:
    """What is concluded from these resources alone."""
    comparison = Comparison(resource_type)
    for version, resource in resources:
        comparison.look_at({"resourceType": resource_type, **resource}, version)
    return {version: comparison.keys(version) for version in OLDER}


CITY = {"address": [{"city": "Basel"}]}
INSIDE = {"contact": [{"address": {"city": "Bern"}}]}


def test_a_parameter_that_nothing_was_seen_of_shares_no_rows() -> None:
    found = told("Organization", (R4, {"name": "Acme"}))
    assert found[R4]["address-city"] == "R4.address-city"
    assert "name" not in found[R4]


def test_a_value_that_the_other_form_has_where_its_own_parameter_reads_parts_nothing() -> None:
    # R5 has the address as that of a contact without purpose and name, and there its parameter looks.
    assert "address-city" not in told("Organization", (R4, CITY))[R4]


def test_a_value_that_the_other_release_alone_reads_parts_them() -> None:
    # The address of a contact is none of the organization's in R4, and R5 finds it all the same.
    assert told("Organization", (R4, CITY), (R4, INSIDE))[R4]["address-city"] == "R4.address-city"


def test_two_older_releases_share_what_both_read() -> None:
    found = told("Organization", (R4, CITY), (R4B, CITY), (R4, INSIDE), (R4B, INSIDE))
    assert found[R4B]["address-city"] == "R4.address-city"


def test_what_is_called_otherwise_is_found_by_its_values() -> None:
    maker = {"manufacturer": {"reference": "Organization/a"}}
    assert told("Medication", (R4, maker))[R4]["manufacturer"] == "marketingauthorizationholder"


def test_more_room_in_the_same_element_parts_nothing_and_another_element_does() -> None:
    both = {"concept": {"text": "x"}, "reference": {"reference": "Substance/a"}}
    only = {"reference": {"reference": "Substance/b"}}
    room = told("Medication", (R5, {"ingredient": [{"item": both}]}), (R5, {"ingredient": [{"item": only}]}))
    assert "ingredient" not in room[R4]
    alone = told("Medication", (R5, {"ingredient": [{"item": both}]}))
    assert alone[R4]["ingredient"] == "R4.ingredient"
    own = {"identifier": [{"value": "a"}]}
    more = {**own, "qualification": [{"code": {"text": "x"}, "identifier": [{"value": "b"}]}]}
    assert "identifier" not in told("Organization", (R5, own))[R4]
    assert told("Organization", (R5, own), (R5, more))[R4]["identifier"] == "R4.identifier"
