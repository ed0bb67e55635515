"""Everything that can be asked: a walk of what the CapabilityStatement says, with values that find what is hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.access.worlds import ALL, MARKER, World, coded, rows

FORMS = ("json", "xml", "html", "ndjson")
DRUG = f"http://ex.org/drugs|{MARKER}"
TARGETS = ("Organization", "Medication", "Patient", "ValueSet", "CodeSystem", "MedicationKnowledge", "Provenance")
VALUES: Mapping[str, tuple[str, ...]] = {
    "token": (DRUG, "shared", "http://ex.org/drugs|", "active,inactive,draft,entered-in-error"),
    "string": (MARKER, "klarin"),
    "date": ("ge2020", "lt2020"),
    "number": ("1",),
    "quantity": ("1",),
    "reference": ("Organization/far", "Medication/near", "Patient/p"),
    "uri": ("http://ex.org/hidden-vs", "http://ex.org/codes"),
    "special": ("klarin", MARKER),
    "composite": ("a$b",),
}
SETS = ("http://ex.org/both", "http://ex.org/hidden-vs", "http://ex.org/vs", "ValueSet/hidden")
SYSTEMS = ("http://ex.org/codes|open", f"http://ex.org/codes|{MARKER}", f"http://ex.org/hidden|{MARKER}")
MODIFIED: Mapping[str, tuple[str, ...]] = {
    "missing": ("true", "false"),
    "in": SETS,
    "not-in": SETS,
    "above": (*SYSTEMS, "http://ex.org/hidden-vs"),
    "below": (*SYSTEMS, "http://ex.org/hidden-vs"),
    "identifier": (f"http://ex.org/id|{MARKER}",),
    "of-type": (f"http://ex.org/id|{MARKER}|{MARKER}",),
    "text-advanced": (f"{MARKER}~ OR klarn~", f"NOT {MARKER}"),
    "code-text": (MARKER,),
}


class Request(NamedTuple):
    """`body` is JSON, or a form where it is text."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = {}


def ask(world: World, request: Request, **more: Any) -> Any:
    """The answer of one world."""
    headers, body = dict(request.headers), request.body
    if isinstance(body, str):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        body = json.dumps(body)
    return world.ask(request.method, request.path, body, headers=headers, **more)


def get(path: str, *pairs: tuple[str, str], **headers: str) -> Request:
    query = "&".join(f"{name}={quote(value, safe=':/|$,')}" for name, value in pairs)
    return Request("GET", f"{path}?{query}" if query else path, None, headers)


def searches(world: World, base: str) -> Iterator[Request]:
    """Every parameter of every type, with every modifier, chain, reverse chain, include and order."""
    statement = json.loads(world.ask("GET", f"{base}/metadata", scopes=ALL).body)["rest"][0]
    for resource in statement["resource"]:
        kind = f"{base}/{resource['type']}"
        for parameter in resource["searchParam"]:
            yield from _parameter(kind, parameter)
        for include in resource["searchInclude"]:
            yield get(kind, ("_include", include))
            yield get(kind, ("_include:iterate", "*"), ("_include", include), ("_revinclude", "*"))
        for include in resource.get("searchRevInclude", ()):
            yield get(kind, ("_revinclude", include))
            source, code = include.split(":")
            yield get(kind, (f"_has:{source}:{code}:_lastUpdated", "ge2020"))
            yield get(
                kind, (f"_has:{source}:{code}:_id:not" if code == "_" else f"_has:{source}:{code}:_id", "p,b,near")
            )
        yield from _controls(kind)
    for parameter in statement["searchParam"]:
        yield from _parameter(base, parameter)
    yield from _controls(base)
    for kind in TARGETS:
        yield get(base, ("_type", kind))
        yield get(base, ("_type", f"{kind},MedicationKnowledge"), ("_count", "1"), ("_total", "accurate"))
    for one in ("Patient/p/*", "Patient/p/Basic", "Patient/p/Provenance", "Patient/none/*", "Patient/p/List"):
        yield get(f"{base}/{one}")


