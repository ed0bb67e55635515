"""What searches find, the slow way: each resource is looked at, by rules written from the specification alone.

https://hl7.org/fhir/R5/search.html. Nothing of `apothecary.search` is used here: model and server
may not share a mistake.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]
World = Mapping[str, Json]
"""Resources by `Type/id`; a contained one by that of its container, `#` and its own id."""

UCUM = "http://unitsofmeasure.org"
MEDICATION_STATUS = "http://hl7.org/fhir/CodeSystem/medication-status"
SPECIAL_VALUES = "http://terminology.hl7.org/CodeSystem/special-values"
CURRENCIES = "urn:iso:std:iso:4217"
GENDER = "http://hl7.org/fhir/administrative-gender"
USE_TYPE = "http://hl7.org/fhir/clinical-use-definition-type"
CASE_SENSITIVE = (MEDICATION_STATUS, GENDER, USE_TYPE, SPECIAL_VALUES)
GRAMS = {"g": Decimal(1), "mg": Decimal("0.001"), "ug": Decimal("0.000001")}


LETTERS = {"æ": "ae", "ø": "o", "ł": "l", "đ": "d", "þ": "th", "œ": "oe"}
JOINING = "'’-."


def unfold(text: str) -> str:
    """Without case, accents and punctuation; white space between words is one space."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    letters = list("".join(LETTERS.get(c, c) for c in decomposed if unicodedata.category(c) != "Mn"))
    for place in range(len(letters)):
        around = letters[max(0, place - 1)], letters[min(len(letters) - 1, place + 1)]
        # One sign between two digits is part of a number.
        if unicodedata.category(letters[place])[0] == "P" and not all(one.isdigit() for one in around):
            letters[place] = "" if letters[place] in JOINING else " "
    return " ".join("".join(letters).split())


def with_contained(world: World) -> World:
    """A world of containers with what they contain."""
    inside = {f"{key}#{one['id']}": one for key, content in world.items() for one in content.get("contained", ())}
    return {**world, **inside}


def kind_of(world: World, key: str) -> str:
    return str(world[key]["resourceType"]) if "#" in key else key.partition("/")[0]


def at(node: Any, path: str) -> list[Any]:
    """Every value at a dotted path, through lists."""
    nodes = [node]
    for step in path.split(".") if path else ():
        nodes = [one[step] for one in nodes if isinstance(one, dict) and step in one]
        nodes = [inner for one in nodes for inner in (one if isinstance(one, list) else [one])]
    return nodes


# -- token


@dataclass(frozen=True)
class Token:
    """One element: its codes with their systems, the types of an identifier, and its texts."""

    codes: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()


def concept(node: Json) -> Token:
    codings = node.get("coding", [])
    return Token(
        tuple((one.get("system", ""), one.get("code", "")) for one in codings),
        texts=(*([node["text"]] if "text" in node else []), *(one["display"] for one in codings if "display" in one)),
    )


def identifier(node: Json) -> Token:
    kinds = node.get("type", {}).get("coding", [])
    codes = ((node.get("system", ""), node["value"]),) if "value" in node else ()
    return Token(codes, tuple((one["system"], one["code"]) for one in kinds))


def same_code(system: str, one: str, other: str) -> bool:
    """Whether case counts, the published code system says; where nobody says, it does not."""
    exact = system in CASE_SENSITIVE
    return one == other if exact else one.casefold() == other.casefold()


def token(node: Token, modifier: str, parts: Sequence[str]) -> bool:
    if modifier == "text":
        return any(unfold(text).startswith(unfold(parts[0])) for text in node.texts)
    if modifier == "code-text":
        return any(code.casefold().startswith(parts[0].casefold()) for _, code in node.codes)
    if modifier == "of-type":
        wanted_kind, (_, value) = (parts[0], parts[1]), node.codes[0] if node.codes else ("", "")
        return bool(node.codes) and wanted_kind in node.kinds and same_code("", value, parts[2])
    if len(parts) == 1:
        return any(same_code(system, code, parts[0]) for system, code in node.codes)
    wanted, value = parts
    if not value:
        return any(system == wanted for system, _ in node.codes)
    return any(system == wanted and same_code(system, code, value) for system, code in node.codes)


# -- ranges: dates, numbers, quantities


@dataclass(frozen=True)
class Range:
    """From `low` to `high`; None is without end. A point has both ends in it, any other range its low one only."""

    low: Any
    high: Any


def above(low: Any, point: Any) -> bool:
    return low is not None and low > point


