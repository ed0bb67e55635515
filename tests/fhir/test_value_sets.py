"""What a value set holds, by the rules of its definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from apothecary.errors import FhirError, NotEnumerable, TooCostly, UnknownTerminology
from apothecary.fhir.code_systems import code_system, select
from apothecary.fhir.terminology import CodeSystem, ValueSet
from apothecary.fhir.value_sets import expand, expand_resource


def concept(code: str, *nested: dict[str, Any], **properties: Any) -> dict[str, Any]:
    items = [
        {"code": name.replace("_", "-"), ("valueBoolean" if isinstance(value, bool) else "valueCode"): value}
        for name, values in properties.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return {"code": code, "display": code.upper(), "property": items, "concept": list(nested)}


# mammal > dog > (poodle, beagle), cat; bird > duck; duck and poodle say that they stand below swimmer besides.
ANIMALS = {
    "resourceType": "CodeSystem", "url": "animals", "version": "1", "caseSensitive": True, "content": "complete",
    "property": [{"code": "kind-of", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
    "concept": [
        concept("mammal", concept("dog", concept("poodle", kind_of="swimmer"), concept("beagle", status="retired")),
                concept("cat", legs="4")),
        concept("bird", concept("duck", subsumedBy="swimmer", legs=["2"], tame=True)),
        concept("swimmer"),
        concept("dodo", inactive=True),
        {"code": "bare"},
    ],
}  # fmt: skip
PLANTS = {
    "url": "plants",
    "content": "fragment",
    "concept": [concept("tree", concept("oak", child="cork"), concept("cork"))],
}


class Shelf:
    """Value sets and code systems by url."""

    def __init__(self, *value_sets: Mapping[str, Any] | ValueSet) -> None:
        self.value_sets = {one.url if isinstance(one, ValueSet) else one["url"]: one for one in value_sets}
        systems = [code_system(ANIMALS), code_system(PLANTS), code_system({"url": "abroad", "content": "not-present"})]
        self.systems = {one.url: one for one in systems} | {"animals|1": systems[0]}

    def code_system(self, canonical: str) -> CodeSystem | None:
        return self.systems.get(canonical)

    def value_set(self, canonical: str) -> Mapping[str, Any] | ValueSet | None:
        return self.value_sets.get(canonical)


def composed(url: str = "v", *, exclude: Any = (), inactive: bool | None = None, include: Any = ()) -> dict[str, Any]:
    compose: dict[str, Any] = {"include": list(include), "exclude": list(exclude)}
    return {"url": url, "compose": compose if inactive is None else compose | {"inactive": inactive}}


def filtered(*filters: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "system": "animals",
        "filter": [{"property": name, "op": op, "value": value} for name, op, value in filters],
    }


ALL = {"mammal", "dog", "poodle", "beagle", "cat", "bird", "duck", "swimmer", "dodo", "bare"}


@pytest.mark.parametrize(("filters", "codes"), [
    ([("concept", "is-a", "dog")], {"dog", "poodle", "beagle"}),
    ([("concept", "is-a", "swimmer")], {"swimmer", "poodle", "duck"}),
    ([("concept", "descendent-of", "mammal")], {"dog", "poodle", "beagle", "cat"}),
    ([("concept", "is-not-a", "mammal")], {"bird", "duck", "swimmer", "dodo", "bare"}),
    ([("concept", "generalizes", "poodle")], {"poodle", "dog", "mammal", "swimmer"}),
    ([("concept", "child-of", "mammal")], {"dog", "cat"}),
    ([("concept", "descendent-leaf", "mammal")], {"poodle", "beagle", "cat"}),
    ([("concept", "is-a", "mammal"), ("concept", "is-a", "swimmer")], {"poodle"}),
    ([("concept", "in", "dog, cat")], {"dog", "cat"}),
    ([("code", "not-in", "dog,cat")], ALL - {"dog", "cat"}),
    ([("code", "regex", "d.*")], {"dog", "duck", "dodo"}),
    ([("code", "regex", "d")], set()),
    ([("display", "=", "DOG")], {"dog"}),
    ([("display", "exists", "false")], {"bare"}),
    ([("legs", "=", "4")], {"cat"}),
    ([("legs", "in", "2,4")], {"cat", "duck"}),
    ([("legs", "not-in", "4")], ALL - {"cat"}),
    ([("legs", "exists", "true")], {"cat", "duck"}),
    ([("legs", "exists", "false")], ALL - {"cat", "duck"}),
    ([("legs", "regex", "[0-3]")], {"duck"}),
    ([("code", "regex", "(d+)+o")], set()),
    ([("code", "regex", "(?:[a-z]|[a-z])*!")], set()),
    ([("tame", "=", "true")], {"duck"}),
    ([("parent", "=", "swimmer")], {"poodle", "duck"}),
    ([("child", "=", "duck")], {"bird", "swimmer"}),
    ([("parent", "exists", "false")], {"mammal", "bird", "swimmer", "dodo", "bare"}),
])  # fmt: skip
def test_a_filter_selects_codes(filters: list[tuple[str, str, str]], codes: set[str]) -> None:
    found = expand_resource(composed(include=[filtered(*filters)]), Shelf())
    assert set(found.concepts.get("animals", ())) == codes
    assert not found.partial


DOG = {"system": "animals", "concept": [{"code": "dog"}]}
DOGS = filtered(("concept", "is-a", "dog"))


@pytest.mark.parametrize(("value_set", "codes"), [
    (composed(include=[{"system": "animals"}]), {"animals": ALL}),
    (composed(include=[{"system": "animals", "version": "1"}]), {"animals": ALL}),
    (composed(include=[DOG]), {"animals": {"dog"}}),
    (composed(include=[{"system": "nowhere", "concept": [{"code": "x"}]}]), {"nowhere": {"x"}}),
    (composed(include=[DOG, {"system": "other", "concept": [{"code": "x"}]}]),
     {"animals": {"dog"}, "other": {"x"}}),
    (composed(include=[DOGS], exclude=[DOG]), {"animals": {"poodle", "beagle"}}),
    (composed(include=[DOGS], exclude=[DOGS]), {}),
    (composed(include=[{"system": "animals"}], inactive=False), {"animals": ALL - {"beagle", "dodo"}}),
    (composed(include=[{"system": "animals"}], inactive=True), {"animals": ALL}),
    (composed(include=[{"valueSet": ["dogs"]}]), {"animals": {"dog", "poodle", "beagle"}}),
    (composed(include=[{"valueSet": ["dogs", "swimmers"]}]), {"animals": {"poodle"}}),
    (composed(include=[{"system": "animals", "concept": [{"code": "dog"}, {"code": "cat"}], "valueSet": ["dogs"]}]),
     {"animals": {"dog"}}),
    (composed(include=[{"system": "animals"}], exclude=[{"valueSet": ["dogs"]}]),
     {"animals": ALL - {"dog", "poodle", "beagle"}}),
    (composed(include=[{"valueSet": ["stored"]}]), {"s": {"a", "c"}}),
    (composed(include=[{"valueSet": ["shipped"]}]), {"s": {"x"}}),
    # Value sets may include each other; each adds what is its own.
    (composed(include=[{"valueSet": ["ping"]}]), {"s": {"1", "2"}}),
    (composed(include=[{"valueSet": ["v"]}, {"system": "s", "concept": [{"code": "a"}]}]), {"s": {"a"}}),
    # What cannot be composed here may have been expanded elsewhere.
    (composed(include=[{"system": "abroad"}]) | {"expansion": {"contains": [{"system": "abroad", "code": "y"}]}},
     {"abroad": {"y"}}),
    ({"url": "v", "expansion": {"total": 1, "contains": [{"system": "s", "code": "z"}]}}, {"s": {"z"}}),
])  # fmt: skip
def test_a_value_set_holds_what_its_definition_says(value_set: dict[str, Any], codes: dict[str, set[str]]) -> None:
    assert {system: set(found) for system, found in expand("v", shelf(value_set)).concepts.items()} == codes


def shelf(value_set: dict[str, Any]) -> Shelf:
    listed = {
        "contains": [
            {"system": "s", "code": "a"},
            {"code": "b", "abstract": True, "contains": [{"system": "s", "code": "c"}]},
        ]
    }
    return Shelf(
        value_set,
        composed("dogs", include=[filtered(("concept", "is-a", "dog"))]),
        composed("swimmers", include=[filtered(("concept", "is-a", "swimmer"))]),
        composed("ping", include=[{"valueSet": ["pong"]}, {"system": "s", "concept": [{"code": "1"}]}]),
        composed("pong", include=[{"valueSet": ["ping"]}, {"system": "s", "concept": [{"code": "2"}]}]),
        {"url": "stored", "expansion": listed},
        ValueSet("shipped", {"s": {"x": "X"}}, ("s",)),
        ValueSet("open", {}, ("s",), complete=False, reason="nobody can list them"),
        {"url": "page", "expansion": {"total": 3, "contains": [{"system": "s", "code": "a"}]}},
        {"url": "later-page", "expansion": {"offset": 1, "contains": [{"system": "s", "code": "a"}]}},
    )


@pytest.mark.parametrize(("include", "error", "said"), [
    ({"valueSet": ["nowhere"]}, UnknownTerminology, "nowhere"),
    ({"valueSet": ["open"]}, NotEnumerable, "nobody can list them"),
    ({"valueSet": ["page"]}, NotEnumerable, "page"),
    ({"valueSet": ["later-page"]}, NotEnumerable, "later-page"),
    ({"system": "nowhere"}, NotEnumerable, "nowhere"),
    ({"system": "abroad"}, NotEnumerable, "abroad"),
    ({"system": "animals", "version": "2"}, NotEnumerable, "animals"),
    (filtered(("concept", "is-a", "dragon")), UnknownTerminology, "dragon"),
    (filtered(("parent", "=", "dragon")), UnknownTerminology, "dragon"),
    (filtered(("wings", "=", "2")), NotEnumerable, "wings"),
    (filtered(("code", "almost", "dog")), NotEnumerable, "almost"),
    (filtered(("code", "exists", "maybe")), NotEnumerable, "maybe"),
    (filtered(("code", "regex", "(")), NotEnumerable, "is not evaluated as a regular expression"),
    (filtered(("code", "regex", r"(d)\1")), NotEnumerable, r"invalid escape sequence: \\1"),
    (filtered(("code", "regex", "(?=d)o")), NotEnumerable, "invalid perl operator"),
])  # fmt: skip
def test_what_cannot_be_listed_in_full_is_refused_by_name(
    include: dict[str, Any], error: type[FhirError], said: str
) -> None:
    with pytest.raises(error, match=said):
        expand("v", shelf(composed(include=[include])))


def test_a_filter_that_costs_too_much_on_many_codes_is_refused() -> None:
    concepts = [{"code": f"{number:06}", "display": "a" * 2_000} for number in range(100)]
    system = code_system({"url": "many", "concept": concepts})
    with pytest.raises(TooCostly, match="too costly"):
        select(system, [{"property": "display", "op": "regex", "value": "[ -~]*a.{1,1000}!"}])


def test_value_sets_that_include_each_other_for_ever_are_refused() -> None:
    chain = [composed(f"v{n}", include=[{"valueSet": [f"v{n + 1}"]}]) for n in range(200)]
    with pytest.raises(NotEnumerable, match="deep"):
        expand("v0", Shelf(*chain))


def test_a_fragment_is_listed_and_named_as_one() -> None:
    found = expand_resource(composed(include=[{"system": "plants"}]), Shelf())
    assert set(found.concepts["plants"]) == {"tree", "oak", "cork"}
    assert found.partial == {"plants"}
    assert found.total == 3


def test_a_display_comes_from_the_value_set_else_from_the_code_system() -> None:
    include = {"system": "animals", "concept": [{"code": "dog", "display": "Hound"}, {"code": "cat"}]}
    assert expand_resource(composed(include=[include]), Shelf()).concepts["animals"] == {"dog": "Hound", "cat": "CAT"}


def test_a_child_property_puts_codes_below_one_another() -> None:
    assert code_system(PLANTS).ancestors("cork") == {"oak", "tree"}


def test_a_code_is_found_without_regard_to_case_where_its_system_says_so() -> None:
    loose = code_system({"url": "u", "caseSensitive": False, "concept": [{"code": "Dog"}]})
    strict = code_system({"url": "u", "caseSensitive": True, "concept": [{"code": "Dog"}]})
    assert (loose.find("DOG"), strict.find("DOG"), strict.find("Dog")) == ("Dog", None, "Dog")