def _parameter(kind: str, parameter: Mapping[str, Any]) -> Iterator[Request]:
    name, sort = parameter["name"], parameter["type"]
    if name in ("_has", "_query", "_type"):
        return
    if name in ("_list", "_in"):
        for value in ("open", "mixed", "List/open", MARKER):
            yield get(kind, (name, value))
        return
    if name == "_filter":
        for value in (f"code eq {DRUG}", f'name co "{MARKER}"', "_lastUpdated ge 2020", "status eq inactive"):
            yield get(kind, (name, value))
            yield get(kind, (name, f"not ({value})"))
        return
    values = VALUES[sort] if name != "_id" else ("near", f"a-active,near,{MARKER}-2,far,p,k")
    for value in values:
        yield get(kind, (name, value))
    for modifier in re.findall(r":([-a-z]+)", parameter.get("documentation", "").rpartition("Modifiers")[2]):
        for value in MODIFIED.get(modifier, values[:1]):
            yield get(kind, (f"{name}:{modifier}", value))
    yield get(kind, ("_sort", name), ("_count", "1"))
    yield get(kind, ("_sort", f"-{name}"), ("_count", "2"), ("_total", "estimate"))
    if sort == "reference":
        for target in TARGETS:
            yield get(kind, (f"{name}:{target}._id", "far,near,p,a-active"))
            yield get(kind, (f"{name}:{target}._lastUpdated", "ge2020"), ("_total", "accurate"))
            yield get(kind, (f"{name}:{target}", "far,near,p"))
        yield get(kind, (f"{name}.name", MARKER))
        yield get(kind, (f"{name}.code", DRUG))


def _controls(kind: str) -> Iterator[Request]:
    for pairs in (
        [("_total", "accurate"), ("_count", "1")],
        [("_total", "estimate"), ("_count", "1")],
        [("_count", "1")],
        [("_summary", "count")],
        [("_summary", "true")],
        [("_summary", "text")],
        [("_elements", "id")],
        [("_explain", "true")],
        [("_explain", "true"), ("_lastUpdated", "ge2020")],
        [("_contained", "true")],
        [("_contained", "true"), ("_containedType", "contained"), ("_include", "*")],
        [("_contained", "both"), ("_containedType", "contained"), ("_total", "accurate")],
        [("_contained", "both"), ("_containedType", "container")],
        [("_maxresults", "2"), ("_count", "1")],
        [("_sort", "-_lastUpdated"), ("_count", "1")],
        [("_sort", "_id")],
        [("nonsense", MARKER)],
        [("_text", "klarin")],
        [("_content", "klarin"), ("_score", "true")],
        [("_content", MARKER)],
    ):
        yield get(kind, *pairs)
    for form in FORMS:
        yield get(kind, ("_format", form))
    yield Request("POST", f"{kind}/_search", "_lastUpdated=ge2020&_count=1&_id:missing=false")


def instances(base: str) -> Iterator[Request]:
    """Every resource that there is in either world, or ever was, by its address."""
    for key in dict.fromkeys(row.key for row in rows()):
        path = f"{base}/{key}"
        for form in FORMS[:3]:
            yield get(path, ("_format", form))
        yield get(path, **{"If-None-Match": 'W/"1"'})
        yield get(path, **{"If-Modified-Since": "Mon, 21 Sep 2026 00:00:00 GMT"})
        yield Request("HEAD", path)
        for version in (1, 2, 3):
            yield get(f"{path}/_history/{version}")
        for form in FORMS[:3]:
            yield get(f"{path}/_history", ("_format", form))
        yield get(f"{path}/_history", ("_at", "2026-09"), ("_count", "1"))
        yield get(f"{path}/_history", ("_since", "2026-09-21T14:20:00Z"))
        for operation in ("meta", "document", "validate", "convert", "expand", "validate-code", "lookup"):
            yield get(f"{path}/${operation}", ("code", "open"), ("system", "http://ex.org/codes"))
        kind = key.partition("/")[0]
        yield get(f"{base}/Basic/{key.partition('/')[2]}")
        yield get(f"{base}/{kind}/_history", ("_count", "1"))
        yield get(f"{base}/{kind}/$meta")
    for pairs in ([], [("_count", "2")], [("_summary", "count")], [("_at", "2026-09")], [("_since", "2026-09-01")]):
        yield get(f"{base}/_history", *pairs)
    yield get(f"{base}/$meta")


