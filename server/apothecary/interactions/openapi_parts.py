"""What several paths of an OpenAPI document share: parameters, headers, bodies and the answers to what fails.

https://spec.openapis.org/oas/v3.1.1.html#components-object
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus

from apothecary.errors import FhirError
from apothecary.fhir.json import JSON
from apothecary.search.control import BOOLEANS, SUMMARIES, TOTALS

FORM = {"json": "application/fhir+json", "plain": "application/json", "form": "application/x-www-form-urlencoded"}
JSON_PATCH = "application/json-patch+json"
_TEXT: JSON = {"type": "string"}
_NUMBER: JSON = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
# https://hl7.org/fhir/R5/datatypes.html#id
_ID: JSON = {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}
_VERSION: JSON = {"type": "string", "pattern": r"^[1-9][0-9]{0,8}$"}
_PREFIX = "(eq|ne|gt|lt|ge|le|sa|eb|ap)?"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|\+0[0-9]:00)?"
_DATE = rf"[0-9]{{4}}(-(0[1-9]|1[0-2])(-(0[1-9]|1[0-9]|2[0-8])(T{_TIME})?)?)?"
_DECIMAL = r"-?[0-9]{1,12}(\.[0-9]{1,12})?"
# How a value is written, where its type says so: https://hl7.org/fhir/R5/search.html#ptypes
_VALUES: Mapping[str, str] = {
    "date": f"{_PREFIX}{_DATE}",
    "number": f"{_PREFIX}{_DECIMAL}",
    "quantity": rf"{_PREFIX}{_DECIMAL}(\|[^|,]*\|[^|,]*)?",
}
PATCH: JSON = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": _TEXT,
            "from": _TEXT,
            "value": {},
        },
    },
}
"""https://www.rfc-editor.org/rfc/rfc6902"""


def _query(name: str, documentation: str, schema: JSON, **more: object) -> JSON:
    return {"name": name, "in": "query", "description": documentation, "schema": schema, **more}


def _header(name: str, documentation: str, schema: JSON) -> JSON:
    return {"name": name, "in": "header", "description": documentation, "schema": schema}


def _one_of(*values: str) -> JSON:
    return {"enum": list(values)}


_LIST: JSON = {"type": "array", "items": _TEXT}
_TAG: JSON = {"type": "string", "pattern": r'^(W/)?"[0-9]{1,9}"$'}

# What shapes the answer to a search: https://hl7.org/fhir/R5/search.html#modifyingresults
CONTROLS = (
    *("_count", "_sort", "_total", "_summary", "_elements", "_include", "_include:iterate", "_revinclude"),
    *("_revinclude:iterate", "_contained", "_containedType", "_score", "_maxresults", "_explain", "_page", "_format"),
    "_pretty",
)
PARAMETERS: dict[str, JSON] = {
    "id": {"name": "id", "in": "path", "required": True, "description": "The id of a resource.", "schema": _ID},
    "vid": {"name": "vid", "in": "path", "required": True, "description": "A version of it.", "schema": _VERSION},
    "_count": _query("_count", "How many matches a page may have; 0 for the number alone.", _NUMBER),
    "_sort": _query("_sort", "Parameters to sort by, separated by commas; a minus sign turns one around.", _TEXT),
    "_total": _query("_total", "Whether the number of all matches is told.", _one_of(*TOTALS)),
    "_summary": _query("_summary", "Which part of each resource is shown.", _one_of(*SUMMARIES)),
    "_summary-count": _query("_summary", "count shows the number alone.", _one_of("count", "false")),
    "_elements": _query("_elements", "The elements that are shown, separated by commas.", _TEXT),
    "_include": _query("_include", "References of matches to follow: Type:parameter[:Target].", _LIST),
    "_include:iterate": _query("_include:iterate", "The same for what was included.", _LIST),
    "_revinclude": _query("_revinclude", "What points to matches: Type:parameter.", _LIST),
    "_revinclude:iterate": _query("_revinclude:iterate", "The same for what was included.", _LIST),
    "_contained": _query("_contained", "Whether contained resources are searched.", _one_of("true", "false", "both")),
    "_containedType": _query(
        "_containedType", "What is shown of a contained match.", _one_of("container", "contained")
    ),
    "_score": _query("_score", "Whether scores of a full text search are told.", _one_of(*BOOLEANS)),
    "_maxresults": _query("_maxresults", "Most matches of all pages together.", _NUMBER | {"minimum": 1}),
    "_explain": _query("_explain", "Whether the plan of the search is told.", _one_of(*BOOLEANS)),
    "_page": _query("_page", "A page, as links of an answer name it.", _TEXT),
    "_format": _query("_format", "The form of the answer, in place of Accept.", _one_of("json", FORM["json"])),
    "_pretty": _query("_pretty", "Whether the answer is indented.", _one_of(*BOOLEANS)),
    "_since": _query("_since", "Only versions from this moment on.", {"type": "string", "pattern": f"^{_DATE}$"}),
    "_at": _query("_at", "Only versions that were current then.", {"type": "string", "pattern": f"^{_DATE}$"}),
    "mode": _query("mode", "Which statement is asked for.", _one_of("full", "normative")),
    "others": _query(
        "others",
        "Parameters with modifiers (name:exact), chains (subject:Patient.name) and _has "
        "(_has:Observation:subject:code): https://hl7.org/fhir/R5/search.html",
        {"type": "object", "additionalProperties": _TEXT},
        style="form",
        explode=True,
    ),
    "Prefer": _header(
        "Prefer",
        "handling=strict refuses unknown parameters; return says what a write is answered with.",
        _one_of(
            *("handling=strict", "handling=lenient", "return=minimal", "return=representation"),
            "return=OperationOutcome",
        ),
    ),
    "If-Match": _header("If-Match", "The version that may be changed.", _TAG),
    "If-None-Match": _header("If-None-Match", "The version that the client has; * for none at all.", _TAG),
    "If-Modified-Since": _header(
        "If-Modified-Since", "When the client's copy was made.", _TEXT | {"format": "http-date"}
    ),
    "If-None-Exist": _header("If-None-Exist", "Criteria; what meets them is not created again.", _TEXT),
}
HEADERS: dict[str, JSON] = {
    "ETag": {"description": "The version of the resource.", "schema": _TEXT},
    "Last-Modified": {"description": "When that version was written.", "schema": _TEXT},
    "Location": {"description": "The address of what was created, with its version.", "schema": _TEXT},
}


