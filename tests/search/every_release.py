"""A walk through the search parameters of all releases: what another FHIRPath engine finds, a search must find.

The engine is fhirpathpy, which shares nothing with this project. It evaluates each parameter's expression on the form
of each resource in the release that is asked.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import TypeInfo
from fhirpathpy.models import models

from apothecary.fhir.definitions import SearchParameterDefinition, definitions
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.references import parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.search import prepare
from apothecary.search.text import fold
from apothecary.store.contract import Stored
from apothecary.versions import convert
from tests.conformance.harness import Answer, InProcess
from tests.search.test_parameters import NOT_A_DATE, UNREAD

# The engine knows no R4B; where it has types of R4, they are these.
_MODELS = {FhirVersion.R4: models["r4"], FhirVersion.R4B: models["r4"], FhirVersion.R5: models["r5"]}
_DATE = re.compile(r"\d{4}(-\d\d)?(-\d\d)?(T|$)")
# To the engine a canonical is a uri, too. Here it is found by the parameter that the release has beside this one:
# `format-canonical`, `source-scope` and `target-scope` in R5, `source` and `target` in R4.
BESIDE = {
    ("DocumentReference", "format-uri"),
    *(("ConceptMap", f"{end}-{uri}") for end in ("source", "target") for uri in ("uri", "scope-uri")),
}
_MOST = 4  # values of one parameter that are searched for

Key = tuple[str, str]


def put(server: InProcess, resources: Iterable[tuple[FhirVersion, JSON]]) -> list[Stored]:
    """Store resources as they are: what is tested is what is found, not what is taken."""
    registry = server.service.registries[FhirVersion.R5]
    written = []
    with server.store.transaction() as transaction:
        for number, (version, resource) in enumerate(resources):
            one = Stored(resource["resourceType"], resource["id"], 1, number + 1, version, dumps(resource))
            transaction.write(one, "PUT", registry.rows(resource, version))
            written.append(one)
    return written


@dataclass
class Walk:
    """What was found wanting: by parameter, what a search did not do."""

    server: InProcess
    written: list[Stored]
    failures: dict[tuple[str, str, str], str] = field(default_factory=dict)
    values: int = 0

    def go(self, version: FhirVersion) -> None:
        """Every parameter of one release, over everything that was written in any."""
        by_type: dict[str, dict[str, JSON]] = {}
        for one in self.written:
            if definitions(version).is_resource_type(one.type):
                resource = convert(parse(one.body or b""), FhirVersion(one.fhir_version), version).resource
                by_type.setdefault(one.type, {})[one.id] = _readable(resource)
        there = {(kind, identity) for kind, resources in by_type.items() for identity in resources}
        for kind, resources in by_type.items():
            served = self.server.service.registries[version].parameters(kind)
            for code, parameter in definitions(version).search_parameters(kind).items():
                if (kind, code) in BESIDE:
                    continue
                if code in served and parameter.expression and not parameter.components:
                    self._parameter(version, kind, parameter, resources, there)

    def _parameter(
        self,
        version: FhirVersion,
        kind: str,
        parameter: SearchParameterDefinition,
        resources: Mapping[str, JSON],
        there: set[Key],
    ) -> None:
        found: dict[str, list[str]] = {}
        for identity, resource in resources.items():
            nodes = _evaluate(version, str(parameter.expression), resource)
            asked = [value for node in nodes for value in _asked(parameter.type, node)]
            # A text that happens to read like a date is none; which values are texts, the engine does not tell.
            if asked and UNREAD.get((kind, parameter.code)) != NOT_A_DATE:
                found[identity] = asked
        if not found:
            return
        name = (str(version), kind, parameter.code)
        self.values += len(found)
        try:
            self._found(name, found)
            if parameter.type == "reference":
                self._followed(name, found, there)
        except AssertionError as failure:
            self.failures[name] = str(failure)

    def _found(self, name: tuple[str, str, str], found: Mapping[str, list[str]]) -> None:
        version, kind, code = name
        present = self._all(version, kind, (f"{code}:missing", "false"))
        assert found.keys() <= set(present), f":missing=false lacks {sorted(found.keys() - set(present))[:3]}"
        by_value: dict[str, set[str]] = {}
        for identity, values in found.items():
            for value in values:
                by_value.setdefault(value, set()).add(identity)
        # Of every release some: the first and the last that have any.
        chosen = [*by_value][:_MOST] + [*by_value][-_MOST:]
        for value in dict.fromkeys(chosen):
            ids = self._all(version, kind, (code, value))
            assert by_value[value] <= set(ids), f"{code}={value} lacks {sorted(by_value[value] - set(ids))[:3]}"
        if name[2] not in ("_text", "_content") and self._sorts(version, kind, code):
            ordered = self._all(version, kind, ("_sort", code))
            last = max(ordered.index(one) for one in found)
            assert last < len(present), f"_sort={code} puts one with a value behind those without"

    def _followed(self, name: tuple[str, str, str], found: Mapping[str, list[str]], there: set[Key]) -> None:
        version, kind, code = name
        targets = self.server.service.registries[FhirVersion(version)].parameters(kind)[code].targets
        pairs = [
            (identity, (str(target.type), str(target.id)))
            for identity, values in found.items()
            for value in values
            if (target := parse_reference(value)).relative and (target.type, target.id) in there
        ]
        for identity, (target_type, target_id) in [*pairs[:2], *pairs[-2:]]:
            answer = self._ask(version, f"{kind}?_id={identity}&_include={kind}:{code}")
            assert (target_type, target_id) in _included(answer), f"_include lacks {target_type}/{target_id}"
            answer = self._ask(version, f"{target_type}?_id={target_id}&_revinclude={kind}:{code}&_count=1")
            assert (kind, identity) in _included(answer), f"_revinclude of {target_type}/{target_id} lacks {identity}"
            if not targets or "Resource" in targets or target_type in targets:
                ids = self._all(version, kind, (f"{code}:{target_type}._id", target_id))
                assert identity in ids, f"{code}:{target_type}._id={target_id} lacks {identity}"
                ids = self._all(version, target_type, (f"_has:{kind}:{code}:_id", identity))
                assert target_id in ids, f"_has:{kind}:{code}:_id={identity} lacks {target_id}"

    def _sorts(self, version: str, kind: str, code: str) -> bool:
        answer = self.server.ask("GET", f"/fhir/{version.lower()}/{kind}?_sort={code}&_count=1", STRICT)
        return answer.status == 200

    def _all(self, version: str, kind: str, *pairs: tuple[str, str]) -> list[str]:
        """The ids of all matches, in order. What HTTP adds to a search is tested elsewhere, and costs more."""
        service, base = self.server.service, f"http://localhost/fhir/{version.lower()}"
        found = prepare(service, FhirVersion(version), base, kind, [*pairs, ("_count", "100000")], strict=True)
        return [hit.id for hit in service.reader.search(found.search.query).hits]

    def _ask(self, version: str, query: str) -> Answer:
        answer = self.server.ask("GET", f"/fhir/{version.lower()}/{query}", STRICT)
        assert answer.status == 200, f"{query}: {answer.body!r}"
        return answer


STRICT = {"Prefer": "handling=strict"}


def _included(answer: Answer) -> set[Key]:
    entries = [one for one in answer.json["entry"] if one["search"]["mode"] != "outcome"]
    return {(one["resource"]["resourceType"], one["resource"]["id"]) for one in entries}


def _readable(value: Any) -> Any:
    """Without the extensions of references: the engine takes them for a second text of the reference."""
    if isinstance(value, dict):
        return {name: _readable(one) for name, one in value.items() if name != "_reference"}
    return [_readable(one) for one in value] if isinstance(value, list) else value


@cache
def _compiled(version: FhirVersion, expression: str) -> Any:
    return fhirpathpy.compile(expression, _MODELS[version])


def _evaluate(version: FhirVersion, expression: str, resource: JSON) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The engine keeps the model of whatever was evaluated before, by anybody, until it comes to certain functions.
        TypeInfo.model = _MODELS[version]
        found: list[Any] = _compiled(version, expression)(resource)
    return found


def _asked(kind: str, node: Any) -> Iterator[str]:
    """What a client would write to find one value; nothing for a value that this type of parameter does not read."""
    if kind == "token":
        yield from _tokens(node)
    elif kind == "string":
        yield from _strings(node)
    elif kind == "date":
        yield from _dates(node)
    elif kind == "reference":
        literal = node.get("reference", node) if isinstance(node, dict) else node
        if isinstance(literal, dict):
            literal = literal.get("reference")
        # One word is what a client writes for an id, of whatever type.
        if isinstance(literal, str) and not literal.startswith("#") and re.search("[:/]", literal):
            yield literal
    elif kind == "uri" and isinstance(node, str):
        yield _escaped(node)
    elif kind == "number" and isinstance(node, int | float) and not isinstance(node, bool):
        yield str(node)
    elif kind == "quantity" and isinstance(node, dict) and "value" in node and "comparator" not in node:
        system, code = node.get("system", ""), node.get("code", "")
        yield f"{node['value']}|{_escaped(system)}|{_escaped(code)}" if system and code else str(node["value"])


def _tokens(node: Any) -> Iterator[str]:
    if isinstance(node, bool):
        yield "true" if node else "false"
    elif isinstance(node, str):
        yield _escaped(node)
    elif isinstance(node, dict) and node.keys().isdisjoint(("unit", "comparator", "contentType")):
        for one in node.get("coding", [node]):
            if isinstance(one.get("code"), str):
                yield f"{_escaped(one['system'])}|{_escaped(one['code'])}" if "system" in one else _escaped(one["code"])
        if isinstance(node.get("value"), str):
            # A contact point has a system too, but it is no namespace.
            spaced = ":" in node.get("system", "")
            yield f"{_escaped(node['system'])}|{_escaped(node['value'])}" if spaced else _escaped(node["value"])


def _strings(node: Any) -> Iterator[str]:
    texts = [node] if isinstance(node, str) else []
    if isinstance(node, dict):
        parts = [node.get(one) for one in ("family", "city", "text", "country")] + node.get("given", [])
        texts = [one for one in parts if isinstance(one, str)]
    for text in texts:
        if fold(text).strip():
            yield _escaped(text.split("\n")[0][:40])


def _dates(node: Any) -> Iterator[str]:
    if isinstance(node, str) and _DATE.match(node):
        yield node
    elif isinstance(node, dict) and ("start" in node or "end" in node):
        yield f"ge{node['start']}" if "start" in node else f"le{node['end']}"


def _escaped(text: str) -> str:
    for one in "\\,|$":
        text = text.replace(one, f"\\{one}")
    return text