def operations(base: str) -> Iterator[Request]:
    """What operations look up, by what is hidden and by what is not."""
    codes = [("open", "http://ex.org/codes"), (MARKER, "http://ex.org/codes"), (MARKER, "http://ex.org/hidden")]
    for url in (*SETS[:3], "http://ex.org/none"):
        for more in ([], [("filter", "s")], [("includeDesignations", "true")], [("count", "1")]):
            yield get(f"{base}/ValueSet/$expand", ("url", url), *more)
        for code, system in codes:
            pairs = [("url", url), ("code", code), ("system", system)]
            yield get(f"{base}/ValueSet/$validate-code", *pairs)
            yield get(f"{base}/ValueSet/$validate-code", *pairs, ("display", "Opn one"))
    for code, system in codes:
        for version in ([], [("version", "9")]):
            yield get(f"{base}/CodeSystem/$lookup", ("code", code), ("system", system), *version)
            named = [("codeSystemVersion" if one == "version" else one, value) for one, value in version]
            yield get(f"{base}/CodeSystem/$validate-code", ("code", code), ("url", system), *version, *named)
        yield get(f"{base}/CodeSystem/$subsumes", ("codeA", code), ("codeB", "open"), ("system", system))
        for side in ("code", "sourceCode"):
            for more in ([], [("url", "http://ex.org/map")]):
                yield get(f"{base}/ConceptMap/$translate", (side, code), ("system", system), *more)
    for profile in ("http://ex.org/profile", "http://ex.org/none"):
        claims = {"resourceType": "Medication", "meta": {"profile": [profile]}, "status": "active"}
        for path in ("Medication/$validate", "$validate", f"Medication/$validate?profile={profile}"):
            yield Request("POST", f"{base}/{path}", claims)
        yield Request("POST", f"{base}/Medication", claims)
    for identity in ("near", "a-active", "none", "gone", f"{MARKER}-2"):
        resource = {"resourceType": "Medication", "id": identity, "status": "active"}
        for mode in ("create", "update", "delete"):
            yield Request("POST", f"{base}/Medication/{identity}/$validate?mode={mode}", resource)
    for criteria in (f"code={DRUG}", "_id=near", "status=inactive", f"organization.name={MARKER}"):
        headers = {"If-None-Exist": criteria}
        resource = {"resourceType": "Medication", "status": "active"}
        yield Request("POST", f"{base}/Medication/$validate?mode=create", resource, headers)
    matched = {"resourceType": "Medication", "code": {"coding": [{"system": "http://ex.org/drugs", "code": MARKER}]}}
    for only in ("true", "false"):
        parameters = [
            {"name": "resource", "resource": matched},
            {"name": "onlyCertainMatches", "valueBoolean": only == "true"},
        ]
        for kind in ("Medication", "MedicationKnowledge", "Organization"):
            yield Request("POST", f"{base}/{kind}/$match", {"resourceType": "Parameters", "parameter": parameters})
    for medications in (["one", "two"], ["one", MARKER], ["MedicationKnowledge/k", "Medication/near"], ["shared"]):
        listed = [one if "/" in one else f"http://ex.org/drugs|{one}" for one in medications]
        yield get(f"{base}/$detect-issues", *(("medication", one) for one in listed))
    for path in ("metadata", "metadata?mode=terminology", "openapi.json?schemas=false", "$bulk-publish", "$versions"):
        yield get(f"{base}/{path}")
    for query in ("", "_type=Organization", "_type=Medication,Organization", f"_typeFilter=Medication?code={DRUG}"):
        yield get(f"{base}/$export?{query}")
    every = [one.path.removeprefix(f"{base}/") for one in (*instances(base),) if one.method == "GET"]
    for kind in ("batch", "transaction"):
        entries = [
            {"request": {"method": "GET", "url": one}} for one in every if "_format" not in one and "$" not in one
        ]
        for begin in range(0, len(entries), 40 if kind == "batch" else 5):
            some = entries[begin : begin + (40 if kind == "batch" else 1)]
            yield Request("POST", base, {"resourceType": "Bundle", "type": kind, "entry": some})


