"""Reference parameters: https://hl7.org/fhir/R5/search.html#reference"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apothecary.errors import NotSupported
from apothecary.fhir.references import is_id, localise, parse_reference, split_canonical
from apothecary.fhir.releases import FhirVersion
from apothecary.search.predicates import Compare, Condition, Every, Nothing, Or, Predicate, Row, Some
from apothecary.search.rows import IndexRow, ReferenceRow, StringRow, TokenRow
from apothecary.search.text import KEY_LENGTH, bare, key, unescape
from apothecary.search.types import token
from apothecary.search.types.base import Request, Value

NAME = "reference"
TABLES = ("reference",)
MODIFIERS = frozenset({"missing", "identifier", "text", "text-advanced", "code-text", "above", "below"})
"""Besides these, the name of a resource type is a modifier: `subject:Medication=1`."""
PREFIXES: frozenset[str] = frozenset()
CARRIED = frozenset(
    f"http://hl7.org/fhir/{version.mime}/StructureDefinition/extension-Reference.reference" for version in FhirVersion
)
ELEMENTS = frozenset({"Reference", "CodeableReference", "canonical", "uri", "url", "oid", "uuid", "Resource"})


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """A reference row, token rows of its identifier under `<parameter>:identifier`, and a string row of its display."""
    json, element = value.json, value.element
    if value.type == "CodeableReference" and isinstance(json, dict):
        json = json.get("reference")
    if isinstance(json, str):
        yield _row(parameter, json, element)
    elif isinstance(json, dict):
        if "resourceType" in json:
            if "id" in json:
                yield ReferenceRow(parameter, json["resourceType"], json["id"], "", "", element)
            return
        literal = _meant(json)
        yield (
            _row(parameter, literal, element)
            if isinstance(literal, str)
            else ReferenceRow(parameter, "", "", "", "", element)
        )
        if isinstance(json.get("identifier"), dict):
            for row in token.extract(
                f"{parameter}:identifier", Value("Identifier", json["identifier"], None, element, value.systems)
            ):
                if isinstance(row, TokenRow):
                    yield row
        display = json.get("display")
        if isinstance(display, str) and display.strip():
            folded = bare(display)
            yield StringRow(parameter, folded[:KEY_LENGTH], folded, display, element)


def _meant(reference: Mapping[str, Any]) -> Any:
    """The literal of a reference; of one to a Basic that stands for a type which this release lacks, the type's own."""
    literal, beside = reference.get("reference"), reference.get("_reference")
    if not literal:
        return _carried(reference)
    if isinstance(beside, dict) and isinstance(literal, str) and literal.startswith("Basic/"):
        carried = _carried(beside)
        if isinstance(carried, str) and carried.partition("/")[2] == literal.partition("/")[2]:
            return carried
    return literal


def _carried(reference: Mapping[str, Any]) -> str | None:
    """What a reference says that points to a type which this release does not have.

    https://hl7.org/fhir/R5/versions.html#extensions
    """
    return next((one.get("valueString") for one in reference.get("extension", ()) if one.get("url") in CARRIED), None)


