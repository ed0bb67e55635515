"""What `$detect-issues` finds through the index is what looking at every statement finds, in worlds by chance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from apothecary.app import make_service
from apothecary.content.load import Loader, load
from apothecary.content.read import read_bytes
from apothecary.content.sync import sync
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.operations.detect_issues import detect
from apothecary.safety.asked import Asked, AskedConcept, AskedDrug, Code
from apothecary.safety.found import INFORMATION
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.mass import much
from tests.operations import issue_worlds, issues_model

pytestmark = [pytest.mark.slow, pytest.mark.mass]

JSON = dict[str, Any]
RESOURCES = Path(__file__).parents[2] / "resources"
PARAMETERS = ("interactant", "interactant-reference")
BASE = "http://localhost/fhir/r5"
LISTS = st.fixed_dictionaries(
    {
        "drugs": st.lists(issue_worlds.DRUGS, min_size=1, max_size=5),
        "conditions": st.lists(st.integers(0, issue_worlds.CONDITIONS), max_size=3, unique=True),
        "allergies": st.lists(
            st.tuples(st.sampled_from(["SUB", "PRD", "CLS"]), st.integers(0, 3)), max_size=2, unique=True
        ),
        "age": st.sampled_from([None, 5, 15, 20]),
    }
)
NUMBERS = count()


class Holder:
    """A server that holds all worlds of a test, none of which knows of another."""

    def __init__(self, service: Service, loader: Loader) -> None:
        self.service, self._loader = service, loader

    def hold(self, drawn: JSON) -> issue_worlds.Builder:
        world = issue_worlds.built(drawn, f"w{next(NUMBERS)}")
        self.add(*world.resources.values())
        return world

    def add(self, *resources: JSON) -> None:
        load(self._loader, (read_bytes("world", json.dumps(one).encode(), "ndjson") for one in resources))
        # A request begins by that.
        self.service.live.look(self.service.store)

    def found(self, make: issue_worlds.Builder, listed: JSON) -> set[issues_model.Key]:
        answer = detect(self.service, FhirVersion.R5, BASE, asked(make, listed))
        keys = [one.key for one in answer.issues if one.kind not in INFORMATION]
        assert len(keys) == len(set(keys)), "a finding stands there once"
        return set(keys)  # type: ignore[arg-type] # the keys of the product are those of the model


def asked(make: issue_worlds.Builder, listed: JSON) -> Asked:
    found = Asked(age=None if listed["age"] is None else Decimal(listed["age"]))
    for place, one in enumerate(listed["drugs"]):
        named = issue_worlds.asked(make, one)
        if isinstance(named, str):
            found.drugs.append(AskedDrug(f"medication[{place}]", reference=named))
        else:
            found.drugs.append(AskedDrug(f"medication[{place}]", (Code(*named),)))
    found.conditions += [AskedConcept("condition", (Code(*make.code("CND", one)),)) for one in listed["conditions"]]
    found.allergies += [AskedConcept("allergy", (Code(*make.code(*one)),)) for one in listed["allergies"]]
    return found


def expected(make: issue_worlds.Builder, listed: JSON) -> set[issues_model.Key]:
    drugs = [issue_worlds.asked(make, one) for one in listed["drugs"]]
    conditions = [make.code("CND", one) for one in listed["conditions"]]
    allergies = [make.code(*one) for one in listed["allergies"]]
    return issues_model.findings(make.model, drugs, conditions, allergies, listed["age"])


def holder(url: str, folder: Path, parameters: tuple[str, ...]) -> Iterator[Holder]:
    place = folder / "content" / "SearchParameter"
    place.mkdir(parents=True)
    for name in parameters:
        file = f"ClinicalUseDefinition-{name}.json"
        (place / file).write_bytes((RESOURCES / "SearchParameter" / file).read_bytes())
    options = Settings(database=url, content=str(place.parent) if parameters else "")
    store = open_store(options)
    sync(options, store)
    # Statements of others have subjects that the specification does not allow, such as a MedicationKnowledge.
    loader = Loader(store, options, lambda failure: pytest.fail(str(failure)), validation=False)
    yield Holder(make_service(options, store), loader)
    store.close()


@pytest.fixture(params=[PARAMETERS, ()], ids=["interactants indexed", "not indexed"])
def held(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Holder]:
    yield from holder(database_url, tmp_path, request.param)


# A world takes as long to load as all its lists to ask: without shrinking, a failure shows it as it was drawn.
FEW = settings(
    max_examples=much(3, 8),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FEW
@given(drawn=issue_worlds.worlds(), lists=st.lists(LISTS, min_size=4, max_size=8))
def test_the_index_finds_what_looking_at_every_statement_finds(held: Holder, drawn: JSON, lists: list[JSON]) -> None:
    make = held.hold(drawn)
    for listed in lists:
        assert held.found(make, listed) == expected(make, listed)


def test_that_what_interacts_is_not_indexed_is_told(held: Holder) -> None:
    asked_for = Asked([AskedDrug("medication", (Code("urn:test:none", "x"),))])
    said = [one.text for one in detect(held.service, FhirVersion.R5, BASE, asked_for).not_looked_at]
    indexed = held.service.registry(FhirVersion.R5).get("ClinicalUseDefinition", "interactant") is not None
    assert any("no search parameter `interactant`" in one for one in said) is not indexed


@settings(parent=FEW, max_examples=much(2, 4))
@given(drawn=issue_worlds.worlds(), listed=LISTS, more=LISTS, statement=issue_worlds.statements())
def test_a_drug_a_condition_an_allergy_or_a_statement_more_takes_nothing_away(
    held: Holder, drawn: JSON, listed: JSON, more: JSON, statement: JSON
) -> None:
    make = held.hold(drawn)
    before = held.found(make, listed)
    longer = {name: [*listed[name], *more[name]] for name in ("drugs", "conditions", "allergies")}
    assert held.found(make, {**longer, "age": listed["age"]}) >= before
    make.add("ClinicalUseDefinition", "more", **issue_worlds.statement(make, statement))
    held.add(make.resources[f"ClinicalUseDefinition/{make.world}-more"])
    assert held.found(make, listed) >= before