def moment(text: str) -> Range:
    """The span that a date names."""
    if len(text) == 4:
        return Range(datetime(int(text), 1, 1, tzinfo=UTC), datetime(int(text) + 1, 1, 1, tzinfo=UTC))
    if len(text) == 7:
        year, month = int(text[:4]), int(text[5:])
        following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return Range(datetime(year, month, 1, tzinfo=UTC), following)
    if len(text) == 10:
        start = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return Range(start, start + timedelta(days=1))
    start = datetime.fromisoformat(text)
    return Range(start, start + timedelta(seconds=1))


def period(node: Any) -> Range:
    if isinstance(node, str):
        return moment(node)
    return Range(
        moment(node["start"]).low if "start" in node else None, moment(node["end"]).high if "end" in node else None
    )


def dates(found: Range, prefix: str, wanted: Range) -> bool:
    """https://hl7.org/fhir/R5/search.html#prefix, on half-open spans."""
    contained = (
        found.low is not None and found.high is not None and wanted.low <= found.low <= found.high <= wanted.high
    )
    later = found.high is None or found.high > wanted.high
    earlier = found.low is None or found.low < wanted.low
    return {
        "eq": contained,
        "ne": not contained,
        "gt": later,
        "lt": earlier,
        "ge": later or contained,
        "le": earlier or contained,
        "sa": found.low is not None and found.low >= wanted.high,
        "eb": found.high is not None and found.high <= wanted.low,
    }[prefix]


def numbers(found: Range, prefix: str, text: str, scale: Decimal = Decimal(1)) -> bool:
    """A number written as `text`, in units of `scale`; its last digit says how exact `eq` and `ne` are."""
    exact = Decimal(text)
    half = Decimal(5).scaleb(int(exact.as_tuple().exponent) - 1)
    low, high, point = (exact - half) * scale, (exact + half) * scale, exact * scale
    inside = found.low is not None and found.high is not None and low <= found.low and found.high < high
    margin = abs(point) / 10
    return {
        "eq": inside,
        "ne": not inside,
        "gt": found.high is None or found.high > point,
        "lt": found.low is None or found.low < point,
        "ge": found.high is None or found.high >= point,
        "le": found.low is None or found.low <= point,
        "sa": found.low is not None and found.low > point,
        "eb": found.high is not None and found.high < point,
        "ap": (found.low is None or found.low <= point + margin)
        and (found.high is None or found.high >= point - margin),
    }[prefix]


@dataclass(frozen=True)
class Amount:
    """A quantity: its range as written, and how its unit is named."""

    range: Range
    system: str
    code: str
    unit: str


def amount(node: Json) -> Amount:
    if "currency" in node:
        node = {"value": node["value"], "system": CURRENCIES, "code": node["currency"]}
    value, comparator = Decimal(str(node["value"])), node.get("comparator", "")
    return Amount(
        Range(None if comparator.startswith("<") else value, None if comparator.startswith(">") else value),
        node.get("system", ""),
        node.get("code", ""),
        node.get("unit", ""),
    )


def quantity(found: Amount, prefix: str, parts: Sequence[str]) -> bool:
    if len(parts) == 1 or not (parts[1] or parts[2]):
        return numbers(found.range, prefix, parts[0])
    text, system, code = parts
    if system == UCUM and found.system == UCUM and code in GRAMS and found.code in GRAMS:
        factor = GRAMS[found.code]
        ends = [None if end is None else end * factor for end in (found.range.low, found.range.high)]
        return numbers(Range(*ends), prefix, text, GRAMS[code])
    if system:
        return found.system == system and found.code == code and numbers(found.range, prefix, text)
    return code in (found.code, found.unit) and numbers(found.range, prefix, text)


# -- string, uri, reference


def string(found: str, modifier: str, wanted: str) -> bool:
    if modifier == "exact":
        return found == wanted
    if modifier == "contains":
        return unfold(wanted) in unfold(found)
    return unfold(found).startswith(unfold(wanted))


def uri(found: str, modifier: str, wanted: str) -> bool:
    if modifier == "contains":
        return wanted in found
    if modifier == "below":
        return found.startswith(wanted)
    if modifier == "above":
        return wanted == found or wanted.startswith(found if found.endswith("/") else found + "/")
    return found == wanted