def beside() -> Iterator[Request]:
    """What stands beside the bases, and the pages."""
    for path in ("/", "/claims", "/metrics", "/openapi", "/healthz", "/readyz"):
        yield Request("GET", path)
        yield Request("GET", path, None, {"Accept": "text/html"})
    yield Request("GET", "/cds-services")
    yield Request("GET", "/cds-services/order-sign/feedback")
    for code in ("one", "shared", MARKER):
        order: dict[str, Any] = {"resourceType": "MedicationRequest", "id": "o", "status": "draft", "intent": "order"}
        order |= {"subject": {"reference": "Patient/p"}, "medication": {"concept": coded("one", code)}}
        drafts: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": order}, {"resource": order}],
        }
        hook: dict[str, Any] = {"hook": "order-sign", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"}
        hook |= {"context": {"userId": "Practitioner/p", "patientId": "p", "draftOrders": drafts}}
        yield Request("POST", "/cds-services/order-sign", hook, {"Content-Type": "application/json"})
    for asked in (MARKER, "klarin", "Medication/near", "Organization/far", "one"):
        yield get("/", ("q", asked), Accept="text/html")


def writes(base: str) -> Iterator[Request]:
    """Attempts to change what is hidden, and what is not: whatever is done, it is done in both worlds."""
    for key in (
        "Medication/near",
        "Medication/gone",
        "Medication/none",
        f"Medication/{MARKER}-2",
        "Medication/z-active",
    ):
        identity = key.partition("/")[2]
        for status in ("inactive", "active"):
            resource = {"resourceType": "Medication", "id": identity, "status": status}
            yield Request("PUT", f"{base}/{key}", resource, {"If-Match": 'W/"1"'})
            yield Request("PUT", f"{base}/{key}", resource, {"If-None-Match": "*"})
            yield Request("PUT", f"{base}/{key}", resource)
            yield Request("PUT", f"{base}/Medication?_id={identity}", resource)
            yield Request("PUT", f"{base}/Medication?code={DRUG}", resource)
            entry: dict[str, Any] = {"resource": resource, "request": {"method": "PUT", "url": key}}
            for kind in ("batch", "transaction"):
                yield Request("POST", base, {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        patch = [{"op": "replace", "path": "/status", "value": "active"}]
        yield Request("PATCH", f"{base}/{key}", patch, {"Content-Type": "application/json-patch+json"})
        yield Request(
            "PATCH", f"{base}/Medication?_id={identity}", patch, {"Content-Type": "application/json-patch+json"}
        )
        meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "t"}]}}]}
        for operation in ("meta-add", "meta-delete"):
            yield Request("POST", f"{base}/{key}/${operation}", meta)
    for criteria in (f"code={DRUG}", "_id=near", "status=inactive", "code=one", "status=active"):
        for status in ("active", "inactive"):
            created = {"resourceType": "Medication", "status": status, "code": {"text": "new"}}
            yield Request("POST", f"{base}/Medication", created, {"If-None-Exist": criteria})
            entry = {"resource": created, "request": {"method": "POST", "url": "Medication", "ifNoneExist": criteria}}
            yield Request("POST", base, {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        yield Request("DELETE", f"{base}/Medication?{criteria}")
    for target in (
        "Organization/far",
        "Medication/near",
        "Medication/a-active",
        "Medication?code=old",
        f"Medication?code={DRUG}",
        "Organization?name=zqxvsecret",
    ):
        pointing = {
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": target}}],
        }
        yield Request("POST", f"{base}/List", pointing)
        entry = {"resource": pointing, "request": {"method": "POST", "url": "List"}}
        yield Request("POST", base, {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    for key in (
        "Organization/far",
        "Medication/near",
        "Medication/gone",
        "Medication/none",
        "Medication/a-active",
        "MedicationKnowledge/k",
        "Patient/p",
        "List/open",
    ):
        yield Request("DELETE", f"{base}/{key}", None, {"If-Match": "*"})
        yield Request("DELETE", f"{base}/{key}")
        yield get(f"{base}/{key}")
