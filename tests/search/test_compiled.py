"""What parameters compiled together take from a resource is what each of them takes by itself from its whole form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apothecary.errors import TooLarge
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search import keys
from apothecary.search.defined import Defining
from apothecary.search.extraction import Forms, Reading, Rows
from apothecary.search.normalisation import Systems
from apothecary.search.parameter import COLUMNS, SearchParameter
from apothecary.search.parameters import Registry
from apothecary.search.registries import make_registries
from apothecary.search.rows import Indexed, TextRow, TokenRow
from apothecary.settings import Settings
from scripts.search_keys.generate import resources
from tests.official import official_examples
from tests.search.test_extraction_number import WRITTEN
from tests.versions.corpus import content, vendored

CONTENT = Path(__file__).parents[2] / "resources" / "SearchParameter"


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Of every type, with the parameters that the content defines."""
    own = [Defining(json.loads(file.read_bytes())) for file in sorted(CONTENT.glob("*.json"))]
    return make_registries(Settings(resource_types="*"), own)[FhirVersion.R5]


def parameters(registry: Registry, kind: str) -> list[SearchParameter]:
    """All of a type whose rows the index holds, in whatever release."""
    some = [registry, *(one for one in registry._others if one.serves(kind))]
    every = [(one.version, parameter) for one in some for parameter in one.parameters(kind).values()]
    return [one for version, one in every if keys.owner(one.index) is version and one.code not in COLUMNS]


def alone(registry: Registry, resource: JSON, version: FhirVersion) -> set[Indexed]:
    """The rows that each parameter takes by itself, expression by expression, from the form that conversion gives of
    the whole resource.
    """
    forms = Forms(resource, version, registry._convert)
    kind = (forms.of(FhirVersion.R5) or {})["resourceType"]
    found: set[Indexed] = set()
    for parameter in parameters(registry, kind):
        form = forms.of(keys.owner(parameter.index))
        if form is not None:
            found.update(parameter.rows(form, registry.systems))
    return found


def differing(registry: Registry, some: Iterable[tuple[str, FhirVersion, JSON]]) -> dict[str, Any]:
    """Rows that only one of the two ways makes, by the name of the resource."""
    wrong = {}
    for name, version, resource in some:
        forms = Forms(resource, version, registry._convert)
        kind = (forms.of(FhirVersion.R5) or {})["resourceType"]
        # What follows from the string rows is added to both.
        made = set(registry._rows(Forms(resource, version, registry._convert), kind, None))
        expected = alone(registry, resource, version)
        texts = {row for row in made - expected if isinstance(row, TextRow) and row.parameter in registry.names(kind)}
        if made - texts != expected:
            wrong[name] = made - texts ^ expected
    return wrong


# Those whose parameters are read from other forms than that of R5, and neighbours.
FAMILY = ("MedicationKnowledge", "Organization", "DocumentReference", "MolecularSequence", "Medication", "Composition")


@pytest.mark.parametrize("version", FhirVersion)
def test_what_is_compiled_takes_the_same_from_every_element(registry: Registry, version: FhirVersion) -> None:
    kinds = {*FAMILY, *registry.types[::8]} if version is FhirVersion.R5 else FAMILY
    kinds = [kind for kind in kinds if definitions(version).is_resource_type(kind)]
    made = ((kind, version, one) for kind in kinds for one in some_of(version, kind))
    written = [(one["id"], version, one) for one in WRITTEN]
    assert differing(registry, [*made, *(written if version is FhirVersion.R5 else [])]) == {}


@pytest.mark.slow
def test_what_is_compiled_takes_the_same_from_every_type(registry: Registry) -> None:
    made = ((kind, FhirVersion.R5, one) for kind in registry.types for one in some_of(FhirVersion.R5, kind))
    assert differing(registry, made) == {}


def some_of(version: FhirVersion, kind: str) -> list[JSON]:
    made = iter(resources(version, kind))
    return [next(made), next(made)] if kind in FAMILY else [next(made)]


def test_content_and_examples_leave_the_same_rows(registry: Registry) -> None:
    files = [*((FhirVersion.R5, file) for file in content()[::5]), *vendored()]
    some = [(str(file), version, parse(file.read_bytes())) for version, file in files]
    served = [one for one in some if registry.serves(one[2].get("resourceType", ""))]
    assert len(served) > 50
    assert differing(registry, served) == {}


