"""Value sets of every kind, made by chance, against plain loops over the definitions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Question, Steps
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.sources import Given

Item = dict[str, Any]
Key = tuple[str, str]

CODES = [f"c{number}" for number in range(8)]
VERSIONS = ["1", "2"]
URL = "http://ex.org/s"


@st.composite
def code_systems(draw: st.DrawFn) -> list[Item]:
    """Two versions of one code system; a parent comes before its children, and says so by a property or by nesting."""
    found = []
    for version in VERSIONS:
        codes = draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))
        concepts = []
        for place, code in enumerate(codes):
            parents = draw(st.lists(st.sampled_from(codes[:place]), max_size=2, unique=True)) if place else []
            properties: list[Item] = [{"code": "parent", "valueCode": one} for one in parents]
            colour = draw(st.sampled_from(["red", "blue", None]))
            if colour:
                properties.append({"code": "colour", "valueCode": colour})
            if draw(st.booleans()):
                properties.append({"code": "inactive", "valueBoolean": True})
            concepts.append({"code": code, "property": properties})
        declared = [{"code": "colour", "type": "code"}]
        found.append({
            "resourceType": "CodeSystem", "url": URL, "version": version, "status": "active", "content": "complete",
            "caseSensitive": True, "property": declared, "concept": concepts,
        })  # fmt: skip
    return found


FILTERS = st.one_of(
    st.tuples(st.just("concept"), st.sampled_from(
        ["is-a", "descendent-of", "is-not-a", "generalizes", "child-of", "descendent-leaf"]), st.sampled_from(CODES)),
    st.tuples(st.just("colour"), st.just("="), st.sampled_from(["red", "blue"])),
    st.tuples(st.just("colour"), st.just("exists"), st.sampled_from(["true", "false"])),
    st.tuples(st.just("code"), st.sampled_from(["in", "not-in"]), st.sampled_from(["c0,c1", "c2, c7"])),
    st.tuples(st.just("code"), st.just("regex"), st.sampled_from(["c[0-3]", "c"])),
    st.tuples(st.just("parent"), st.just("exists"), st.sampled_from(["true", "false"])),
)  # fmt: skip


@st.composite
def parts(draw: st.DrawFn, later: list[str]) -> Item:
    """An include or exclude; it may name the value sets that come later."""
    found: Item = {}
    kind = draw(st.sampled_from(["whole", "listed", "filtered", *(["sets"] if later else [])]))
    if kind != "sets" or draw(st.booleans()):
        found["system"] = URL
        if (version := draw(st.sampled_from([None, *VERSIONS]))) is not None:
            found["version"] = version
    if kind == "listed":
        found["concept"] = [{"code": code} for code in draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=3))]
    if kind == "filtered":
        chosen = draw(st.lists(FILTERS, min_size=1, max_size=2))
        found["filter"] = [{"property": name, "op": op, "value": value} for name, op, value in chosen]
    if later and (kind == "sets" or draw(st.booleans())):
        found["valueSet"] = draw(st.lists(st.sampled_from(later), min_size=1, max_size=2))
    return found


@st.composite
def value_sets(draw: st.DrawFn) -> list[Item]:
    urls = [f"http://ex.org/vs/{number}" for number in range(3)]
    found = []
    for place, url in enumerate(urls):
        later = urls[place + 1 :]
        compose: Item = {
            "include": draw(st.lists(parts(later), min_size=1, max_size=3)),
            "exclude": draw(st.lists(parts(later), max_size=2)),
        }
        if draw(st.booleans()):
            compose["inactive"] = draw(st.booleans())
        found.append({"resourceType": "ValueSet", "url": url, "compose": compose})
    return found


class Loops:
    """What the definitions say, by loops over all of them. A key is a version and a code."""

    def __init__(self, systems: list[Item], sets: list[Item]) -> None:
        self.systems = {one["version"]: {each["code"]: each for each in one["concept"]} for one in systems}
        self.sets = {one["url"]: one["compose"] for one in sets}

    def values(self, version: str, code: str, name: str) -> list[Any]:
        concept = self.systems[version][code]
        return [next(v for k, v in one.items() if k != "code") for one in concept["property"] if one["code"] == name]

    def below(self, version: str, code: str, above: str) -> bool:
        parents = self.values(version, code, "parent")
        return above in parents or any(self.below(version, one, above) for one in parents)

    def leaf(self, version: str, code: str) -> bool:
        return not any(code in self.values(version, one, "parent") for one in self.systems[version])

    def meets(self, version: str, code: str, one: Item) -> bool:
        value = one["value"]
        below = self.below(version, code, value) if one["property"] == "concept" else False
        match one["property"], one["op"]:
            case _, "is-a":
                return code == value or below
            case _, "descendent-of":
                return below
            case _, "is-not-a":
                return not (code == value or below)
            case _, "generalizes":
                return code == value or self.below(version, value, code)
            case _, "child-of":
                return value in self.values(version, code, "parent")
            case _, "descendent-leaf":
                return below and self.leaf(version, code)
            case name, "=":
                return value in self.values(version, code, name)
            case name, "exists":
                return bool(self.values(version, code, name)) is (value == "true")
            case _, "in":
                return code in value.replace(" ", "").split(",")
            case _, "not-in":
                return code not in value.replace(" ", "").split(",")
        return value == "c[0-3]" and code in ("c0", "c1", "c2", "c3")

    def chosen(self, part: Item, version: str) -> set[Key]:
        """The codes of a part in one version of the code system."""
        codes = self.systems[version]
        listed = [one["code"] for one in part["concept"]] if "concept" in part else [*codes]
        filters = part.get("filter", ())
        return {
            (version, code) for code in listed
            if code in codes and all(self.meets(version, code, one) for one in filters)
        }  # fmt: skip

    def inside(self, part: Item, keys: set[Key] | None) -> set[Key]:
        for url in part.get("valueSet", ()):
            other = self.members(url)
            keys = other if keys is None else keys & other
        return keys or set()

    def members(self, url: str) -> set[Key]:
        compose = self.sets[url]
        found: set[Key] = set()
        for part in compose["include"]:
            # The newest is meant where none is named.
            own = self.chosen(part, part.get("version", "2")) if "system" in part else None
            found |= self.inside(part, own)
        for part in compose["exclude"]:
            versions = [part["version"]] if "version" in part else VERSIONS
            own = set().union(*(self.chosen(part, one) for one in versions)) if "system" in part else None
            found -= self.inside(part, own)
        if compose.get("inactive") is False:
            found = {(version, code) for version, code in found if not self.values(version, code, "inactive")}
        return found

    def tellable(self) -> bool:
        """Whether all codes that filters name are codes, in every version that they may be asked of."""
        return all(
            one["property"] != "concept" or all(one["value"] in codes for codes in self.systems.values())
            for compose in self.sets.values()
            for part in (*compose["include"], *compose["exclude"])
            for one in part.get("filter", ())
        )


@given(code_systems(), value_sets())
def test_the_service_answers_as_plain_loops_do(systems: list[Item], sets: list[Item]) -> None:
    loops = Loops(systems, sets)
    if not loops.tellable():
        return
    compiler = Compiler(Resolver([Given([*systems, *sets])]))
    for one in sets:
        members = compiler.named(one["url"])
        expected = loops.members(one["url"])
        listed = [(entry.version, entry.code) for entry in members.entries(Steps("v"))]
        assert len(listed) == len(set(listed))
        assert set(listed) == expected
        for version in VERSIONS:
            for code in CODES:
                entry = members.find(Question(URL, code, version), Steps("v"))
                assert (entry is not None and not entry.barred) is ((version, code) in expected)