def reference(found: Json, modifier: str, parts: Sequence[str]) -> bool:
    literal, shown = found.get("reference", ""), found.get("display", "")
    if modifier == "identifier":
        return token(identifier(found.get("identifier", {})), "", parts)
    if modifier == "text":
        return unfold(shown).startswith(unfold(parts[0])) if shown else False
    if modifier:
        return bool(literal == f"{modifier}/{parts[0]}")
    return bool(literal == parts[0] if "/" in parts[0] else literal.endswith(f"/{parts[0]}"))


# -- parameters


@dataclass(frozen=True)
class Parameter:
    """One search parameter: its type, and the elements it looks at in the form that the type compares."""

    type: str
    values: Callable[[Json], list[Any]]
    components: tuple[str, ...] = ()
    """Of a composite: the types of its parts."""


def tokens(path: str, read: Callable[[Any], Token] = concept) -> Parameter:
    return Parameter("token", lambda resource: [read(one) for one in at(resource, path)])


def status(system: str) -> Callable[[Any], Token]:
    return lambda code: Token(((system, code),))


def truth(value: bool) -> Token:
    return Token(((SPECIAL_VALUES, "true" if value else "false"),))


def elements(kind: str, *paths: str, read: Callable[[Any], Any] = lambda one: one) -> Parameter:
    return Parameter(kind, lambda resource: [read(one) for path in paths for one in at(resource, path)])


def pairs(path: str, first: str, second: str) -> Callable[[Json], list[Any]]:
    """The code and the quantity of each element that has both."""
    return lambda resource: [
        (concept(code), amount(value))
        for node in at(resource, path)
        for code in at(node, first)
        for value in at(node, second)
    ]


def _point(value: Any) -> Range:
    return Range(Decimal(str(value)), Decimal(str(value)))


PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "Medication": {
        "status": tokens("status", status(MEDICATION_STATUS)),
        "code": tokens("code"),
        "identifier": tokens("identifier", identifier),
        "expiration-date": elements("date", "batch.expirationDate", read=moment),
        "ingredient-code": tokens("ingredient.item.concept"),
        "ingredient": elements("reference", "ingredient.item.reference"),
        "marketingauthorizationholder": elements("reference", "marketingAuthorizationHolder"),
    },
    "MedicationKnowledge": {
        "code": tokens("code"),
        "packaging-cost": elements("quantity", "packaging.cost.costMoney", read=amount),
    },
    "ClinicalUseDefinition": {
        "type": tokens("type", status(USE_TYPE)),
        "subject": elements("reference", "subject"),
    },
    "Organization": {
        "name": elements("string", "name", "alias"),
        "active": tokens("active", truth),
        "partof": elements("reference", "partOf"),
    },
    "Observation": {
        "code": tokens("code"),
        "date": elements("date", "effectiveDateTime", "effectivePeriod", read=period),
        "value-quantity": elements("quantity", "valueQuantity", read=amount),
        "component-value-quantity": elements("quantity", "component.valueQuantity", read=amount),
        "code-value-quantity": Parameter("composite", pairs("", "code", "valueQuantity"), ("token", "quantity")),
        "component-code-value-quantity": Parameter(
            "composite", pairs("component", "code", "valueQuantity"), ("token", "quantity")
        ),
    },
    "CodeSystem": {"url": elements("uri", "url"), "title": elements("string", "title")},
    "RiskAssessment": {"probability": elements("number", "prediction.probabilityDecimal", read=_point)},
}


def escape(text: str) -> str:
    for character in "\\,$|":
        text = text.replace(character, "\\" + character)
    return text


@dataclass(frozen=True)
class Value:
    """One value of a query: a prefix, and parts that bars join."""

    parts: tuple[str, ...]
    prefix: str = ""

    def written(self) -> str:
        return self.prefix + "|".join(map(escape, self.parts))


def compare(kind: str, found: Any, modifier: str, value: Value) -> bool:
    """Whether one element meets one value."""
    if kind == "token":
        return token(found, modifier, value.parts)
    if kind == "date":
        return dates(found, value.prefix or "eq", moment(value.parts[0]))
    if kind == "number":
        return numbers(found, value.prefix or "eq", value.parts[0])
    if kind == "quantity":
        return quantity(found, value.prefix or "eq", value.parts)
    if kind == "reference":
        return reference(found, modifier, value.parts)
    return (string if kind == "string" else uri)(found, modifier, value.parts[0])


# -- criteria