@pytest.mark.heavy
@pytest.mark.parametrize("version", FhirVersion)
def test_every_official_example_leaves_the_same_rows(registry: Registry, version: FhirVersion) -> None:
    every = ((name, version, parse(text)) for name, text in official_examples(version) if len(text) < 2_000_000)
    assert differing(registry, (one for one in every if registry.serves(one[2].get("resourceType", "")))) == {}


def test_parameters_that_take_the_same_read_it_once(registry: Registry) -> None:
    calls = []
    kind = "PackagedProductDefinition"
    reference = {"resourceType": kind, "id": "p", "packaging": {"containedItem": [{"item": {"reference": {
        "reference": "Medication/1", "identifier": {"system": "s", "value": "v"}}}}]}}  # fmt: skip
    known = [one for one in parameters(registry, kind) if one.code in ("medication", "contained-item", "device")]
    # As a release has them that does not have their rows in common.
    leading = [replace(one, indexed_as=one.code) for one in known]

    def counted(extract: Any) -> Any:
        def call(*given: Any) -> Any:
            calls.append(given[0])
            return extract(*given)

        return call

    before: Rows = {}
    Reading(leading).add(before, reference, registry.systems)
    reading = Reading(leading)
    for branch in _all(reading._by_element.values()):
        branch.readers[:] = [one._replace(extract=counted(one.extract)) for one in branch.readers]
    again: Rows = {}
    reading.add(again, reference, registry.systems)
    assert [*again] == [*before]
    assert len(calls) == 1
    assert {row.parameter for row in before} == {
        f"{one}{part}" for one in ("medication", "contained-item", "device") for part in ("", ":identifier")
    }  # type: ignore[union-attr, unused-ignore]
    found: Rows = {}
    Reading(known).add(found, reference, registry.systems)
    assert (
        [(row.parameter, row[1:]) for row in found]
        == [  # type: ignore[union-attr, unused-ignore]
            (f"=biological{row.parameter.removeprefix('medication')}", row[1:])  # type: ignore[union-attr, unused-ignore]
            for row in before
            if row.parameter.startswith("medication")  # type: ignore[union-attr, unused-ignore]
        ]
    )


def _all(branches: Iterable[Any]) -> list[Any]:
    return [found for one in branches for found in (one, *_all(one.branches.values()))]


def test_a_value_that_comes_again_leaves_the_rows_that_it_left_before() -> None:
    """Also one that leaves none, and where other systems tell codes apart by case."""
    folding, exact = (
        make_registries(Settings(), (), systems=Systems({"http://ex.org": sensitive}))[FhirVersion.R5]
        for sensitive in (False, True)
    )
    code = {"coding": [{"system": "http://ex.org", "code": "Ab", "display": "One"}]}
    quantity = {"value": parse("0.5"), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    some: list[JSON] = [
        {"resourceType": "Medication", "doseForm": code},
        {"resourceType": "Medication", "doseForm": {"extension": [{"url": "http://ex.org", "valueCode": "x"}]}},
        {"resourceType": "MedicationKnowledge", "code": code, "cost": [{"type": code, "costMoney": {"value": 1}}]},
        {"resourceType": "Medication", "ingredient": [{"item": {"concept": code}, "strengthQuantity": quantity}]},
    ]
    first = [folding.rows(one) for one in some]
    for _ in range(3):
        assert [folding.rows(parse(dumps(one))) for one in some] == first
    assert TokenRow("form", "http://ex.org", "~ab") in first[0]
    for _ in range(2):
        assert TokenRow("form", "http://ex.org", "Ab") in exact.rows(some[0])


def test_values_that_come_again_and_again_cut_nothing_short(registry: Registry) -> None:
    """The bound counts rows that are different: no row behind may be missing because of those that are not."""
    same = [{"system": "http://ex.org", "value": "same"}] * 30
    resource = {"resourceType": "Medication", "id": "m", "identifier": [*same, {"system": "s", "value": "last"}]}
    assert set(registry.rows(resource, most=10)) == set(registry.rows(resource))
    different = [{"system": "s", "value": f"v{number}"} for number in range(30)]
    with pytest.raises(TooLarge):
        registry.rows({**resource, "identifier": different}, most=10)
