"""What is sent: resources, bundles, patches and parameters of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.content.xml_write import resource_xml
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from tests.fuzz.dice import Dice
from tests.fuzz.material import Material, parameters
from tests.fuzz.mutate import anything, damaged, mutated, odd_text, spelled
from tests.fuzz.queries import Queries
from tests.fuzz.words import CODES, REFERENCES, TOKENS, URIS, identity, text

JSON = dict[str, Any]


class Bodies:
    """The bodies of one release."""

    def __init__(self, dice: Dice, material: Material, version: FhirVersion) -> None:
        self.dice, self.material, self.version = dice, material, version
        self.queries = Queries(dice, material, version)

    def resource(self, kind: str, resource_id: str | None = None) -> JSON:
        """A resource, in half of the cases as it should be."""
        found = self.material.resource(self.dice, self.version, kind)
        if self.dice.chance(0.4):
            found = mutated(self.dice, found)
        if resource_id is not None and self.dice.chance(0.95):
            found["id"] = resource_id
        return found

    def written(self, value: Any) -> tuple[bytes, str]:
        """A body, and the media type that says what it is."""
        if isinstance(value, dict) and self.dice.chance(0.06):
            return self.xml(value), self.dice.choice(
                ("application/fhir+xml", "application/xml", "application/xml+fhir")
            )
        content = spelled(self.dice, value)
        if self.dice.chance(0.04):
            content = damaged(self.dice, content)
        return content, "application/fhir+json" if self.dice.chance(0.95) else self.dice.choice(MEDIA_TYPES)

    def xml(self, value: JSON) -> bytes:
        """A resource as XML, as far as that can be done."""
        try:
            content = resource_xml(value, definitions(self.version)).encode("utf-8", "surrogatepass")
        except (KeyError, TypeError, AttributeError, ValueError):
            content = odd_text(self.dice)
        return damaged(self.dice, content) if self.dice.chance(0.3) else content

    def bundle(self) -> JSON:
        """A batch or transaction, seldom another Bundle."""
        kind = self.dice.choice(
            ("batch", "transaction", "transaction", self.dice.choice(("collection", "history", "x")))
        )
        entries = [self.entry() for _ in range(self.dice.few(8, 1))]
        if self.dice.chance(0.3) and len(entries) > 1:
            # One that points to another.
            resource = entries[0].get("resource")
            if isinstance(resource, dict):
                resource["extension"] = [
                    {"url": "http://example.org/x", "valueReference": {"reference": entries[1].get("fullUrl", "#")}}
                ]
        bundle: JSON = {"resourceType": "Bundle", "type": kind, "entry": entries}
        return mutated(self.dice, bundle) if self.dice.chance(0.25) else bundle

    def entry(self) -> JSON:
        """One request of a bundle."""
        kind, resource_id = self.material.kind(self.dice, self.version), identity(self.dice)
        method = self.dice.choice(("GET", "POST", "PUT", "PUT", "DELETE", "PATCH", "HEAD", text(self.dice)[:9]))
        url = {"POST": kind, "GET": self.reading(kind, resource_id)}.get(method, f"{kind}/{resource_id}")
        if method in ("PUT", "DELETE", "PATCH") and self.dice.chance(0.2):
            url = f"{kind}?{self.queries.search(kind)}"
        if method == "POST" and self.dice.chance(0.2):
            url = self.dice.choice(
                (f"{kind}/$validate", "$validate", f"{kind}/_search", "", "/", f"{kind}/{resource_id}/$meta-add")
            )
        request: JSON = {"method": method, "url": url if self.dice.chance(0.95) else text(self.dice)}
        for name in ("ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince"):
            if self.dice.chance(0.07):
                request[name] = self.dice.choice(
                    ('W/"1"', '"1"', "*", "identifier=a|b", "2020-01-01T00:00:00Z", text(self.dice))
                )
        entry: JSON = {"request": request}
        if method in ("POST", "PUT"):
            entry["resource"] = self.resource(kind, resource_id)
        elif method == "PATCH":
            entry["resource"] = self.dice.choice((self.fhirpath_patch(kind), self.patch_in_binary()))
        if self.dice.chance(0.6):
            entry["fullUrl"] = self.dice.choice(REFERENCES)
        return entry

    def reading(self, kind: str, resource_id: str) -> str:
        """An address that a GET in a bundle goes to."""
        ways = (
            f"{kind}/{resource_id}",
            f"{kind}?{self.queries.search(kind)}",
            f"{kind}/{resource_id}/_history",
            "metadata",
            "_history",
            kind,
        )
        return self.dice.choice(ways)

    def patch_in_binary(self) -> JSON:
        data = self.dice.choice(("W10=", "e30=", "!", "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL3N0YXR1cyJ9XQ=="))
        return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}

    def json_patch(self) -> Any:
        """https://www.rfc-editor.org/rfc/rfc6902"""
        if self.dice.chance(0.05):
            return anything(self.dice)
        return [self._step() for _ in range(self.dice.choice((1, 1, 1, 1, 2, 4, 200)))]

    def _step(self) -> Any:
        if self.dice.chance(0.03):
            return anything(self.dice)
        if self.dice.chance(0.5):
            # One that mostly fits.
            path = self.dice.choice(
                ("/status", "/meta", "/extension", "/language", "/meta/tag", "/implicitRules", "/url")
            )
            value = self.dice.choice(
                (*CODES, *URIS[:3], [{"url": "http://example.org/x", "valueString": "a"}], {"tag": [{"code": "a"}]})
            )
            return {"op": self.dice.choice(("add", "add", "replace", "remove", "test")), "path": path, "value": value}
        operation = {"op": self.dice.choice(_OPERATIONS), "path": self.dice.choice(_POINTERS)}
        if self.dice.chance(0.7):
            operation["value"] = anything(self.dice)
        if self.dice.chance(0.3):
            operation["from"] = self.dice.choice(_POINTERS)
        return operation

    def fhirpath_patch(self, kind: str) -> JSON:
        """https://hl7.org/fhir/R5/fhirpatch.html"""
        steps = [self._path_step(kind) for _ in range(self.dice.choice((1, 1, 1, 1, 2, 5, 100)))]
        found: JSON = {"resourceType": "Parameters", "parameter": steps}
        return mutated(self.dice, found) if self.dice.chance(0.2) else found

    def _path_step(self, kind: str) -> JSON:
        if self.dice.chance(0.5):
            # One that mostly fits.
            name, choice, given = self.dice.choice(
                (
                    ("language", "valueCode", "en"),
                    ("status", "valueCode", "active"),
                    ("implicitRules", "valueUri", "http://x/y"),
                )
            )
            ways = (
                [
                    {"name": "type", "valueCode": "add"},
                    {"name": "path", "valueString": kind},
                    {"name": "name", "valueString": name},
                    {"name": "value", choice: given},
                ],
                [
                    {"name": "type", "valueCode": "replace"},
                    {"name": "path", "valueString": f"{kind}.{name}"},
                    {"name": "value", choice: given},
                ],
                [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": f"{kind}.{name}"}],
            )
            return {"name": "operation", "part": self.dice.choice(ways)}
        operation = self.dice.choice(("add", "insert", "delete", "replace", "move", "x"))
        parts: list[JSON] = [
            {"name": "type", "valueCode": operation},
            {"name": "path", "valueString": self.path(kind)},
        ]
        if operation == "add" or self.dice.chance(0.05):
            parts.append({"name": "name", "valueString": self.dice.choice(_NAMES)})
        if operation in ("add", "insert", "replace"):
            parts.append({"name": "value", self.dice.choice(_VALUES): anything(self.dice)})
        for name in self.dice.sample(("index", "source", "destination"), self.dice.few(3)):
            parts += [{"name": name, "valueInteger": self.dice.choice((0, 1, 5, -1, 10**12))}]
        return {"name": "operation", "part": parts}

    def path(self, kind: str) -> str:
        """A FHIRPath expression: the one of a search parameter, one made of it, or odd."""
        known = [one.expression for _, one in sorted(parameters(self.version, kind).items()) if one.expression]
        begin = self.dice.choice((kind, f"{kind}.{self.dice.choice(_NAMES)}", *known[:20]))
        return self.dice.choice(
            (begin, begin + self.dice.choice(_STEPS), begin + self.dice.choice(_STEPS) * 9, text(self.dice))
        )

    def call(self, kind: str, operation: str) -> JSON:
        """The Parameters of an operation."""
        listed: list[JSON] = []
        for _ in range(self.dice.few(6, 1)):
            name = self.dice.choice(ARGUMENTS)
            listed.append({"name": name, **self.argument(kind, name)})
        found: JSON = {"resourceType": "Parameters", "parameter": listed}
        return mutated(self.dice, found) if self.dice.chance(0.15) else found

    def argument(self, kind: str, name: str) -> Mapping[str, Any]:
        """The value of a parameter."""
        if name in ("resource", "valueSet", "codeSystem", "input"):
            of = {"valueSet": "ValueSet", "codeSystem": "CodeSystem"}.get(name, kind)
            return {"resource": self.resource(of)}
        if name.startswith("coding"):
            system, _, code = self.dice.choice(TOKENS).partition("|")
            return {"valueCoding": {"system": system, "code": code}}
        if name == "codeableConcept":
            return {
                "valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "x"}, anything(self.dice)]}
            }
        if name == "meta":
            return {
                "valueMeta": {
                    "tag": [{"system": self.dice.choice(URIS), "code": self.dice.choice(CODES)}],
                    "x": anything(self.dice),
                }
                if self.dice.chance(0.3)
                else {"tag": [{"code": "a"}]}
            }
        if name == "part":
            return {"part": [{"name": "a", "valueString": "b"}]}
        return {self.dice.choice(_VALUES): text(self.dice)}

    def value_set(self) -> JSON:
        """A value set that says much, for `$expand`."""
        system = self.dice.choice(URIS)
        include: JSON = {"system": system}
        if self.dice.chance(0.6):
            include["filter"] = [
                {
                    "property": self.dice.choice(("concept", "code", "display", "parent", "x", "status")),
                    "op": self.dice.choice(_FILTERS),
                    "value": text(self.dice),
                }
                for _ in range(self.dice.few(3, 1))
            ]
        if self.dice.chance(0.3):
            include["concept"] = [{"code": text(self.dice)} for _ in range(self.dice.few(5, 1))]
        if self.dice.chance(0.3):
            include["valueSet"] = [self.dice.choice(URIS), "http://hl7.org/fhir/ValueSet/medication-status"]
        compose: JSON = {"include": [include] * self.dice.choice((1, 1, 2, 60))}
        if self.dice.chance(0.3):
            compose["exclude"] = [include]
        return {"resourceType": "ValueSet", "status": "active", "url": self.dice.choice(URIS), "compose": compose}


MEDIA_TYPES = (
    *("application/json", "text/json", "application/json+fhir", "application/fhir+xml", "application/json-patch+json"),
    *(
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/fhir+json; fhirVersion=4.0",
        "application/octet-stream",
    ),
    *(
        "application/fhir+json; fhirVersion=9.9",
        "application/fhir+json; charset=utf-16",
        "application/fhir+turtle",
        "",
        "x",
        "/",
    ),
    *(
        "application/fhir+json; charset=",
        "multipart/form-data; boundary=x",
        "application/fhir+json;;;",
        "application/merge-patch+json",
    ),
    *(
        "application/fhir+ndjson",
        "application/x-yaml",
        "text/html",
        "APPLICATION/FHIR+JSON",
        "application/fhir+json, text/plain",
    ),
)
OPERATIONS = (
    *(
        "validate",
        "meta",
        "meta-add",
        "meta-delete",
        "convert",
        "expand",
        "lookup",
        "subsumes",
        "validate-code",
        "everything",
    ),
    *("export", "translate", "closure", "x", "", "validate-"),
)
ARGUMENTS = (
    *(
        "resource",
        "mode",
        "profile",
        "url",
        "code",
        "system",
        "version",
        "coding",
        "codeableConcept",
        "display",
        "filter",
        "count",
    ),
    *(
        "offset",
        "valueSet",
        "codeSystem",
        "codeA",
        "codeB",
        "codingA",
        "codingB",
        "property",
        "meta",
        "input",
        "from",
        "to",
        "part",
    ),
    *(
        "activeOnly",
        "includeDesignations",
        "valueSetVersion",
        "inferSystem",
        "displayLanguage",
        "exclude-system",
        "system-version",
        "x",
        "",
    ),
)
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test", "x")
_POINTERS = (
    *(
        "",
        "/",
        "/status",
        "/id",
        "/meta",
        "/meta/tag",
        "/meta/tag/-",
        "/meta/tag/0",
        "/code",
        "/code/coding/0",
        "/code/coding/-1",
    ),
    *(
        "/resourceType",
        "/a~2",
        "/~",
        "status",
        "/text/div",
        "/identifier/-",
        "/identifier/99999999999999999999",
        "/contained/0/id",
    ),
    *("/" + "a/" * 300, "/é", "/\ud800", "/extension/0/url"),
)
_NAMES = (
    "status",
    "code",
    "identifier",
    "extension",
    "text",
    "id",
    "meta",
    "contained",
    "name",
    "x",
    "coding",
    "resourceType",
)
_VALUES = (
    *(
        "valueString",
        "valueCode",
        "valueBoolean",
        "valueInteger",
        "valueDecimal",
        "valueCoding",
        "valueUri",
        "valueCanonical",
    ),
    *(
        "valueReference",
        "valueCodeableConcept",
        "valueIdentifier",
        "valueQuantity",
        "part",
        "resource",
        "valueX",
        "_valueString",
    ),
)
_STEPS = (
    *(
        ".where(true)",
        "[0]",
        ".first()",
        ".extension",
        ".ofType(string)",
        ".repeat(extension)",
        ".descendants()",
        ".children()",
    ),
    *(
        ".where(status = 'active')",
        "[-1]",
        "[99]",
        ".(",
        ".x",
        "..",
        ".as(Quantity)",
        ".resolve()",
        ".matches('(a|a)*b')",
        " | Patient",
    ),
    *(
        ".select(%resource.descendants())",
        ".combine(%resource)",
        ".replaceMatches('', 'xxxxxxxx')",
        " and true",
        ".trace('x')",
    ),
)
_FILTERS = ("=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes", "child-of", "exists", "x")
