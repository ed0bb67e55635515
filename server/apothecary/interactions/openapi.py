"""OpenAPI documents, computed from the CapabilityStatement: https://spec.openapis.org/oas/v3.1.1.html

One for each base, whose paths of a resource type are references into the document of that type; and one for each type,
which is whole in itself. What they say of interactions, parameters and operations is what the statement says, and their
schemas are those of `apothecary schema`. https://hl7.org/fhir/R5/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from urllib.parse import quote

from apothecary import __version__
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import capabilities
from apothecary.interactions import openapi_parts as parts
from apothecary.interactions.capabilities import INTERACTIONS, Interaction
from apothecary.interactions.openapi_parts import FORM, JSON_PATCH, body, content, form, resource
from apothecary.interactions.service import OfferedOperation, Service
from apothecary.search.compartments import ALL, Compartment, served, types_in
from apothecary.search.parameters import Registry
from apothecary.validation.schema import schema_definitions

DOCUMENT = "openapi.json"
"""The address of the documents below a base; `?type=` names a type."""
Place = tuple[str, str, Callable[[], JSON]]
"""A path below the base, a method in lower case, and what makes the description of both."""
_SCHEMAS = "#/components/schemas/"
# https://spec.openapis.org/oas/v3.1.1.html#security-scheme-object
_TOKEN = {"type": "http", "scheme": "bearer", "description": "See [base]/.well-known/smart-configuration."}
# What both kinds of documents speak of.
_SHARED = ("Bundle", "OperationOutcome", "Parameters", "Resource")


def document(
    service: Service, version: FhirVersion, base: str, resource_type: str | None = None, *, schemas: bool = True
) -> JSON:
    """The document of a base, or of one resource type at it; without `schemas` a resource is just an object, for tools
    that FHIR's types, each within the other, are too much for. Raises NotFound for a type that is not served.
    """
    described = _Described(service, version, base)
    if resource_type is not None:
        service.check_type(version, resource_type)
    made = described.whole() if resource_type is None else described.of_type(resource_type)
    if not schemas:
        made["components"]["schemas"] = {name: {"type": "object"} for name in made["components"]["schemas"]}
    return made


class _Described:
    """The documents of one base."""

    def __init__(self, service: Service, version: FhirVersion, base: str) -> None:
        self.service, self.version, self.base = service, version, base
        self.registry: Registry = service.registry(version)

    def whole(self) -> JSON:
        """What concerns no type, and where the rest is."""
        paths: JSON = {"/metadata": {"get": self._capabilities()}} | _described(self._places(("system",), None))
        for name in self.registry.types:
            for path, _, _ in self._of(name):
                paths.setdefault(path, {"$ref": f"{DOCUMENT}?type={name}#/paths/{_as_fragment(path)}"})
        about = f"The server's base of FHIR {self.version}. {capabilities.DESCRIPTION}"
        return self._document(f"Apothecary, FHIR {self.version}", about, paths, ("CapabilityStatement",))

    def of_type(self, name: str) -> JSON:
        """What concerns a type."""
        about = f"{name} of FHIR {self.version}. {capabilities.DESCRIPTION}"
        return self._document(f"{name}, FHIR {self.version}", about, _described(self._of(name)), (name,))

    def _document(self, title: str, about: str, paths: JSON, structures: Sequence[str]) -> JSON:
        schemas = schema_definitions(self.version, dict.fromkeys((*structures, *_SHARED)), _SCHEMAS)
        return {
            "openapi": "3.1.0",
            "info": {"title": title, "version": __version__, "description": about},
            "servers": [{"url": self.base}],
            "paths": paths,
            **({"security": [{"token": []}]} if self.service.settings.authorized else {}),
            "components": {
                **({"securitySchemes": {"token": _TOKEN}} if self.service.settings.authorized else {}),
                "schemas": schemas,
                "parameters": parts.PARAMETERS,
                "headers": parts.HEADERS,
                "responses": parts.responses(),
            },
        }

    def _of(self, name: str) -> Iterator[Place]:
        """Every path and method of a type."""
        yield from self._places(("type", "instance", "conditional"), name)
        for compartment in served(self.registry):
            if name in types_in(self.registry, Compartment(compartment, ""), ALL):
                for one in self._offered(("compartment",)):
                    path = one.path.replace("<compartment>", compartment)
                    yield self._place(path, one, name, f"{one.code}-{compartment}-{name}")

    def _offered(self, levels: Sequence[str]) -> Iterator[Interaction]:
        writable = self.service.closed is None
        return (one for one in INTERACTIONS if one.level in levels and (writable or not one.writes))

    def _places(self, levels: Sequence[str], name: str | None) -> Iterator[Place]:
        """The paths and methods of the interactions of some levels, and of the operations."""
        for one in self._offered(levels):
            level = "conditional-" if one.level == "conditional" else ""
            yield self._place(one.path or "/", one, name, "-".join(filter(None, (level + one.code, name))))
        for level in ("system",) if name is None else ("type", "instance"):
            begin = {"system": "", "type": f"/{name}", "instance": f"/{name}/{{id}}"}[level]
            for told in capabilities.operations(self.service, {level}, name):
                known = self.service.operations[told["name"]]
                for method in ("post",) if known.affects_state else ("get", "post"):
                    made = partial(self._operation, told, known, method, level, name)
                    yield f"{begin}/${told['name']}", method, made

    def _place(self, path: str, one: Interaction, name: str | None, identity: str) -> Place:
        for mark, shown in (("<resource_type>", name or ""), ("<resource_id>", "{id}"), ("<version_id>", "{vid}")):
            path = path.replace(mark, shown)
        posted = one.method == "POST" and one.code.startswith("search")

        def made() -> JSON:
            found = self._interaction(one, name, posted)
            return found | {
                "operationId": f"{identity}-post" if posted else identity,
                "parameters": [*_in_path(path), *found["parameters"]],
                "tags": [name or "system"],
            }

        return path, one.method.lower(), made

    def _interaction(self, one: Interaction, name: str | None, posted: bool) -> JSON:
        """What a client sends and gets: https://hl7.org/fhir/R5/http.html"""
        what = name or "any type"
        if one.code.startswith("search"):
            asked = self._search_parameters(name)
            found: JSON = {"summary": f"Search for {what}", "responses": _answers({"200": "Bundle"})}
            found["parameters"] = parts.refs("Prefer")
            if posted:
                found["requestBody"] = form(asked)
            else:
                found["parameters"] = [*asked, *found["parameters"]]
            return found
        if one.code.startswith("history"):
            asked = parts.refs("_since", "_at", "_count", "_summary-count", "_page", "_format", "_pretty", "Prefer")
            return {"summary": f"History of {what}", "parameters": asked, "responses": _answers({"200": "Bundle"})}
        if one.code in ("read", "vread"):
            asked = parts.refs(
                "_summary", "_elements", "_format", "_pretty", "If-None-Match", "If-Modified-Since", "Prefer"
            )
            answers = _answers({"200": name or "Resource", "304": None}, entity=True, native=name == "Binary")
            return {"summary": f"Read a {what}", "parameters": asked, "responses": answers}
        if one.code in ("transaction", "batch"):
            answers = _answers({"200": "Bundle"})
            found = {
                "summary": "Run a batch or a transaction",
                "parameters": parts.refs("Prefer"),
                "responses": answers,
            }
            return found | {"requestBody": body("Bundle")}
        return self._write(one, str(name))

    def _write(self, one: Interaction, name: str) -> JSON:
        """https://hl7.org/fhir/R5/http.html#create and below"""
        conditional = one.level == "conditional"
        headers = {
            "create": ("If-None-Exist",),
            "update": ("If-Match", "If-None-Match"),
            "patch": ("If-Match",),
            "delete": ("If-Match",),
        }[one.code]
        verb = f"Conditional {one.code} of" if conditional else one.code.capitalize()
        found: JSON = {"summary": f"{verb} a {name}", "parameters": parts.refs("Prefer", *headers)}
        if conditional:
            found["parameters"] = [*self._criteria(name), *found["parameters"]]
        if one.code == "patch":
            found["requestBody"] = content({JSON_PATCH: parts.PATCH, FORM["json"]: resource("Parameters")})
        elif one.code != "delete":
            found["requestBody"] = body(name, native=name == "Binary")
        answers: dict[str, str | None] = {"200": name if one.code != "delete" else "OperationOutcome"}
        if one.code in ("create", "update"):
            answers["201"] = name
        if one.code == "delete":
            answers["204"] = None
        found["responses"] = _answers(answers, entity=one.code != "delete")
        return found

    def _search_parameters(self, name: str | None) -> list[JSON]:
        """What filters, and what shapes the answer."""
        return [*self._criteria(name), *parts.refs(*parts.CONTROLS)]

    def _criteria(self, name: str | None) -> list[JSON]:
        """What filters: the parameters that the CapabilityStatement lists, in every form that they can take."""
        if name is None:
            told: list[JSON] = capabilities.common_parameters(self.registry)
        else:
            told = capabilities.of_type(self.service, self.registry, name)["searchParam"]
        return [*(parts.search_parameter(one) for one in told if one["name"] != "_has"), *parts.refs("others")]

    def _operation(self, told: JSON, known: OfferedOperation, method: str, level: str, name: str | None) -> JSON:
        """https://hl7.org/fhir/R5/operations.html"""
        tables = definitions(self.version)
        asked = [
            parts.argument(one.name, one.type, one.documentation)
            for one in known.arguments
            if tables.has_structure(one.type) and tables.structure(one.type).kind == "primitive-type"
        ]
        said = " ".join(f"{one.name} ({one.type}): {one.documentation}" for one in known.arguments)
        where = "-".join(filter(None, (name, level)))
        found: JSON = {
            "summary": f"${told['name']}",
            "description": f"{told['definition']}. {said}".strip(),
            "operationId": f"{told['name']}-{where}" + ("-post" if method == "post" else ""),
            "parameters": [
                *(parts.refs("id") if level == "instance" else ()),
                *asked,
                *parts.refs("_format", "_pretty"),
            ],
            "responses": _answers({"200": "Resource"}),
            "tags": [name or "system"],
        }
        return found | ({"requestBody": body("Resource") | {"required": False}} if method == "post" else {})

    def _capabilities(self) -> JSON:
        return {
            "summary": "What this server can do",
            "operationId": "capabilities",
            "parameters": [*parts.refs("mode", "_format", "_pretty", "If-None-Match")],
            "responses": _answers({"200": "CapabilityStatement", "304": None}),
            "tags": ["system"],
        }


