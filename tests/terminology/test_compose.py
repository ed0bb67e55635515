"""What a value set holds, by the rules of its definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from apothecary.errors import FhirError, NotEnumerable, TooCostly, UnknownTerminology, Unprocessable
from apothecary.fhir.terminology import ValueSet
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Entry, Question, Steps
from apothecary.terminology.reading import code_system
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.sources import Candidate, Given


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


class Shelf(Given):
    """Value sets and code systems at hand, those of the specification's tables among them."""

    def __init__(self, *value_sets: Mapping[str, Any] | ValueSet) -> None:
        held = [one for one in value_sets if not isinstance(one, ValueSet)]
        systems = [ANIMALS, PLANTS, {"url": "abroad", "content": "not-present"}]
        super().__init__(
            [{**one, "resourceType": "ValueSet"} for one in held]
            + [{**one, "resourceType": "CodeSystem"} for one in systems]
        )
        self._tables = {one.url: one for one in value_sets if isinstance(one, ValueSet)}

    def value_sets(self, url: str) -> Any:
        table = self._tables.get(url)
        return super().value_sets(url) if table is None else [Candidate(None, lambda: table)]

    def entries(self, name: str | Mapping[str, Any]) -> list[Entry]:
        """All that a value set holds."""
        compiler = Compiler(Resolver([self]))
        members = compiler.named(name) if isinstance(name, str) else compiler.resource(name)
        found = members.entries(Steps(members.name))
        for one in found:
            asked = members.find(Question(one.url, one.code, one.version), Steps(members.name))
            assert asked is not None, "what is listed is found"
            assert asked.key == one.key
        return found


