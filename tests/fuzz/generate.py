"""Every kind of request, made by chance: request number n of a seed is always the same one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from apothecary.fhir.releases import FhirVersion
from tests.fuzz.bodies import ARGUMENTS, MEDIA_TYPES, OPERATIONS, Bodies
from tests.fuzz.dice import dice_for
from tests.fuzz.material import Material
from tests.fuzz.mutate import damaged, deep, encoded, odd_text
from tests.fuzz.wire import Request
from tests.fuzz.words import ODD, identity, text

FORM = "application/x-www-form-urlencoded"


def request(material: Material, seed: int, number: int) -> Request:
    """Request `number` of the run with `seed`."""
    return Maker(material, seed, number).make()


class Maker:
    """Makes one request."""

    def __init__(self, material: Material, seed: int, number: int) -> None:
        self.dice = dice_for(seed, number)
        self.material = material
        self.version = self.dice.choice((FhirVersion.R5, FhirVersion.R5, FhirVersion.R4, FhirVersion.R4B))
        self.bodies = Bodies(self.dice, material, self.version)
        self.queries = self.bodies.queries
        self.base = f"/fhir/{self.version.segment}"
        self.headers: list[tuple[str, str]] = []
        if self.version is FhirVersion.R5 and self.dice.chance(0.2):
            self.base = "/fhir"
        self.kind = material.kind(self.dice, self.version)
        self.id = identity(self.dice)
        self.chunked = False

    def make(self) -> Request:
        """The request."""
        ways: tuple[tuple[float, Callable[[], Request]], ...] = (
            (20, self.search),
            (14, self.update),
            (9, self.create),
            (9, self.bundle),
            (9, self.operation),
            (6, self.json_patch),
            (6, self.fhirpath_patch),
            (6, self.read),
            (4, self.history),
            (4, self.conditional),
            (3, self.delete),
            (3, self.posted_search),
            (3, self.compartment),
            (2, self.system),
            (2, self.beside),
            (3, self.nothing),
        )
        (way,) = self.dice.choices([way for _, way in ways], [weight for weight, _ in ways])
        return replace(way(), about=way.__name__)

    # -- one kind of request each

    def search(self) -> Request:
        return self.done("GET", self.kind, self.queries.search(self.kind))

    def posted_search(self) -> Request:
        body = self.queries.search(self.kind).encode("utf-8", "surrogatepass")
        if self.dice.chance(0.1):
            body = damaged(self.dice, body)
        query = self.queries.search(self.kind) if self.dice.chance(0.2) else ""
        return self.done("POST", f"{self.kind}/_search", query, body, FORM)

    def compartment(self) -> Request:
        name = self.dice.choice(("Patient", "Encounter", "Device", "Practitioner", "RelatedPerson", self.kind))
        inside = self.dice.choice((self.kind, "*", "_search", "x"))
        if self.dice.chance(0.3):
            body = self.queries.search(self.kind).encode("utf-8", "surrogatepass")
            return self.done("POST", f"{name}/{self.id}/{inside}/_search", "", body, FORM)
        return self.done("GET", f"{name}/{self.id}/{inside}", self.queries.search(self.kind))

    def system(self) -> Request:
        query = self.queries.search(self.kind)
        if self.dice.chance(0.3):
            return self.done("POST", "_search", "", query.encode("utf-8", "surrogatepass"), FORM)
        return self.done("GET", "", query)

    def read(self) -> Request:
        path = f"{self.kind}/{self.id}"
        if self.dice.chance(0.3):
            path += f"/_history/{self.dice.choice(('1', '2', '0', '-1', '99', 'x', '1' * 30, '', text(self.dice)))}"
        query = self.queries.encoded([self.queries.control(self.kind)]) if self.dice.chance(0.4) else ""
        return self.done(self.dice.choice(("GET", "GET", "HEAD")), path, query)

    def history(self) -> Request:
        path = self.dice.choice((f"{self.kind}/{self.id}/_history", f"{self.kind}/_history", "_history"))
        return self.done("GET", path, self.queries.history())

    def create(self) -> Request:
        if self.dice.chance(0.15):
            self.header("If-None-Exist", self.queries.search(self.kind))
        if self.kind == "Binary" and self.dice.chance(0.5):
            return self.done(
                "POST", "Binary", "", odd_text(self.dice), self.dice.choice((*MEDIA_TYPES, "application/pdf"))
            )
        return self.sent("POST", self.kind, self.bodies.resource(self.kind))

    def update(self) -> Request:
        resource = self.bodies.resource(self.kind, self.id)
        return self.sent("PUT", f"{self.kind}/{self.id}", resource)

    def conditional(self) -> Request:
        method = self.dice.choice(("PUT", "PATCH", "DELETE"))
        query = self.queries.search(self.kind) if self.dice.chance(0.4) else f"_id={self.id}"
        if method == "PUT":
            return self.sent(method, self.kind, self.bodies.resource(self.kind), query)
        if method == "PATCH":
            return self.sent(method, self.kind, self.bodies.fhirpath_patch(self.kind), query)
        return self.done(method, self.kind, query)

    def delete(self) -> Request:
        return self.done("DELETE", f"{self.kind}/{self.id}")

    def json_patch(self) -> Request:
        content, _ = self.bodies.written(self.bodies.json_patch())
        kind = "application/json-patch+json" if self.dice.chance(0.9) else "application/json"
        return self.done("PATCH", f"{self.kind}/{self.id}", "", content, kind)

    def fhirpath_patch(self) -> Request:
        return self.sent("PATCH", f"{self.kind}/{self.id}", self.bodies.fhirpath_patch(self.kind))

    def bundle(self) -> Request:
        return self.sent("POST", "", self.bodies.bundle())

    def operation(self) -> Request:
        name = self.dice.choice(OPERATIONS[:9] if self.dice.chance(0.9) else OPERATIONS)
        if name in ("expand", "lookup", "subsumes", "validate-code"):
            self.kind = self.dice.choice(("ValueSet", "CodeSystem", "ConceptMap"))
        levels = ("", "{kind}/", "{kind}/{id}/") if self.dice.chance(0.4) else _LEVELS.get(name, ("",))
        level = self.dice.choice(levels).format(kind=self.kind, id=self.id)
        path = f"{level}${name}"
        pairs = [(self.dice.choice(ARGUMENTS), text(self.dice)) for _ in range(self.dice.few(4))]
        query = self.queries.encoded(pairs) if self.dice.chance(0.5) else ""
        if self.dice.chance(0.35):
            return self.done("GET", path, query)
        if name == "expand" and self.dice.chance(0.6):
            return self.sent("POST", path, self.bodies.value_set(), query)
        if name in ("validate", "convert") and self.dice.chance(0.6):
            return self.sent("POST", path, self.bodies.resource(self.kind), query)
        return self.sent("POST", path, self.bodies.call(self.kind, name), query)

    def beside(self) -> Request:
        paths = (
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            f"{self.base}/openapi.json",
            f"{self.base}/metadata",
        )
        target = self.dice.choice(
            (*paths, "/favicon.ico", "//", "/fhir/", "/fhir/r3", "/fhir//r5", "/.well-known/smart-configuration", "*")
        )
        method = self.dice.choice(("GET", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))
        query = self.queries.search(self.kind) if self.dice.chance(0.3) else ""
        return self.finished(method, target, query, b"")

    def nothing(self) -> Request:
        """Any method at any address with any body."""
        method = self.dice.choice(
            ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "x", "get")
        )
        parts = (self.kind, self.id, "_history", "$validate", "_search", "metadata", "x", "", "1")
        path = "/".join(self.dice.choice(parts) for _ in range(self.dice.few(6)))
        body = self.dice.choice((b"", odd_text(self.dice), deep(self.dice)))
        return self.done(method, path, "", body, self.dice.choice(MEDIA_TYPES))

    # -- what all of them do

    def header(self, name: str, value: str) -> None:
        """A header, as far as one can be made of it: no line ends, and bytes beyond ASCII as UTF-8."""
        found = value.encode("utf-8", "surrogatepass").decode("latin-1")
        self.headers.append(
            (name, "".join(one for one in found if one == "\t" or (one >= " " and one != "\x7f")).strip())
        )

    def sent(self, method: str, path: str, value: object, query: str = "") -> Request:
        """A request with a JSON or XML body."""
        if self.dice.chance(0.02):
            return self.done(method, path, query, deep(self.dice), "application/fhir+json")
        if self.dice.chance(0.02):
            return self.done(method, path, query, odd_text(self.dice), "application/fhir+json")
        content, kind = self.bodies.written(value)
        return self.done(method, path, query, content, kind)

    def done(self, method: str, path: str, query: str = "", body: bytes = b"", kind: str | None = None) -> Request:
        """A request at an address below the base."""
        path = quote(path.encode("utf-8", "surrogatepass"), "/$*_")
        if self.dice.chance(0.02):
            place = self.dice.randint(0, len(path))
            path = path[:place] + self.dice.choice(("%", "%00", "%ff", "%2f", "//", "/../", "%0a", ";x")) + path[place:]
        if kind is not None and self.dice.chance(0.98):
            self.header("Content-Type", kind)
        return self.finished(method, f"{self.base}/{path}" if path else self.base, query, body)

    def finished(self, method: str, target: str, query: str, body: bytes) -> Request:
        if body and self.dice.chance(0.04):
            body, coding = encoded(self.dice, body)
            if coding is not None:
                self.header("Content-Encoding", coding)
        for name, share, values in _HEADERS:
            if self.dice.chance(share):
                self.header(name, self.dice.choice(values) if self.dice.chance(0.9) else text(self.dice))
        chunked = bool(body) and self.dice.chance(0.05)
        if query:
            target += f"?{query}"
        # What is no byte of an address would end the request line.
        target = "".join(one if "!" <= one <= "~" else quote(one) for one in target)
        # More than an address can be is refused before the server sees it.
        return Request(method, target[:60_000], tuple(self.headers), body, chunked)


_INSTANCE = ("{kind}/{id}/",)
_TYPE = ("{kind}/", "{kind}/{id}/")
_LEVELS = {
    **dict.fromkeys(("meta-add", "meta-delete"), _INSTANCE),
    **dict.fromkeys(("expand",), ("ValueSet/", "ValueSet/{id}/")),
    **dict.fromkeys(("lookup", "subsumes"), ("CodeSystem/", "CodeSystem/{id}/")),
    **dict.fromkeys(("validate-code",), ("CodeSystem/", "ValueSet/", "CodeSystem/{id}/", "ValueSet/{id}/")),
    **dict.fromkeys(("validate", "meta", "convert"), ("", *_TYPE)),
}
_AGENTS = ("curl/8.5.0", "Mozilla/5.0", "x")
_HEADERS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    (
        "Accept",
        0.15,
        (
            *MEDIA_TYPES,
            "*/*",
            *["application/fhir+json"] * 20,
            "text/html",
            "application/fhir+json;q=0.1,*/*;q=0",
            "application/fhir+json; fhirVersion=4.0",
            ",,,",
            "a" * 3000,
        ),
    ),
    ("Accept-Encoding", 0.1, ("gzip", "gzip;q=0", "*", "identity;q=0", "br, gzip;q=x", "")),
    (
        "Prefer",
        0.2,
        (
            "handling=strict",
            "handling=strict",
            "handling=lenient",
            "return=minimal",
            "return=OperationOutcome",
            "return=representation",
            "respond-async",
            '="',
            "return=x;handling=strict",
            ",,;=",
        ),
    ),
    ("If-Match", 0.06, ('W/"1"', '"1"', "*", 'W/"x"', "1", 'W/"1", W/"2"', "")),
    ("If-None-Match", 0.06, ('W/"1"', "*", '"1"', "x", "")),
    (
        "If-Modified-Since",
        0.04,
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "x", "Mon, 01 Jan 0001 00:00:00 GMT", "-1"),
    ),
    ("User-Agent", 0.1, _AGENTS),
    ("X-Request-Id", 0.05, ("1", "a" * 300, "é", "")),
    ("Origin", 0.03, ("http://localhost", "http://evil.example", "null", "x", "http://localhost:8080")),
    ("Host", 0.02, ("localhost", "127.0.0.1", "evil.example", "localhost:99999", "[::1]", "a" * 300, "x y")),
    ("X-Forwarded-Host", 0.02, ("evil.example", "[", "a,b")),
    ("Forwarded", 0.02, ('host="x";proto=https', "for=", ";;;")),
    ("X-Security-Context", 0.02, ("Patient/f1", "x", "é")),
    ("Cookie", 0.02, ("apothecary-position=0/0", "apothecary-position=x", ";;;", "=")),
    ("Range", 0.02, ("bytes=0-1", "x")),
    ("Expect", 0.005, ("x",)),
    ("X-HTTP-Method-Override", 0.01, ("DELETE", "x")),
    ("Content-Language", 0.01, ODD[9:12]),
)
