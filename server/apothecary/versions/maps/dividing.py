"""The ways in which R5 put together what R4 and R4B have in several elements, for the tables to use.

https://hl7.org/fhir/R5/diff.html and the maps of https://github.com/HL7/fhir-cross-version
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.versions.rules import Regrouped, Value


def as_list(value: Any) -> list[Any]:
    """What an element has, whether it may repeat or not."""
    return value if isinstance(value, list) else [value]


def codeable(
    concepts: str, references: str, newer: str, *, older_lists: bool = True, newer_list: bool = True
) -> Regrouped:
    """An element for concepts and one for references became one CodeableReference (https://hl7.org/fhir/R5/references.html#CodeableReference)."""

    def to_newer(older: JSON) -> JSON:
        found = [{"concept": one} for one in as_list(older.get(concepts, []))]
        found += [{"reference": one} for one in as_list(older.get(references, []))]
        return {newer: found if newer_list else found[0]} if found else {}

    def to_older(given: JSON) -> JSON:
        halves = as_list(given.get(newer, []))
        found: JSON = {}
        for name, half in ((concepts, "concept"), (references, "reference")):
            values = [one[half] for one in halves if half in one]
            if values:
                found[name] = values if older_lists else values[0]
        return found

    return Regrouped((concepts, references), (newer,), to_newer, to_older, "the concepts first, then the references")


def reasons(newer: str = "reason", *, older_lists: bool = True) -> Regrouped:
    """`reasonCode` and `reasonReference` became `reason`."""
    return codeable("reasonCode", "reasonReference", newer, older_lists=older_lists)


def participants(newer: str, system: str, functions: Mapping[str, Sequence[str]], role: str, actor: str) -> Regrouped:
    """Elements for one person each became a list with a role: `functions` are the codes that stand for an element, the
    first of them the one to write.
    """

    def to_newer(older: JSON) -> JSON:
        found = []
        for name, codes in functions.items():
            if name in older:
                found.append({role: {"coding": [{"system": system, "code": codes[0]}]}, actor: older[name]})
        return {newer: found} if found else {}

    def to_older(given: JSON) -> JSON:
        found: JSON = {}
        for one in as_list(given.get(newer, [])):
            codes = {coding.get("code") for coding in one.get(role, {}).get("coding", ())}
            for name, some in functions.items():
                if name not in found and actor in one and not codes.isdisjoint(some):
                    found[name] = one[actor]
        return found

    says = ", ".join(f"{name} is {' or '.join(codes)}" for name, codes in functions.items())
    return Regrouped(tuple(functions), (newer,), to_newer, to_older, says)


def concept_of_coding() -> Value:
    """A Coding became a CodeableConcept."""
    return Value(_with_coding, _coding_of, "the concept with this Coding alone")


def _with_coding(coding: JSON) -> JSON:
    return {"coding": [coding]}


def _coding_of(concept: JSON) -> JSON | None:
    return next(iter(concept.get("coding", ())), None)


def within(name: str) -> Value:
    """A value became an object with that value as `name`."""

    def newer(value: Any) -> JSON:
        return {name: value}

    def older(whole: JSON) -> Any | None:
        return whole.get(name)

    return Value(newer, older, f"the `{name}` of it")


def day_of(*, newer_is_day: bool) -> Value:
    """A dateTime became a date, or a date a dateTime."""
    if newer_is_day:
        return Value(_day, _same, "the day of it")
    return Value(_same, _day, "the day of it")


def _day(moment: str) -> str:
    return moment[:10]


def _same(value: Any) -> Any:
    return value


def contacts(*, with_address: bool) -> Regrouped:
    """Ways to reach the whole became a contact without a name and a purpose
    (https://hl7.org/fhir/R5/metadatatypes.html#ExtendedContactDetail).
    """
    if with_address:
        return Regrouped(
            ("telecom", "address", "contact"),
            ("contact",),
            _organization_contacts,
            _contacts_of_organization,
            "telecom and address are a contact without purpose and name",
        )
    return Regrouped(("telecom",), ("contact",), _telecom_contact, _telecoms, "telecom is a contact of its own")


def _telecom_contact(older: JSON) -> JSON:
    return {"contact": [{"telecom": older["telecom"]}]} if "telecom" in older else {}


def _telecoms(newer: JSON) -> JSON:
    found = [one for contact in newer.get("contact", ()) for one in contact.get("telecom", ())]
    return {"telecom": found} if found else {}


def _organization_contacts(older: JSON) -> JSON:
    found: list[JSON] = []
    addresses = older.get("address", [])
    first: JSON = {key: older[key] for key in ("telecom",) if key in older}
    if addresses:
        first["address"] = addresses[0]
    if first:
        found.append(first)
    found += [{"address": one} for one in addresses[1:]]
    for contact in older.get("contact", ()):
        found.append({key: [value] if key == "name" else value for key, value in contact.items()})
    return {"contact": found} if found else {}


_PERSONAL = frozenset({"purpose", "name"})
_OF_CONTACT = ("id", "extension", "modifierExtension", "purpose", "name", "telecom", "address")


def _contacts_of_organization(newer: JSON) -> JSON:
    found: dict[str, list[Any]] = {}
    for contact in newer.get("contact", ()):
        if _PERSONAL.isdisjoint(contact):
            found.setdefault("telecom", []).extend(contact.get("telecom", ()))
            found.setdefault("address", []).extend(as_list(contact.get("address", [])))
            continue
        one = {key: contact[key] for key in _OF_CONTACT if key in contact}
        if "name" in one:
            one["name"] = one["name"][0]
        if one:
            found.setdefault("contact", []).append(one)
    return {name: some for name, some in found.items() if some}