def refs(*names: str) -> list[JSON]:
    """References to shared parameters."""
    return [{"$ref": f"#/components/parameters/{_key(name)}"} for name in names]


def _key(name: str) -> str:
    return name.replace(":", ".")


PARAMETERS = {_key(name): one for name, one in PARAMETERS.items()}


def headers(*names: str) -> JSON:
    """References to shared headers of answers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def search_parameter(told: JSON) -> JSON:
    """A search parameter as the CapabilityStatement tells of it. It may be repeated, and its values may be several."""
    kind = told["type"]
    value = {"type": "string"}
    if kind in _VALUES:
        value["pattern"] = f"^{_VALUES[kind]}(,{_VALUES[kind]})*$"
    about = [told.get("documentation", ""), f"Type: {kind}."]
    about += [f"Defined by {told['definition']}."] if "definition" in told else []
    return _query(told["name"], " ".join(filter(None, about)), {"type": "array", "items": value}) | {
        "x-fhir-type": kind
    }


def argument(name: str, kind: str, documentation: str) -> JSON:
    """A parameter of an operation that can stand in the address."""
    schema = {"boolean": _one_of(*BOOLEANS), "integer": _NUMBER}.get(kind, _TEXT)
    return _query(name, documentation, schema) | {"x-fhir-type": kind}


def resource(name: str) -> JSON:
    """The schema of a resource."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(kinds: Mapping[str, JSON]) -> JSON:
    """Content in any of some media types, each with its schema."""
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in kinds.items()}}


def body(name: str, *, native: bool = False) -> JSON:
    """A body that is a resource; `native` takes content of any other type besides."""
    kinds = {FORM["json"]: resource(name), FORM["plain"]: resource(name)}
    return content(kinds | ({"*/*": {}} if native else {}))


def form(parameters: list[JSON]) -> JSON:
    """Search parameters as a form: https://hl7.org/fhir/R5/http.html#search"""
    known = [PARAMETERS[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in parameters]
    properties = {
        one["name"]: one["schema"] | {"description": one["description"]} for one in known if one["name"] != "others"
    }
    schema = {"type": "object", "properties": properties, "additionalProperties": _TEXT}
    return {"required": False, "content": {FORM["form"]: {"schema": schema}}}


def _statuses(kind: type[FhirError]) -> Iterator[int]:
    yield kind.status
    for one in kind.__subclasses__():
        yield from _statuses(one)


def responses() -> JSON:
    """An answer for each status of the error tree; all are OperationOutcomes.
    https://hl7.org/fhir/R5/http.html#Status-Codes
    """
    schema = {FORM["json"]: {"schema": resource("OperationOutcome")}}
    return {
        str(status): {"description": f"{HTTPStatus(status).phrase}: the issues say why.", "content": schema}
        for status in sorted(set(_statuses(FhirError)))
    }


def errors() -> JSON:
    """References to the answers to what fails."""
    return {str(one): {"$ref": f"#/components/responses/{one}"} for one in sorted(set(_statuses(FhirError)))}
