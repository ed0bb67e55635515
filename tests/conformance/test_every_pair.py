"""Every parameter of every resource type, with every modifier and every prefix there is: it works, or it is refused.

https://hl7.org/fhir/R5/search.html#modifiers. A modifier that a parameter does not take must never be passed over:
the answer would be wider than what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from apothecary.errors import BadRequest
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.search import prepare
from apothecary.search.control import NAMES
from apothecary.search.parameter import SearchParameter
from apothecary.search.special import PARAMETERS as SPECIAL
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, Answer, InProcess, problems
from tests.mass import much

pytestmark = pytest.mark.slow

TYPES = definitions(FhirVersion.R5).resource_types()
SOME = much(TYPES[::6], TYPES)
MODIFIERS = (
    *("missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "of-type", "identifier"),
    *("code-text", "text-advanced", "iterate", "Medication", "bogus", ""),
)
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
STRICT = {"Prefer": "handling=strict"}
# A value for each type of parameter, and for the modifiers that want another one.
VALUES = {
    "token": "http://example.org/system|code",
    "string": "clon",
    "date": "2026-01",
    "number": "1.0",
    "quantity": "0.5|http://unitsofmeasure.org|mg",
    "reference": "1",
    "uri": "http://example.org/a",
    "special": "clonazepam",
}
MODIFIED = {"missing": "true", "of-type": "http://example.org/system|code|value", "identifier": VALUES["token"]}


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Every resource type and no resource: what is asked here is whether it can be asked."""
    settings = Settings(
        database=f"sqlite:///{tmp_path_factory.mktemp('every') / 'x.db'}", content="", resource_types="*"
    )
    store = open_store(settings)
    yield InProcess(settings, store)
    store.close()


def value_for(parameter: SearchParameter, modifier: str | None = None) -> str:
    if modifier in MODIFIED:
        return MODIFIED[modifier]
    if parameter.code == "_id":
        return "1"
    if parameter.components:
        return "$".join(VALUES[kind] for kind, _ in parameter.components)
    return VALUES[parameter.type]


def parameters(server: InProcess, resource_type: str) -> list[SearchParameter]:
    """The parameters of a type; those that all types share are those of the first type only."""
    registry = server.service.registry(FhirVersion.R5)
    found = registry.parameters(resource_type).values()
    return [one for one in found if resource_type == TYPES[0] or not one.code.startswith("_")]


def ask(server: InProcess, resource_type: str, name: str, value: str) -> Answer:
    return server.ask("GET", f"{BASE}/{resource_type}?{name}={value}", STRICT)


def understand(server: InProcess, resource_type: str, name: str, value: str) -> None:
    """The same up to the database, without HTTP: refusals are many, and each comes before anything is asked."""
    prepare(server.service, FhirVersion.R5, "http://localhost", resource_type, [(name, value)], strict=True)


def takes(parameter: SearchParameter, modifier: str) -> bool:
    """Whether the parameter offers the modifier. A type is a modifier of what may point to it."""
    if modifier == "Medication":
        return parameter.type == "reference" and (
            not parameter.targets or "Resource" in parameter.targets or modifier in parameter.targets
        )
    return modifier in parameter.modifiers


@pytest.mark.mass
@pytest.mark.parametrize("resource_type", SOME)
def test_a_modifier_works_where_it_is_offered_and_is_refused_elsewhere(
    empty_server: InProcess, resource_type: str
) -> None:
    for parameter in parameters(empty_server, resource_type):
        for modifier in MODIFIERS:
            name = f"{parameter.code}:{modifier}"
            if not takes(parameter, modifier) and modifier != "bogus":
                with pytest.raises(BadRequest, match=re.escape(name)):
                    understand(empty_server, resource_type, name, value_for(parameter, modifier))
                continue
            answer = ask(empty_server, resource_type, name, value_for(parameter, modifier))
            if takes(parameter, modifier):
                if answer.status == 200:
                    assert name in answer.links["self"]
                else:
                    assert 400 <= answer.status < 500, (name, answer.body)
                    # What is offered may still need something that is not here: a value set, a kind of element.
                    assert problems(answer)[0]["code"] in ("not-found", "not-supported"), (name, answer.body)
            else:
                assert answer.status == 400, (name, answer.body)
                assert name in str(problems(answer)[0]["expression"])


@pytest.mark.mass
@pytest.mark.parametrize("resource_type", SOME)
def test_every_parameter_takes_a_value_and_an_ordered_one_every_prefix(
    empty_server: InProcess, resource_type: str
) -> None:
    for parameter in parameters(empty_server, resource_type):
        value = value_for(parameter)
        ordered = not parameter.components and parameter.prefixes
        for prefix in ("", *(PREFIXES if ordered else ())):
            answer = ask(empty_server, resource_type, parameter.code, prefix + value)
            assert answer.status == 200, (parameter.code, prefix, answer.body)
            assert f"{parameter.code}=" in answer.links["self"]
        if ordered:
            refused = ask(empty_server, resource_type, parameter.code, f"zz{value}")
            assert refused.status == 400
            assert problems(refused)[0]["expression"] == [parameter.code]


@pytest.mark.mass
@pytest.mark.parametrize("resource_type", SOME)
def test_every_composite_takes_one_value_for_each_component_and_no_other_number(
    empty_server: InProcess, resource_type: str
) -> None:
    for parameter in parameters(empty_server, resource_type):
        if parameter.components:
            whole = value_for(parameter)
            for value in (whole + "$x", whole.rpartition("$")[0], whole + "$", "$" + whole):
                assert ask(empty_server, resource_type, parameter.code, value).status == 400, (parameter.code, value)


@pytest.mark.parametrize("modifier", [one for one in MODIFIERS if one not in ("iterate", "")])
@pytest.mark.parametrize("name", sorted({*SPECIAL, "_query", "_type", *(one for one in NAMES if ":" not in one)}))
def test_parameters_of_the_search_itself_take_no_modifier(empty_server: InProcess, name: str, modifier: str) -> None:
    answer = ask(empty_server, "Medication", f"{name}:{modifier}", "1")
    assert answer.status == 400
    assert problems(answer)[0]["expression"] == [f"{name}:{modifier}"]
