"""What HL7 Terminology publishes is in the tables: codes, names, hierarchy, status, value sets, names of systems."""

from __future__ import annotations

import tarfile

import pytest

from apothecary.fhir.hl7_terminology import hl7_terminology
from scripts.definitions.hl7_terminology import code_systems, named_systems, read, value_sets
from scripts.definitions.packages import TERMINOLOGY
from tests.official import CACHE, definition_packages

HOME = "http://terminology.hl7.org/CodeSystem/"


def test_a_code_system_has_its_codes_with_all_that_answers_need() -> None:
    found = hl7_terminology().code_system(f"{HOME}v3-ActCode")
    assert found is not None
    assert found.concepts["AMB"] == "ambulatory"
    assert found.parents["AMB"] == ("_ActEncounterCode",)
    assert found.properties["notSelectable"]["_ActEncounterCode"] == ("true",)
    assert (found.content, found.active, found.case_sensitive) == ("complete", True, True)


def test_status_and_designations_come_along() -> None:
    roles = hl7_terminology().code_system(f"{HOME}v3-RoleClass")
    identifiers = hl7_terminology().code_system(f"{HOME}v2-0203")
    assert roles is not None
    assert identifiers is not None
    assert roles.properties["status"]["SUBS"] == ("deprecated",)
    assert "PAT" not in roles.properties["status"]
    assert ("Krankenaktennummer", "de") in {(one.value, one.language) for one in identifiers.names["MR"]}


def test_what_is_not_present_or_a_part_says_so() -> None:
    kinds = {url: hl7_terminology().code_system(url) for url in hl7_terminology().code_system_urls()}
    partial = {url.removeprefix(HOME): one.content for url, one in kinds.items() if one and one.content != "complete"}
    assert partial["time-period-ranges"] == "not-present"
    assert partial["v3-mediaType"] == "fragment"
    assert len(kinds) > 890


def test_a_system_is_known_by_its_other_names() -> None:
    found = hl7_terminology().named_systems()
    assert "urn:oid:2.16.840.1.113883.6.88" in found["http://www.nlm.nih.gov/research/umls/rxnorm"].others
    assert "urn:oid:2.16.840.1.113883.5.4" in found[f"{HOME}v3-ActCode"].others
    assert f"{HOME}icd10CM" in found["http://hl7.org/fhir/sid/icd-10-cm"].others
    assert not [other for one in found.values() for other in one.others if other in found]


def test_a_value_set_that_lists_thousands_of_codes_of_others_is_left_out() -> None:
    assert not hl7_terminology().has_value_set("http://terminology.hl7.org/ValueSet/snomed-intl-gps")
    assert len(hl7_terminology().value_set_urls()) > 2490


@pytest.mark.slow
def test_the_tables_are_those_of_the_pinned_package() -> None:
    definition_packages()
    published = read(CACHE)
    tables = hl7_terminology()
    assert {url: tables.code_system(url) for url in tables.code_system_urls()} == code_systems(published)
    assert {url: tables.value_set(url) for url in tables.value_set_urls()} == value_sets(published)
    assert tables.named_systems() == named_systems(published)
    with tarfile.open(CACHE / TERMINOLOGY.file_name) as archive:
        assert archive.extractfile("package/package.json") is not None
