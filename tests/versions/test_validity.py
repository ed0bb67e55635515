"""What is converted is valid in the release it is converted to, by the project's validator and by fhir.resources."""

from __future__ import annotations

from pathlib import Path

import pytest

from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert, convertible
from tests.official import some_examples
from tests.versions.corpus import FAMILY, broken_rules, case_id, cases, refused_by_models

# What the other release's invariants demand and the source does not say. The value is why it cannot be had.
KNOWN = {
    "bad-base64": "R4 lets base64 have white space; R5 does not",
    "bdl-8": "R4's rule fails on every entry that has no fullUrl, as those of a transaction may not",
    "cmd-5": "R4 names a dependency's value by system and code, R5 by an attribute",
    "cmd-7": "R4 says by a target without a code that there is none, where R5 has noMap",
    "cmd-9": "R5 wants the relationship of what is unmapped, which R4 does not have",
    "cpb-9": "types that only one release has leave entries without a type, and the rule takes them for the same",
    "eld-17": "R4's rule does not know CodeableReference, the type that the definition describes",
    "eld-23": "R5 asks more of a binding than R4B",
    "extension-context": "the extension's own context names types of another release",
    "fhs-3": "R5 forbids what R4 did not: an age beside a death",
    "opd-1": "the parameter's type is one that only the other release has, and the rule wants a type",
    "profile-cardinality": "a profile that the resource claims asks for more in the other release",
    "profile-constraint": "a profile that the resource claims asks for more in the other release",
    "spd-3": "R5 allows comparators on fewer types of parameter",
}
# What fhir.resources cannot read although FHIR allows it: an extension for a required value in a list or a choice.
UNREADABLE = ("'list' object has no attribute 'extension'", "Expect any of field value from this list")


@pytest.mark.parametrize(("source", "target", "file"), cases(), ids=case_id)
def test_content_and_examples_are_valid_there(source: FhirVersion, target: FhirVersion, file: Path) -> None:
    resource = parse(file.read_bytes())
    converted = convert(resource, source, target).resource
    assert broken_rules(converted, target) - broken_rules(resource, source) <= KNOWN.keys()


@pytest.mark.parametrize(("source", "target", "file"), cases(), ids=case_id)
def test_fhir_resources_reads_converted_content_and_examples(
    source: FhirVersion, target: FhirVersion, file: Path
) -> None:
    resource = parse(file.read_bytes())
    if refused_by_models(resource, source) is not None:
        pytest.skip("fhir.resources does not read the original either")
    refusal = refused_by_models(convert(resource, source, target).resource, target)
    assert refusal is None or any(known in refusal for known in UNREADABLE), refusal


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (FhirVersion.R4, FhirVersion.R5),
        (FhirVersion.R4B, FhirVersion.R5),
        (FhirVersion.R5, FhirVersion.R4),
        (FhirVersion.R5, FhirVersion.R4B),
    ],
)
def test_every_official_example_of_the_family_is_valid_there(source: FhirVersion, target: FhirVersion) -> None:
    found: dict[str, set[str]] = {}
    for name, text in some_examples(source):
        resource = parse(text)
        kind = resource.get("resourceType", "")
        # Bundles of definitions take minutes and hold what the packages hold singly.
        if kind in FAMILY and kind != "Bundle" and convertible(kind, source, target):
            new = broken_rules(convert(resource, source, target).resource, target) - broken_rules(resource, source)
            for rule in new - KNOWN.keys():
                found.setdefault(rule, set()).add(name)
    assert found == {}
