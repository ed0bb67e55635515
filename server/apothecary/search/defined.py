"""What SearchParameter resources define: https://hl7.org/fhir/R5/searchparameter.html

A parameter belongs to the release that its resource was written in: its expression is read there, and its rows come
from the form of a resource in that release. The other releases offer it too, where they have nothing of that code.
One that cannot be served is left out, and why is known: whatever was stored, the others work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from apothecary.fhir.definitions import definitions
from apothecary.fhir.paths import PathError, compile_path
from apothecary.fhir.releases import FhirVersion
from apothecary.search import keys
from apothecary.search.parameter import COLUMNS, TYPES, SearchParameter, standard_parameters
from apothecary.search.types import resource_text, string_by_word

# Bases that stand for many types. The second holds all but these: https://hl7.org/fhir/R5/domainresource.html
_EVERY, _DOMAIN = "Resource", "DomainResource"
_PLAIN = frozenset({"Binary", "Bundle", "Parameters"})

CONTRADICTS = "https://example.org/fhir/StructureDefinition/contradicts"

# Others would be taken for modifiers, chains or parameters of the specification's own.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

# Reading an expression may fail in these ways: it is somebody's text.
_UNREADABLE = (ValueError, LookupError, RecursionError, re.error)


class DefinitionError(ValueError):
    """A definition that cannot be served, and why."""


class Defining(NamedTuple):
    """A resource that defines something, in the release it was written in; `name` is its `Type/id`."""

    resource: Mapping[str, Any]
    version: FhirVersion = FhirVersion.R5
    name: str = ""

    @property
    def label(self) -> str:
        """What a person knows it by."""
        return str(self.resource.get("url") or self.name or f"SearchParameter/{self.resource.get('id')}")


Refused = Mapping[str, str]
"""Why definitions cannot be served, by their names (`Type/id`)."""


class Own:
    """The parameters that SearchParameter resources define, for every release. Of two with one code the first is
    served.
    """

    def __init__(self, given: Iterable[Defining] = (), served: Mapping[FhirVersion, frozenset[str]] | None = None):
        """`served` holds the types that each release serves."""
        self._served = served or {}
        self._native: dict[tuple[FhirVersion, str], dict[str, SearchParameter]] = {}
        self.refused: dict[str, str] = {}
        """By `Type/id`."""
        # A composite names its components, which may stand anywhere.
        for one in sorted(given, key=lambda one: one.resource.get("type") == "composite"):
            if one.resource.get("status") == "retired":
                continue
            try:
                found = [found for base in _bases(one) for found in self._of_base(one, base)]
            except _UNREADABLE as error:
                self.refused[one.name or one.label] = str(error)
                continue
            for parameter in found:
                self._native.setdefault((one.version, parameter.resource_type), {})[parameter.code] = parameter

    def of(self, version: FhirVersion, resource_type: str) -> dict[str, SearchParameter]:
        """The parameters of a type in one release by code: those written in it, and those of others that it lacks."""
        result = dict(self._native.get((version, resource_type), {}))
        standard = _standard(version, resource_type)
        for other in FhirVersion:
            for code, one in self._native.get((other, resource_type), {}).items():
                if code not in result and code not in standard:
                    result[code] = one
        return result

    @property
    def wanted(self) -> dict[str, dict[str, str]]:
        """What the index must hold: by type and name in the index, what says how its rows are made."""
        result: dict[str, dict[str, str]] = {}
        for (_, resource_type), found in self._native.items():
            for one in found.values():
                result.setdefault(resource_type, {})[one.index] = _fingerprint(one)
        return result

    def _of_base(self, one: Defining, base: str) -> Iterator[SearchParameter]:
        """The parameter of one type; none where the type is not served, or the standard one does the same. Raises
        DefinitionError and PathError.
        """
        parameter = self._made(one, base)
        _check(parameter, one.label)
        taken = self._native.get((one.version, base), {}).get(parameter.code)
        if taken is not None:
            raise DefinitionError(f"{one.label}: {base} has {parameter.code!r} already, {taken.url}")
        standard = _standard(one.version, base).get(parameter.code)
        if standard is not None and standard.url != parameter.url:
            if _same(standard, parameter) or one.resource.get("derivedFrom") == standard.url:
                # A guide lists what it expects of a server: https://hl7.org/fhir/R5/searchparameter.html#derivedFrom
                return
            raise DefinitionError(
                f"{one.label}: {base} has {parameter.code!r} already, {standard.url}, which selects something else"
            )
        if base in self._served.get(one.version, ()):
            yield parameter

    def _made(self, one: Defining, base: str) -> SearchParameter:
        resource, version, kind = one.resource, one.version, one.resource.get("type")
        code, expression = resource.get("code"), resource.get("expression")
        if not isinstance(code, str) or not code:
            raise DefinitionError(f"{one.label}: a SearchParameter needs a code to be asked by")
        if not _CODE.fullmatch(code) and code not in _standard(version, base):
            raise DefinitionError(f"{one.label}: {code!r} cannot be asked by; a code has letters, digits, - and _ only")
        if kind not in TYPES and kind not in ("composite", resource_text.NAME):
            raise DefinitionError(
                f"{one.label}: type {kind!r} is not one that can be defined; those are composite, special, "
                f"{', '.join(sorted(TYPES))}"
            )
        if not isinstance(expression, str) or not expression.strip():
            raise DefinitionError(f"{one.label}: a SearchParameter needs an expression to be searched by")
        own = own_branches(expression, base)
        by_word = kind == "string" and _by_word(resource)
        parameter = SearchParameter(
            base,
            code,
            str(kind),
            one.label,
            str(resource.get("description", "")),
            own,
            version,
            tuple(resource.get("target", ())),
            by_word=by_word,
            contradicts=_contradicted(resource),
            indexed_as=code if version is FhirVersion.R5 else keys.own(version, code),
        )
        if kind == "composite":
            structures = {track.structure for track in parameter.path.tracks}
            parts = tuple(self._component(one, base, structures, part) for part in resource.get("component", ()))
            if len(parts) < 2:
                raise DefinitionError(f"{one.label}: a composite needs two components or more")
            parameter = replace(parameter, components=parts)
        return parameter

    def _component(
        self, one: Defining, base: str, structures: Iterable[str], part: Mapping[str, Any]
    ) -> tuple[str, str]:
        """The parameter type of a component, as its definition says or its element, and its expression."""
        expression, url = part.get("expression"), str(part.get("definition", "")).partition("|")[0]
        known = (*_standard(one.version, base).values(), *self._native.get((one.version, base), {}).values())
        found = next((other.type for other in known if other.url == url), None)
        if not isinstance(expression, str) or not expression.strip():
            raise DefinitionError(f"{one.label}: the component {url} needs an expression")
        if found is not None and found in TYPES:
            return found, expression
        types = {name for root in structures for name in compile_path(one.version, root, expression).types}
        for name in ("token", "quantity", "date", "reference", "string", "number", "uri"):
            if types & TYPES[name].ELEMENTS:
                return name, expression
        raise DefinitionError(f"{one.label}: no parameter reads the component {url}, {', '.join(sorted(types))}")


def _bases(one: Defining) -> Iterator[str]:
    """The types that a resource defines a parameter for. Raises DefinitionError for one that does not exist."""
    known = definitions(one.version)
    given = one.resource.get("base") or ()
    for base in dict.fromkeys([given] if isinstance(given, str) else given):
        if base == _EVERY:
            yield from known.resource_types()
        elif base == _DOMAIN:
            yield from (name for name in known.resource_types() if name not in _PLAIN)
        elif known.is_resource_type(base):
            yield base
        elif not any(definitions(version).is_resource_type(base) for version in FhirVersion):
            raise DefinitionError(f"{one.label}: the base {base!r} is no resource type of FHIR {one.version}")


def _check(parameter: SearchParameter, label: str) -> None:
    """Raises DefinitionError, and what reading an expression raises, for a parameter that would find nothing."""
    try:
        types = parameter.path.types
        if parameter.composite is not None:
            parameter.composite.check()
            return
    except PathError as error:
        raise DefinitionError(f"{label}: {error}") from None
    if parameter.code not in COLUMNS and not any(map(parameter.reads, types)):
        raise DefinitionError(f"{label}: a {parameter.type} parameter cannot read {', '.join(sorted(types))}")


@cache
def _standard(version: FhirVersion, resource_type: str) -> Mapping[str, SearchParameter]:
    try:
        return {one.code: one for one in standard_parameters(resource_type, version)}
    except KeyError:
        return {}


def _same(standard: SearchParameter, own: SearchParameter) -> bool:
    """Whether both take the same from a resource."""
    if standard.type != own.type or standard.components or own.components or own.by_word:
        return False
    return "".join(standard.expression.split()) == "".join(own.expression.split()) or (
        set(standard.path.tracks) == set(own.path.tracks)
    )


def _by_word(resource: Mapping[str, Any]) -> bool:
    """Whether a SearchParameter has the extension that asks for matches at the beginning of any word."""
    return any(
        one.get("url") == string_by_word.EXTENSION and one.get("valueBoolean") is True
        for one in resource.get("extension", ())
    )


def _contradicted(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """What a SearchParameter says by the extension `contradicts`: the parameter that it denies, and those that are left
    out of the question then.
    """
    found = [one for one in resource.get("extension", ()) if one.get("url") == CONTRADICTS]
    parts = [part for one in found for part in one.get("extension", ()) if isinstance(part.get("valueCode"), str)]
    denied = [part["valueCode"] for part in parts if part.get("url") == "parameter"]
    without = [part["valueCode"] for part in parts if part.get("url") == "without"]
    return (denied[0], *without) if denied else ()


def own_branches(expression: str, base: str) -> str:
    """The branches of a union that are about `base`: an expression over several types names each, and one that names
    none is read from whatever the base is.
    """
    branches = [branch.strip() for branch in expression.split("|")]
    own = [
        one
        for one in branches
        if (first := one.lstrip("( ").partition(".")[0]) in (base, _EVERY, _DOMAIN) or (not first[:1].isupper())
    ]
    # A bar may stand inside a text or between parentheses: then it separates no branches.
    return " | ".join(own) if own and _whole(own) else expression


def _whole(branches: Iterable[str]) -> bool:
    return all(one.count("(") == one.count(")") and one.count("'") % 2 == 0 for one in branches)


def _fingerprint(one: SearchParameter) -> str:
    said = repr((one.version, one.type, one.expression, one.components, one.by_word))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