@dataclass(frozen=True)
class Plain:
    """A parameter of the resource itself; `values` are alternatives, those of a composite tuples of parts."""

    code: str
    modifier: str
    values: tuple[tuple[Value, ...], ...]

    def name(self) -> str:
        return f"{self.code}:{self.modifier}" if self.modifier else self.code

    def written(self) -> str:
        return ",".join("$".join(part.written() for part in one) for one in self.values)

    def holds(self, world: World, key: str) -> bool:
        parameter = PARAMETERS[kind_of(world, key)][self.code]
        found = parameter.values(world[key])
        if self.modifier == "missing":
            return (not found) == (self.values[0][0].parts[0] == "true")
        kinds = parameter.components or (parameter.type,)
        modifier = "" if self.modifier == "not" else self.modifier

        def met(element: Any, parts: tuple[Value, ...]) -> bool:
            sides = element if parameter.components else (element,)
            return all(
                compare(kind, side, modifier, part) for kind, side, part in zip(kinds, sides, parts, strict=True)
            )

        result = any(met(element, parts) for element in found for parts in self.values)
        return result != (self.modifier == "not")


@dataclass(frozen=True)
class Chain:
    """What is asked of the resource that a reference points to."""

    code: str
    target: str
    inner: Criterion

    def name(self) -> str:
        return f"{self.code}:{self.target}.{self.inner.name()}"

    def written(self) -> str:
        return self.inner.written()

    def holds(self, world: World, key: str) -> bool:
        return any(
            self.inner.holds(world, target)
            for target in targets(world, key, self.code)
            if kind_of(world, target) == self.target
        )


@dataclass(frozen=True)
class Reverse:
    """What is asked of a resource that points here: `_has`."""

    source: str
    code: str
    inner: Criterion

    def name(self) -> str:
        return f"_has:{self.source}:{self.code}:{self.inner.name()}"

    def written(self) -> str:
        return self.inner.written()

    def holds(self, world: World, key: str) -> bool:
        return any(
            key in targets(world, source, self.code) and self.inner.holds(world, source)
            for source in world
            if source.startswith(f"{self.source}/") and "#" not in source
        )


Criterion = Plain | Chain | Reverse


def targets(world: World, key: str, code: str) -> Iterator[str]:
    """The resources of the world that a reference parameter points to, inside the same container or anywhere."""
    for one in PARAMETERS[kind_of(world, key)][code].values(world[key]):
        literal = one.get("reference", "")
        target = key.partition("#")[0] + literal if literal.startswith("#") else literal
        if target in world:
            yield target


# -- order


def sort_value(parameter: Parameter, resource: Json, descending: bool) -> Any:
    """The smallest value, or when descending the largest; None without any. Codes of one system sort as written."""
    found = parameter.values(resource)
    if parameter.type == "token":
        values: list[Any] = [code for one in found for _, code in one.codes]
    elif parameter.type == "string":
        values = [unfold(one) for one in found]
    elif parameter.type == "date":
        ends = [one.high if descending else one.low for one in found]
        earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        values = [(latest if descending else earliest) if end is None else end for end in ends]
    else:
        values = [one.low for one in found] if parameter.type == "number" else found
    return None if not values else max(values) if descending else min(values)


def ordered(world: World, resource_type: str, keys: Sequence[str], sort: Sequence[tuple[str, bool]]) -> list[str]:
    """`keys` by several parameters (code, descending); missing values last either way, ids in the end: the greatest
    first where the first parameter descends.
    """
    result = sorted(keys, reverse=bool(sort) and sort[0][1])
    result.sort(key=lambda key: (kind_of(world, key), "#" in key))
    for code, descending in reversed(sort):
        values = {key: sort_value(PARAMETERS[resource_type][code], world[key], descending) for key in keys}
        known = [key for key in result if values[key] is not None]
        if descending:
            known.reverse()  # sorting keeps the order of equals, and reversing must not turn it round
        known.sort(key=lambda key: values[key])
        if descending:
            known.reverse()
        result = known + [key for key in result if values[key] is None]
    return result


def find(
    world: World,
    resource_type: str,
    criteria: Sequence[Criterion],
    sort: Sequence[tuple[str, bool]],
    contained: str = "false",
    returned: str = "contained",
) -> list[str]:
    """The keys of the resources that meet all criteria, or of the containers of contained ones, in order."""
    keys = [
        key
        for key in world
        if kind_of(world, key) == resource_type
        and contained in ("both", "true" if "#" in key else "false")
        and all(one.holds(world, key) for one in criteria)
    ]
    if contained != "false" and returned == "container":
        return ordered(world, resource_type, sorted({key.partition("#")[0] for key in keys}), ())
    return ordered(world, resource_type, keys, sort)