def _row(parameter: str, literal: str, element: int) -> ReferenceRow:
    reference = parse_reference(literal)
    if reference.relative and reference.type and reference.id:
        return ReferenceRow(parameter, reference.type, reference.id, "", reference.version or "", element)
    if reference.base is not None:
        return ReferenceRow(
            parameter,
            "",
            "",
            key(f"{reference.base}/{reference.type}/{reference.id}"),
            reference.version or "",
            element,
        )
    url, version = split_canonical(literal)
    return ReferenceRow(parameter, "", "", key(url), key(version or ""), element)


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """`id`, `Type/id`, a URL or a canonical with or without `|version`; a type modifier fixes the type of a bare id.

    Raises ValueError for a value that can be none of these.
    """
    if modifier == "identifier":
        return token.predicate(f"{parameter}:identifier", None, text, request)
    if modifier in ("text", "text-advanced"):
        return token.predicate(parameter, modifier, text, request)
    if modifier == "code-text":
        return token.code_text(f"{parameter}:identifier", unescape(text))
    wanted = unescape(text)
    if modifier in ("above", "below"):
        return _hierarchy(parameter, modifier, wanted, request)
    written, wanted = wanted, localise(wanted, request.bases)
    if modifier is not None:
        return _of_type(parameter, modifier, wanted, request)
    reference = parse_reference(wanted)
    if reference.relative:
        local = Row("reference", parameter, _local(str(reference.type), str(reference.id), reference.version, request))
        if wanted == written or "canonical" not in request.elements:
            return local
        # It may also be the canonical URL of something, which is looked for as it is written.
        other = parse_reference(written)
        return Or((local, Row("reference", parameter, _url(other.base, written, other.type, other.id, other.version))))
    if reference.base is None and is_id(wanted) and ":" not in wanted:
        types = request.targets or ()
        if len(types) == 1 and types[0] != "Resource":
            return Row("reference", parameter, _local(types[0], wanted, None, request))
        if types and "Resource" not in types:
            # One clause, however many types the parameter may point to: some may point to all of them.
            types = (*types, *request.basics) if "Basic" in types else types
            either = Every((Compare("target_id", "=", wanted), Compare("target_type", "in", types)))
            return Row("reference", parameter, either)
        return Row("reference", parameter, Compare("target_id", "=", wanted))
    return Row("reference", parameter, _url(reference.base, wanted, reference.type, reference.id, reference.version))


def _hierarchy(parameter: str, modifier: str, wanted: str, request: Request) -> Predicate:
    """Versions of a canonical: `http://x|1.2` is above `http://x|1.2.3` and below `http://x|1`.

    https://hl7.org/fhir/R5/search.html#canonical. Hierarchies of resources (a location inside another) are not known
    here.
    """
    url, version = split_canonical(wanted)
    if "canonical" not in request.elements:
        raise NotSupported(
            f"{parameter}:{modifier}: the resources that {parameter} points to have no hierarchy on this server",
            expression=f"{parameter}:{modifier}",
        )
    same: Condition = Compare("url", "=", key(url))
    if not version:
        return Row("reference", parameter, same)
    versions: Condition
    if modifier == "below":
        versions = Some((Compare("version", "=", key(version)), Compare("version", "prefix", f"{version}.")))
    else:
        parts = version.split(".")
        candidates = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        versions = Some(tuple(Compare("version", "=", key(one)) for one in candidates))
    return Row("reference", parameter, Every((same, versions)))


def _of_type(parameter: str, kind: str, wanted: str, request: Request) -> Predicate:
    reference = parse_reference(wanted)
    if reference.relative:
        if reference.type != kind:
            request.fruitless(f"{wanted!r} is not a {kind}, as the modifier :{kind} says")
            return Nothing()
        wanted = str(reference.id)
    if not is_id(wanted):
        raise ValueError(f"{wanted!r}: with a type as the modifier, write the id alone, or {kind}/id")
    return Row("reference", parameter, _local(kind, wanted, None, request))


def _local(kind: str, identity: str, version: str | None, request: Request) -> Condition:
    types: Condition = Compare("target_type", "=", kind)
    if kind == "Basic" and request.basics:
        # It may stand for a resource of a type that the release does not have.
        types = Compare("target_type", "in", (kind, *request.basics))
    where = (Compare("target_id", "=", identity), types)
    return Every(where if version is None else (*where, Compare("version", "=", version)))


def _url(base: str | None, wanted: str, kind: str | None, identity: str | None, version: str | None) -> Condition:
    if base is not None:
        url = Compare("url", "=", key(f"{base}/{kind}/{identity}"))
        return url if version is None else Every((url, Compare("version", "=", version)))
    address, bar = split_canonical(wanted)
    url = Compare("url", "=", key(address))
    return url if bar is None else Every((url, Compare("version", "=", key(bar))))