def _described(places: Iterable[Place]) -> JSON:
    """Paths with what can be done there. Batch and transaction are one address and one method."""
    paths: JSON = {}
    for path, method, made in places:
        item = paths.setdefault(path, {})
        if method not in item:
            item[method] = made()
    return paths


def _as_fragment(path: str) -> str:
    """A path as a JSON Pointer names it, as it stands in an address: https://www.rfc-editor.org/rfc/rfc6901#section-6"""
    return quote(path.replace("~", "~0").replace("/", "~1"), safe="~$")


def _in_path(path: str) -> list[JSON]:
    return [one for name in ("id", "vid") if f"{{{name}}}" in path for one in parts.refs(name)]


def _answers(wanted: dict[str, str | None], *, entity: bool = False, native: bool = False) -> JSON:
    """What an interaction is answered with: `wanted` has the resource type of each status, None for no content."""
    meant = {
        "200": "Done.",
        "201": "Created.",
        "204": "Done; there is nothing to show.",
        "304": "What the client has is current.",
    }
    answers: JSON = {}
    for status, name in wanted.items():
        answers[status] = {"description": meant[status]}
        if name is not None:
            answers[status] |= content({FORM["json"]: resource(name)} | ({"*/*": {}} if native else {}))
            answers[status].pop("required", None)
        if entity:
            answers[status]["headers"] = parts.headers(
                "ETag", "Last-Modified", *(("Location",) if status == "201" else ())
            )
    return answers | parts.errors()
