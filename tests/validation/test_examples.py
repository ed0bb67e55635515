"""The official examples validate; the few that HL7 published broken are listed with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.profiles import CORE
from tests.mass import much
from tests.official import some_examples
from tests.validation.corpus import vendored

EXCEPTIONS = json.loads((Path(__file__).parent / "example_exceptions.json").read_text())


def broken_rules(resource: Any, version: FhirVersion) -> list[str | None]:
    # Some bundles of definitions have thousands of warnings: the limit must not hide an error behind them.
    issues = validate(resource, version, options=Options(max_issues=10**9))
    found = {issue.rule for issue in issues if issue.severity == "error"}
    if version is FhirVersion.R4B and _claims_shareable(resource):
        # 170 code systems and value sets of R4B lack the publisher or the description that the profile requires.
        found.discard("profile-cardinality")
    return sorted(found, key=str)


def _claims_shareable(resource: Any) -> bool:
    claimed = resource.get("meta", {}).get("profile", [])
    return any(url.startswith(f"{CORE}shareable") for url in claimed)


@pytest.mark.parametrize(
    ("version", "name", "resource"), vendored(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_vendored_example_has_no_error(version: FhirVersion, name: str, resource: Any) -> None:
    assert broken_rules(resource, version) == EXCEPTIONS["examples"][version.value].get(name, [])


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("version", FhirVersion)
def test_every_official_example_has_no_error_but_the_listed(version: FhirVersion) -> None:
    found = {}
    names = set()
    for name, text in some_examples(version):
        resource = parse(text)
        if "resourceType" in resource:
            names.add(name)
            rules = broken_rules(resource, version)
            if rules:
                found[name] = rules
    assert len(names) > much(100, 2000)
    listed = EXCEPTIONS["examples"][version.value]
    assert found == {name: rules for name, rules in listed.items() if much(name in names, True)}


def test_every_exception_has_a_reason() -> None:
    used = {rule for names in EXCEPTIONS["examples"].values() for rules in names.values() for rule in rules}
    assert used == EXCEPTIONS["reasons"].keys()
    assert all(len(reason) > 10 for reason in EXCEPTIONS["reasons"].values())
