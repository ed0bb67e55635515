"""Small worlds of drugs, classes and statements by chance, for `$detect-issues`: salts that contain each other, classes
in circles, products that share a code, statements about anything.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

JSON = dict[str, Any]
URL = "https://example.org/fhir/StructureDefinition/"
STATUS = "http://hl7.org/fhir/publication-status"
SUBSTANCES, PRODUCTS, CLASSES, CONDITIONS, SHARED = 4, 4, 5, 5, 2


def systems(world: str) -> dict[str, str]:
    """The code systems of a world: no two worlds of one database know of each other."""
    return {name: f"urn:test:{world}:{name}" for name in ("SUB", "PRD", "RX", "CLS", "CND")}


def _parents(codes: list[str]) -> list[JSON]:
    return [{"code": "parent", "valueCode": one} for one in codes]


class Builder:
    """Makes the resources of one world."""

    def __init__(self, world: str) -> None:
        self.world = world
        self.systems = systems(world)
        self.resources: dict[str, JSON] = {}
        self.parents: dict[str, dict[str, list[str]]] = {}
        self.sets: dict[str, list[tuple[str, str]]] = {}

    def code(self, name: str, number: int) -> tuple[str, str]:
        return self.systems[name], f"{name.lower()}{number}"

    def concept(self, *codes: tuple[str, str]) -> JSON:
        return {"coding": [{"system": system, "code": code} for system, code in codes]}

    def reference(self, kind: str, name: str) -> JSON:
        return {"reference": f"{kind}/{self.world}-{name}"}

    def add(self, kind: str, key: str, /, **content: Any) -> None:
        id_ = f"{self.world}-{key}"
        self.resources[f"{kind}/{id_}"] = {"resourceType": kind, "id": id_, **content}

    def hierarchy(self, name: str, parents: list[list[int]]) -> None:
        above = {f"{name.lower()}{n}": [f"{name.lower()}{p}" for p in some] for n, some in enumerate(parents)}
        self.parents[self.systems[name]] = above
        self.add(
            "CodeSystem",
            name.lower(),
            url=self.systems[name],
            status="active",
            content="complete",
            caseSensitive=True,
            property=[{"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
            concept=[
                {"code": code, **({"property": _parents(some)} if some else {})}
                for code, some in above.items()
            ],
        )  # fmt: skip

    @property
    def model(self) -> JSON:
        return {"resources": self.resources, "parents": self.parents, "sets": self.sets}


def parents(size: int) -> st.SearchStrategy[list[list[int]]]:
    """For each of some codes those above it: circles included."""
    return st.lists(st.lists(st.integers(0, size - 1), max_size=2, unique=True), min_size=size, max_size=size)


@st.composite
def worlds(draw: st.DrawFn) -> JSON:
    """What is drawn for a world, without its name."""
    number = lambda most: draw(st.integers(0, most - 1))  # noqa: E731
    some = lambda most, size=2: draw(st.lists(st.integers(0, most - 1), max_size=size, unique=True))  # noqa: E731
    return {
        "classes": draw(parents(CLASSES)),
        "conditions": draw(parents(CONDITIONS)),
        "salts": [some(SUBSTANCES, 1) for _ in range(SUBSTANCES)],
        "classified": [some(CLASSES) for _ in range(SUBSTANCES)],
        "products": [
            {
                "first": draw(st.sampled_from(["PRD", "RX"])),
                "shared": number(SHARED),
                "active": some(SUBSTANCES),
                "inactive": some(SUBSTANCES, 1),
                "by": draw(st.sampled_from(["code", "reference"])),
                "classes": some(CLASSES, 1),
            }
            for _ in range(PRODUCTS)
        ],
        "set": some(SUBSTANCES, 2),
        "statements": draw(st.lists(statements(), min_size=3, max_size=9)),
    }


DRUGS = st.one_of(
    st.tuples(st.just("SUB"), st.integers(0, SUBSTANCES)),
    st.tuples(st.just("PRD"), st.integers(0, PRODUCTS)),
    st.tuples(st.just("RX"), st.integers(0, SHARED - 1)),
    st.tuples(st.just("CLS"), st.integers(0, CLASSES - 1)),
    st.tuples(st.sampled_from(["Medication", "MedicationKnowledge"]), st.integers(0, PRODUCTS)),
)
SUBJECTS = st.one_of(
    st.tuples(st.sampled_from(["Medication", "MedicationKnowledge"]), st.integers(0, PRODUCTS - 1)),
    st.tuples(st.just("Substance"), st.integers(0, SUBSTANCES - 1)),
    st.tuples(st.just("Class"), st.integers(0, CLASSES - 1)),
)
INTERACTANTS = st.one_of(SUBJECTS, DRUGS, st.just(("text", 0)), st.just(("set", 0)))


def statements() -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries(
        {
            "type": st.sampled_from(["interaction", "interaction", "contraindication", "limitation", "warning"]),
            "status": st.sampled_from(["active", "active", "active", "retired"]),
            "subjects": st.lists(SUBJECTS, min_size=1, max_size=2, unique=True),
            "interactants": st.lists(INTERACTANTS, max_size=2, unique=True),
            "condition": st.none() | st.integers(0, CONDITIONS - 1),
            "population": st.sampled_from([False, False, True]),
        }
    )


def built(drawn: JSON, world: str) -> Builder:
    """The resources of a world."""
    make = Builder(world)
    make.hierarchy("CLS", drawn["classes"])
    make.hierarchy("CND", drawn["conditions"])
    for n, salts in enumerate(drawn["salts"]):
        inside = [{"substanceReference": make.reference("Substance", f"s{s}")} for s in salts]
        code = make.concept(make.code("SUB", n))
        extra = {"ingredient": inside} if inside else {}
        make.add("Substance", f"s{n}", instance=False, code={"concept": code}, **extra)
        classes = [make.concept(make.code("CLS", c)) for c in drawn["classified"][n]]
        make.add("MedicationKnowledge", f"s{n}", status="active", code=code, **_classified(classes))
    for n in range(CLASSES):
        make.add("Medication", f"c{n}", status="active", code=make.concept(make.code("CLS", n)))
    for n, one in enumerate(drawn["products"]):
        pair = [make.code("PRD", n), make.code("RX", one["shared"])]
        code = make.concept(*(pair if one["first"] == "PRD" else reversed(pair)))
        items = [(s, True) for s in one["active"]] + [(s, False) for s in one["inactive"]]
        inside = [{"item": _item(make, one["by"], s), "isActive": active} for s, active in items]
        make.add("Medication", f"p{n}", status="active", code=code, **({"ingredient": inside} if inside else {}))
        make.add(
            "MedicationKnowledge",
            f"p{n}",
            status="active",
            code=code,
            associatedMedication=[make.reference("Medication", f"p{n}")],
            **_classified([make.concept(make.code("CLS", c)) for c in one["classes"]]),
        )
    make.add(
        "Group", "g", type="person", membership="definitional", name="Some ages",
        characteristic=[
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "30525-0"}]},
                "valueRange": {"low": _years(10), "high": _years(20)},
                "exclude": False,
            }
        ],
    )  # fmt: skip
    listed = [make.code("SUB", s) for s in drawn["set"]]
    make.sets[f"urn:test:{world}:set"] = listed
    concepts = [{"code": code} for _, code in listed]
    include = (
        [{"system": make.systems["SUB"], "concept": concepts}]
        if listed
        else [{"system": "urn:none", "concept": [{"code": "none"}]}]
    )
    make.add("ValueSet", "set", url=f"urn:test:{world}:set", status="active", compose={"include": include})
    for n, one in enumerate(drawn["statements"]):
        make.add("ClinicalUseDefinition", f"u{n}", **statement(make, one))
    return make


def _years(value: int) -> JSON:
    return {"value": value, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}


def _classified(classes: list[JSON]) -> JSON:
    return {"medicineClassification": [{"type": {"text": "class"}, "classification": classes}]} if classes else {}


def _item(make: Builder, by: str, substance: int) -> JSON:
    if by == "code":
        return {"concept": make.concept(make.code("SUB", substance))}
    return {"reference": make.reference("Substance", f"s{substance}")}


def pointed(make: Builder, named: tuple[str, int]) -> JSON:
    """A reference to a product, a substance or a class."""
    kind, number = named
    letter = {"Substance": "s", "Class": "c"}.get(kind, "p")
    return make.reference("Medication" if kind == "Class" else kind, f"{letter}{number}")


def statement(make: Builder, one: JSON) -> JSON:
    kind = {"limitation": "warning"}.get(one["type"], one["type"])
    condition = None if one["condition"] is None else make.concept(make.code("CND", one["condition"]))
    part: JSON = {}
    if one["type"] == "interaction":
        part = {"interactant": [_interactant(make, named) for named in one["interactants"]]}
        part = part if part["interactant"] else {"effect": {"concept": {"text": "words"}}}
    elif one["type"] == "limitation":
        condition = condition or make.concept(make.code("CND", 0))
        part = {
            "extension": [{"url": f"{URL}limitation-condition", "valueCodeableConcept": condition}],
            "description": "words",
        }
    elif one["type"] == "warning":
        part = {"description": "words"}
    elif condition is not None:
        part = {"diseaseSymptomProcedure": {"concept": condition}}
    made: JSON = {
        "type": kind,
        "subject": [pointed(make, named) for named in one["subjects"]],
        "status": {"coding": [{"system": STATUS, "code": one["status"]}]},
    }
    if part:
        made[kind] = part
    if one["population"] and one["type"] in ("contraindication", "warning"):
        made["population"] = [make.reference("Group", "g")]
    return made


def _interactant(make: Builder, named: tuple[str, int]) -> JSON:
    kind, number = named
    if kind == "text":
        return {"itemCodeableConcept": {"text": "grapefruit"}}
    if kind == "set":
        extension = {"url": f"{URL}member-of", "valueCanonical": f"urn:test:{make.world}:set"}
        return {"itemCodeableConcept": {"extension": [extension], "text": "any of the set"}}
    if kind in make.systems:
        return {"itemCodeableConcept": make.concept(make.code(kind, number))}
    return {"itemReference": pointed(make, named)}


def asked(make: Builder, named: tuple[str, int]) -> Any:
    """A drug as it is asked for: a code with its system, or `Type/id`."""
    kind, number = named
    return make.code(kind, number) if kind in make.systems else f"{kind}/{make.world}-p{number}"