def codes(entries: list[Entry]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in entries:
        found.setdefault(one.url, set()).add(one.code)
    return found


def composed(url: str = "v", *, exclude: Any = (), inactive: bool | None = None, include: Any = ()) -> dict[str, Any]:
    compose: dict[str, Any] = {"include": list(include), "exclude": list(exclude)}
    return {"url": url, "compose": compose if inactive is None else compose | {"inactive": inactive}}


def filtered(*filters: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "system": "animals",
        "filter": [{"property": name, "op": op, "value": value} for name, op, value in filters],
    }


ALL = {"mammal", "dog", "poodle", "beagle", "cat", "bird", "duck", "swimmer", "dodo", "bare"}


@pytest.mark.parametrize(("filters", "expected"), [
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
def test_a_filter_selects_codes(filters: list[tuple[str, str, str]], expected: set[str]) -> None:
    found = Shelf().entries(composed(include=[filtered(*filters)]))
    assert {one.code for one in found} == expected


DOG = {"system": "animals", "concept": [{"code": "dog"}]}
DOGS = filtered(("concept", "is-a", "dog"))


@pytest.mark.parametrize(("value_set", "expected"), [
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
    # What cannot be composed here may have been expanded elsewhere.
    (composed(include=[{"system": "abroad"}]) | {"expansion": {"contains": [{"system": "abroad", "code": "y"}]}},
     {"abroad": {"y"}}),
    ({"url": "v", "expansion": {"total": 1, "contains": [{"system": "s", "code": "z"}]}}, {"s": {"z"}}),
])  # fmt: skip
def test_a_value_set_holds_what_its_definition_says(value_set: dict[str, Any], expected: dict[str, set[str]]) -> None:
    assert codes(shelf(value_set).entries("v")) == expected


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
    ({"system": "nowhere"}, UnknownTerminology, "nowhere"),
    ({"system": "abroad"}, NotEnumerable, "abroad"),
    ({"system": "animals", "version": "2"}, UnknownTerminology, "animals. version .2."),
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
        shelf(composed(include=[include])).entries("v")


def test_a_filter_that_costs_too_much_on_many_codes_is_refused() -> None:
    concepts = [{"code": f"{number:06}", "display": "a" * 2_000} for number in range(100)]
    many = {"resourceType": "CodeSystem", "url": "many", "concept": concepts}
    pattern = {"property": "display", "op": "regex", "value": "[ -~]*a.{1,1000}!"}
    compiler = Compiler(Resolver([Given([many])]))
    members = compiler.resource(composed(include=[{"system": "many", "filter": [pattern]}]))
    with pytest.raises(TooCostly, match="can be evaluated here"):
        members.entries(Steps("v"))


def test_value_sets_that_include_each_other_for_ever_are_refused() -> None:
    chain = [composed(f"v{n}", include=[{"valueSet": [f"v{n + 1}"]}]) for n in range(200)]
    with pytest.raises(NotEnumerable, match="deep"):
        Shelf(*chain).entries("v0")


@pytest.mark.parametrize("name", ["ping", "itself", "out"])
def test_a_circle_is_named(name: str) -> None:
    held = shelf(composed("itself", include=[{"valueSet": ["itself"]}])).value_sets
    rings = [one.load() for url in ("ping", "pong", "itself") for one in held(url)]
    rings.append(composed("out", include=[DOG], exclude=[{"valueSet": ["out"]}]))
    with pytest.raises(Unprocessable, match=f"{name} -> .*{name}"):
        Shelf(*rings).entries(name)


def test_a_fragment_is_listed_and_named_as_one() -> None:
    found = Shelf().entries(composed(include=[{"system": "plants"}]))
    assert codes(found) == {"plants": {"tree", "oak", "cork"}}
    assert {one.system.complete for one in found if one.system is not None} == {False}


def test_a_display_comes_from_the_value_set_else_from_the_code_system() -> None:
    include = {"system": "animals", "concept": [{"code": "dog", "display": "Hound"}, {"code": "cat"}]}
    assert {one.code: one.display for one in Shelf().entries(composed(include=[include]))} == {
        "dog": "Hound",
        "cat": "CAT",
    }


def test_a_listed_code_that_its_code_system_lacks_is_not_in_the_value_set() -> None:
    include = {"system": "animals", "concept": [{"code": "dog"}, {"code": "dragon"}]}
    assert codes(Shelf().entries(composed(include=[include]))) == {"animals": {"dog"}}


def test_a_child_property_puts_codes_below_one_another() -> None:
    assert code_system(PLANTS).ancestors("cork") == {"oak", "tree"}


def test_a_code_is_found_without_regard_to_case_where_its_system_says_so() -> None:
    loose = code_system({"url": "u", "caseSensitive": False, "concept": [{"code": "Dog"}]})
    strict = code_system({"url": "u", "caseSensitive": True, "concept": [{"code": "Dog"}]})
    found = [one and one.code for one in (loose.find("DOG"), strict.find("DOG"), strict.find("Dog"))]
    assert found == ["Dog", None, "Dog"]


SNOMED = {
    "resourceType": "CodeSystem", "url": "http://snomed.info/sct", "content": "fragment", "caseSensitive": True,
    "version": "http://snomed.info/sct/900000000000207008/version/20240101",
    "concept": [concept("1", concept("2")), concept("3")],
}  # fmt: skip


@pytest.mark.parametrize(("url", "expected"), [
    ("http://snomed.info/sct?fhir_vs", {"1", "2", "3"}),
    ("http://snomed.info/sct?fhir_vs=isa/1", {"1", "2"}),
    ("http://snomed.info/sct/900000000000207008/version/20240101?fhir_vs", {"1", "2", "3"}),
])  # fmt: skip
def test_a_url_of_snomed_ct_may_be_a_value_set(url: str, expected: set[str]) -> None:
    members = Compiler(Resolver([Given([SNOMED])])).named(url)
    assert {one.code for one in members.entries(Steps(url))} == expected


@pytest.mark.parametrize("url", [
    "http://ex.org/animals?fhir_vs",
    "http://snomed.info/sct/900000000000207008/version/20250101?fhir_vs",
    "http://snomed.info/sct?fhir_vs=isa/9",
])  # fmt: skip
def test_a_url_that_says_no_value_set_that_is_held_is_refused(url: str) -> None:
    with pytest.raises(UnknownTerminology):
        Compiler(Resolver([Given([SNOMED])])).named(url).entries(Steps(url))


def test_without_a_version_the_newest_is_meant_and_not_the_one_that_names_none() -> None:
    unnamed: dict[str, Any] = {"resourceType": "CodeSystem", "url": "http://x.org/s", "content": "fragment"}
    named = {**unnamed, "version": "11022026"}
    for given in ([unnamed, named], [named, unnamed]):
        assert Resolver([Given(given)]).code_system("http://x.org/s").version == "11022026"
    assert Resolver([Given([unnamed])]).code_system("http://x.org/s").version is None
