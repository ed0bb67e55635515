"""A package that FDA lists, as PackagedProductDefinition with its tree:
https://hl7.org/fhir/R5/packagedproductdefinition.html

FDA describes a package from the outside in: `4 CARTON in 1 KIT (1-2-3)  > 1 KIT in 1 CARTON *  60 mL in 1 BOTTLE`. What
follows a `>`, or a `/` in later years, lies in what precedes it; the parts of a kit are joined by `*`:
https://www.fda.gov/drugs/drug-approvals-and-databases/ndc-package-file-definitions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.fhir.ndc import readings
from apothecary.importers.amounts import number
from apothecary.importers.fda import NDC, period
from apothecary.importers.report import Place, Report
from apothecary.importers.units import fda, quantity

PUBLICATION_STATUS = "http://hl7.org/fhir/publication-status"

# Real ones have twelve levels and some hundred characters.
_DEEPEST, _LONGEST = 20, 20_000
# `SOLUTION, GEL FORMING / DROPS` is one thing: a level begins with a number.
_INSIDE = re.compile(r"\s+[>/]\s+(?=[\d.]+\s)", re.ASCII)
_PART = re.compile(r"(?:^|\s+)\*\s+")


@dataclass(slots=True)
class Package:
    """What FDA lists of a package; `product` is the NDC of what is in it, `name` how that is called."""

    id: str
    code: str
    product: str
    description: str
    start: str = ""
    end: str = ""
    name: str = ""
    sample: bool = False
    active: bool = True


class _Level(NamedTuple):
    """`amount` of `content` in one `container`, which has `codes`."""

    amount: int | FhirDecimal
    content: str
    container: str
    codes: tuple[str, ...]


def packaged_product(package: Package, report: Report, place: Place) -> JSON:
    """The PackagedProductDefinition of a package. A description that is not understood is kept as text, and told."""
    status = _status(package.active)
    found: JSON = {
        "resourceType": "PackagedProductDefinition",
        "id": package.id,
        "identifier": [{"system": NDC, "value": package.code}],
    }
    if package.name:
        found["name"] = package.name
    found["status"] = status
    if package.description:
        found["description"] = package.description
    if dates := period(package.start, package.end, report, place):
        found["marketingStatus"] = [{"status": status, "dateRange": dates}]
    try:
        packaging = _packaging(package)
    except ValueError as error:
        report.approximated(place._replace(column="PACKAGEDESCRIPTION"), f"is kept as text alone: {error}")
    else:
        found["packaging"] = packaging
    if package.sample:
        found["characteristic"] = [{"type": {"text": "sample package"}, "valueBoolean": True}]
    return found


@lru_cache(2)
def _status(active: bool) -> JSON:
    return {"coding": [{"system": PUBLICATION_STATUS, "code": "active" if active else "retired"}]}


def _packaging(package: Package) -> JSON:
    """The outermost layer of a package. Raises ValueError where the description is none."""
    text = package.description.strip()
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    outside, *parts = _PART.split(text)
    levels = _levels(outside) if outside or not parts else []
    if not parts:
        return _layers(levels, 1, package, package.product)
    kit: JSON = {}
    if levels:
        if not levels[-1].content or fda(levels[-1].content):
            raise ValueError(f"{_short(outside)} is no kit, and has parts")
        kit["type"] = {"text": levels[-1].content}
        kit["quantity"] = _whole(levels[-1].amount)
    for part in parts:
        _add(kit, _levels(part), levels[-1].content if levels else "KIT", package)
    return _layers(levels, 1, package, "", kit) if levels else kit


def _add(kit: JSON, levels: list[_Level], name: str, package: Package) -> None:
    """Put a part into a kit: a layer, or nothing but an item, where it lies in the kit itself."""
    codes = (code for level in levels for code in level.codes)
    product = next((code.rpartition("-")[0] for code in codes if _of_package(code)), package.product)
    first, *inner = levels
    if first.container != name or first.codes:
        kit.setdefault("packaging", []).append(_layers(levels, 1, package, product))
    elif inner:
        kit.setdefault("packaging", []).append(_layers(inner, first.amount, package, product))
    else:
        kit.setdefault("containedItem", []).append(_item(first, product))


def _of_package(code: str) -> bool:
    return any(reading.package for reading in readings(code)) and code.count("-") == 2


def _layers(
    levels: list[_Level], count: int | FhirDecimal, package: Package, product: str, innermost: JSON | None = None
) -> JSON:
    """So many of the first level's container with all that is in it; at last `innermost`, or an item of `product`."""
    if len(levels) > _DEEPEST:
        raise ValueError(f"it has more than {_DEEPEST} levels")
    inner = innermost
    for number_, level in reversed(list(enumerate(levels))):
        layer: JSON = {}
        if identifiers := [_identifier(code) for code in level.codes if code != package.code or number_]:
            layer["identifier"] = identifiers
        layer["type"] = {"text": level.container}
        layer["quantity"] = _whole(levels[number_ - 1].amount if number_ else count)
        if inner is None:
            layer["containedItem"] = [_item(level, product)]
        else:
            layer["packaging"] = [inner]
        inner = layer
    return inner or {}


def _item(level: _Level, product: str) -> JSON:
    concept: JSON = {"coding": [{"system": NDC, "code": product}]}
    unit = fda(level.content) if level.content else None
    if level.content and unit is None:
        concept["text"] = level.content
    return {"item": {"concept": concept}, "amount": quantity(level.amount, level.content, unit)}


def _identifier(code: str) -> JSON:
    """An NDC, or what a label says beside it, `GS1:30707387763634`: not all of those are GTINs."""
    if readings(code):
        return {"system": NDC, "value": code}
    kind, colon, value = code.partition(":")
    return {"type": {"text": kind}, "value": value} if colon and kind and value.strip() else {"value": code}


def _whole(count: int | FhirDecimal) -> int:
    if not isinstance(count, int):
        raise ValueError(f"{count} is no whole number of packages")
    return count


def _levels(text: str) -> list[_Level]:
    return [_level(one.strip()) for one in _INSIDE.split(text)]


@lru_cache(4096)
def _level(text: str) -> _Level:
    """`10 mL in 1 VIAL (0002-0800-01)`. Raises ValueError."""
    rest, codes = text, []
    while rest.endswith(")"):
        rest, bracket, code = rest[:-1].rpartition("(")
        if not bracket or not code.strip():
            raise ValueError(f"{_short(text)} has a bracket alone")
        codes.append(code.strip())
        rest = rest.rstrip()
    first, _, rest = rest.partition(" ")
    content, word, container = f" {rest}".rpartition(" in ")
    one, _, container = container.partition(" ")
    count = number(first)
    if count is None or not word or one != "1" or not container.strip():
        raise ValueError(f"{_short(text)} is not so much of something in 1 of another")
    return _Level(count, content.strip(), container.strip(), tuple(dict.fromkeys(reversed(codes))))


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
