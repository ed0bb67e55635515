"""The packages of a product: a label names them from the inside out, FHIR from the outside in.
https://hl7.org/fhir/R5/packagedproductdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.fda import NDC
from apothecary.importers.labels.xhtml import markdown
from apothecary.importers.spl.characteristics import characteristic
from apothecary.importers.spl.tree import Reader, child, children, day_of, value_of

CONTAINERS = ("containerPackagedProduct", "containerPackagedMedicine")
_CONTENT = frozenset({"quantity", "subjectOf", *CONTAINERS})
_SAID = frozenset({"marketingAct", "characteristic"})
_CONTAINER = frozenset({"code", "formCode", "asContent"})
_STATUS = "http://hl7.org/fhir/publication-status"


class Level(NamedTuple):
    """A container, and the `asContent` that says how much of what is inside of it it holds."""

    content: Node
    container: Node

    def said(self, name: str) -> list[Node]:
        """What the label says of this level, of one kind: its marketing, its characteristics."""
        return [one for subject in children(self.content, "subjectOf") for one in children(subject, name)]


class Package(NamedTuple):
    """A package: its levels from the inside out. The last one is what is sold."""

    levels: tuple[Level, ...]

    def codes(self, reader: Reader) -> list[JSON]:
        """The Codings of its containers that have one, from the outside in."""
        found = (reader.coding(child(level.container, "code")) for level in reversed(self.levels))
        return [one for one in found if one is not None]


def packages(product: Node, reader: Reader) -> Iterator[Package]:
    """Each package of a product; a container that is packed in two ways makes two. The depth of a tree is limited, so
    this may recurse.
    """
    yield from _outward(product, (), reader)


def _outward(inner: Node, so_far: tuple[Level, ...], reader: Reader) -> Iterator[Package]:
    contents = children(inner, "asContent")
    for content in contents:
        reader.leftover(content, _CONTENT)
        for subject in children(content, "subjectOf"):
            reader.leftover(subject, _SAID)
        container = next(iter(children(content, *CONTAINERS)), None)
        if container is None:
            reader.skipped(content, "a package without a container")
            continue
        reader.leftover(container, _CONTAINER)
        yield from _outward(container, (*so_far, Level(content, container)), reader)
    if not contents and so_far:
        yield Package(so_far)


def definition(
    package: Package,
    identity: str,
    product: JSON | None,
    names: Sequence[str],
    described: str,
    marketing: Sequence[JSON],
    reader: Reader,
    *,
    retired: bool,
) -> JSON:
    """The PackagedProductDefinition of a package of what `product`, a Coding, or else the first of `names` calls."""
    name = names[0] if names else ""
    outer = reader.coding(child(package.levels[-1].container, "code"))
    found: JSON = {"resourceType": "PackagedProductDefinition", "id": identity}
    if outer is not None:
        found["identifier"] = [_identifier(outer)]
    if name:
        found["name"] = name
    found["status"] = {"coding": [{"system": _STATUS, "code": "retired" if retired else "active"}]}
    if described:
        found["description"] = described
    if marketing:
        found["marketingStatus"] = [*marketing]
    inside: JSON | None = None
    amount: JSON | None = None
    for number, level in enumerate(package.levels):
        made: JSON = {}
        coding = reader.coding(child(level.container, "code"))
        if coding is not None:
            made["identifier"] = [_identifier(coding)]
        form = reader.concept(child(level.container, "formCode"))
        if form is not None:
            made["type"] = form
        amount = _amount(level.content, reader)
        if number == 0:
            item: JSON = {"coding": [product]} if product else {}
            if name:
                item["text"] = name
            contained: JSON = {"item": {"concept": item}} if item else {}
            if amount:
                contained["amount"] = amount
            if "item" in contained:
                made["containedItem"] = [contained]
            elif amount:
                reader.skipped(level.content, "the amount of a product without code and name")
        elif inside is not None:
            _count(inside, amount, level.content, reader)
            made["packaging"] = [inside]
        inside = made
    if inside:
        found["packaging"] = inside
    looks = [one for level in package.levels for one in _characteristics(level, reader)]
    return {**found, "characteristic": looks} if looks else found


def _characteristics(level: Level, reader: Reader) -> Iterator[JSON]:
    """What is said of a package, such as the type of a combination product. Words are Markdown here:
    https://hl7.org/fhir/R5/packagedproductdefinition-definitions.html#PackagedProductDefinition.characteristic
    """
    for node in level.said("characteristic"):
        if (made := characteristic(node, reader)) is not None:
            if "valueString" in made:
                made["valueMarkdown"] = markdown([made.pop("valueString")])
            yield made


def _amount(content: Node, reader: Reader) -> JSON | None:
    """How much of what is inside is in one container."""
    quantity = child(content, "quantity")
    denominator = child(quantity, "denominator")
    amount = reader.quantity(child(quantity, "numerator"), "the amount")
    if amount is not None and denominator is not None and value_of(denominator, "value") not in ("", "1"):
        per = value_of(denominator, "value")
        reader.skipped(denominator, f"an amount in {per[:40]!r} containers is not that in one, and is left out")
        return None
    return amount


def _count(inside: JSON, amount: JSON | None, content: Node, reader: Reader) -> None:
    """Say how many of the packages inside there are."""
    if amount is None:
        return
    if isinstance(amount["value"], int) and 0 < amount["value"] < 2**31:
        inside["quantity"] = amount["value"]
    else:
        reader.skipped(content, f"the number of inner packages is {amount['value']}")


def _identifier(coding: JSON) -> JSON:
    return {"system": coding.get("system", NDC), "value": coding["code"]}


def marketed(package: Package, product: Sequence[JSON], reader: Reader) -> list[JSON]:
    """MarketingStatus of what is sold, or else of the product in it. What is said of the packages inside has no place
    where it says something else.
    """
    *inner, outermost = package.levels
    found = marketing(outermost.said("marketingAct"), reader) or [*product]
    for level in inner:
        if (acts := level.said("marketingAct")) and marketing(acts, reader) != found:
            reader.skipped(acts[0], "an inner package is marketed otherwise than the one that it is in")
    return found


def marketing(acts: Sequence[Node], reader: Reader) -> list[JSON]:
    """MarketingStatus of each `marketingAct`: https://hl7.org/fhir/R5/productshared.html#marketingstatus"""
    found = []
    for act in acts:
        reader.leftover(act, frozenset({"code", "statusCode", "effectiveTime", "id"}))
        concept = reader.concept(child(act, "code")) or {}
        state = value_of(child(act, "statusCode"), "code")
        if state:
            concept = {**concept, "text": state}
        if not concept:
            reader.skipped(act, "an act of marketing without code and status")
            continue
        time = child(act, "effectiveTime")
        start = reader.date(child(time, "low"), "the beginning of marketing")
        end = reader.date(child(time, "high"), "the end of marketing")
        period = {key: value for key, value in (("start", start), ("end", end)) if value}
        # One may be less precise than the other.
        if start and end and start[: len(end)] > end[: len(start)]:
            reader.approximated(act, f"marketing ends on {end}, before it begins on {start}: the end is left out")
            del period["end"]
        found.append({"status": concept, **({"dateRange": period} if period else {})})
    return found


def inactive(acts: Sequence[Node], day: str) -> bool:
    """Whether what is marketed by all of `acts` was not any more on `day`, that of the label. A label tells of an end
    that is still to come.
    """
    ended = []
    for act in acts:
        state = value_of(child(act, "statusCode"), "code").lower()
        high = day_of(value_of(child(act, "effectiveTime", "high"), "value"))
        past = bool(day and high and high <= day)
        ended.append(state in ("cancelled", "aborted", "nullified") or (state == "completed" and (past or not high)))
    return bool(ended) and all(ended)


def counted(node: Node | None, reader: Reader) -> JSON | None:
    """How much of a part is in a kit, as a Ratio."""
    numerator = reader.quantity(child(node, "numerator"), "the amount")
    denominator = reader.quantity(child(node, "denominator"), "the amount")
    if numerator is None:
        return None
    return {"numerator": numerator, "denominator": denominator or {"value": 1}}
