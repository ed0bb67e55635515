"""Defects of a resource that can be mended without judgement, because what was meant has one reading.

White space around what has no white space (https://hl7.org/fhir/R5/datatypes.html#primitive), the URIs of code systems
that differ from the published ones in the scheme, in `www.`, in case or at the end
(https://hl7.org/fhir/R5/terminologies-systems.html), a UCUM code that its own unit writes in the right case
(https://hl7.org/fhir/R5/datatypes.html#Quantity), and the total of a search's whole answer
(https://hl7.org/fhir/R5/bundle-definitions.html#Bundle.total). A date without a zone is none of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from apothecary.fhir.definitions import Definitions
from apothecary.fhir.structures import Structure

UCUM = "http://unitsofmeasure.org"
SYSTEMS = (
    UCUM,
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://www.whocc.no/atc",
    "http://fdasis.nlm.nih.gov",
    "http://hl7.org/fhir/sid/ndc",
    "http://hl7.org/fhir/sid/cvx",
    "http://hl7.org/fhir/sid/mvx",
    "http://hl7.org/fhir/sid/icd-9-cm",
    "http://hl7.org/fhir/sid/icd-10",
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://www.ama-assn.org/go/cpt",
    "http://va.gov/terminology/medrt",
)
# Their values hold no white space at either end, whatever they say.
_TRIMMED = frozenset(
    {
        *(
            "base64Binary",
            "canonical",
            "code",
            "date",
            "dateTime",
            "id",
            "instant",
            "oid",
            "time",
            "uri",
            "url",
            "uuid",
        ),
    }
)
# Units as they are written; in the other case each is no unit, or one that no medicine is measured in (MG: megagauss).
_UNITS = frozenset(
    {"kg", "g", "mg", "ug", "ng", "pg", "L", "dL", "mL", "uL", "mmol", "umol", "nmol", "meq", "cm", "mm"}
)
_LARGE = {unit.upper(): unit for unit in _UNITS if unit.upper() not in _UNITS}
_SPACE = " \t\r\n"
_DEEPEST = 200


# What people write for the URI of a system (https://hl7.org/fhir/R5/terminologies-systems.html).
_CALLED = {
    **dict.fromkeys(("rxnorm", "urn:oid:2.16.840.1.113883.6.88"), "http://www.nlm.nih.gov/research/umls/rxnorm"),
    **dict.fromkeys(("loinc", "urn:oid:2.16.840.1.113883.6.1"), "http://loinc.org"),
    **dict.fromkeys(("snomed", "snomedct", "urn:oid:2.16.840.1.113883.6.96"), "http://snomed.info/sct"),
    **dict.fromkeys(("atc", "urn:oid:2.16.840.1.113883.6.73"), "http://www.whocc.no/atc"),
    **dict.fromkeys(("ndc", "urn:oid:2.16.840.1.113883.6.69"), "http://hl7.org/fhir/sid/ndc"),
    **dict.fromkeys(("ucum", "urn:oid:2.16.840.1.113883.6.8"), UCUM),
    **dict.fromkeys(("icd-10-cm", "icd10cm"), "http://hl7.org/fhir/sid/icd-10-cm"),
}


class Mend(NamedTuple):
    """`value` for what is at `pointer`; where nothing is there, it comes after its sibling `after`."""

    pointer: tuple[str | int, ...]
    value: Any
    after: str | None = None


def meant_system(system: str) -> str | None:
    """The system that is meant by a URI or name that is nearly its own; None for what is right or not known."""
    found = _NEAR.get(plain(system.strip(_SPACE))) or _CALLED.get(system.strip(_SPACE).lower())
    return None if found == system else found


def meant_unit(quantity: dict[str, Any]) -> str | None:
    """The code of UCUM that is meant by a Quantity whose code is in the wrong case, as its unit says, or as a unit such
    as a megagauss does that nobody else speaks of; None for any other quantity.
    """
    for mend in _unit(quantity, ()):
        return str(mend.value)
    code = quantity.get("code")
    if quantity.get("system") == UCUM and isinstance(code, str) and quantity.get("unit", code) == code:
        return _LARGE.get(code)
    return None


def mends(resource: Any, tables: Definitions) -> list[Mend]:
    """The mends of a resource and all in it, in no order of meaning; none for what is no resource."""
    structure = _resource_structure(resource, tables)
    return [] if structure is None else list(_object(resource, structure, (), tables))


def _resource_structure(value: Any, tables: Definitions) -> Structure | None:
    name = value.get("resourceType") if isinstance(value, dict) else None
    return tables.structure(name) if isinstance(name, str) and tables.is_resource_type(name) else None


def _object(
    value: dict[str, Any], structure: Structure, at: tuple[str | int, ...], tables: Definitions
) -> Iterator[Mend]:
    if len(at) > _DEEPEST:
        return
    for key, item in value.items():
        found = structure.properties.get(key)
        if found is None:
            continue
        inner = tables.structure(found.structure)
        values = enumerate(item) if isinstance(item, list) else ((None, item),)
        for index, one in values:
            place = (*at, key) if index is None else (*at, key, index)
            if isinstance(one, dict) and inner.kind != "primitive-type":
                shape = _resource_structure(one, tables) if inner.kind == "resource" else inner
                if shape is not None:
                    yield from _object(one, shape, place, tables)
            elif isinstance(one, str):
                right = _text(one, key, found.type)
                if right != one:
                    yield Mend(place, right)
    if "comparator" in structure.properties:
        yield from _unit(value, at)
    if structure.name == "Bundle":
        yield from _total(value, at)


def _text(text: str, key: str, type_name: str) -> str:
    trimmed = text.strip(_SPACE) if type_name in _TRIMMED else text
    if not trimmed:
        return text  # Nothing is left: what was meant is not known.
    if key == "system" and type_name == "uri":
        return _NEAR.get(plain(trimmed), trimmed)
    return trimmed


def plain(url: str) -> str:
    """What near misses of a URI have in common with it."""
    return url.lower().partition("://")[2].removeprefix("www.").rstrip("/") if "://" in url else url


_NEAR = {plain(system): system for system in SYSTEMS}


def _unit(value: dict[str, Any], at: tuple[str | int, ...]) -> Iterator[Mend]:
    unit, code, system = value.get("unit"), value.get("code"), value.get("system")
    if not isinstance(unit, str) or not isinstance(code, str) or not isinstance(system, str):
        return
    if _text(system, "system", "uri") != UCUM or code.strip(_SPACE) in _UNITS or unit not in _UNITS:
        return
    if unit.lower() == code.strip(_SPACE).lower():
        yield Mend((*at, "code"), unit)


def _total(bundle: dict[str, Any], at: tuple[str | int, ...]) -> Iterator[Mend]:
    """The total of a search that has all its matches in one page, each entry of which says what it is."""
    entries, links = bundle.get("entry"), bundle.get("link", [])
    if bundle.get("type") != "searchset" or "total" in bundle or "_total" in bundle or not isinstance(entries, list):
        return
    if not isinstance(links, list) or any(
        not isinstance(link, dict) or link.get("relation") != "self" for link in links
    ):
        return  # There are, or may be, other pages.
    modes = [_mode(entry) for entry in entries]
    if modes and None not in modes:
        # Where XML wants it: https://hl7.org/fhir/R5/bundle.html#resource
        yield Mend((*at, "total"), modes.count("match"), after="timestamp" if "timestamp" in bundle else "type")


def _mode(entry: Any) -> str | None:
    search = entry.get("search") if isinstance(entry, dict) else None
    mode = search.get("mode") if isinstance(search, dict) else None
    return mode if mode in ("match", "include", "outcome") else None
