"""What the terminology operations have in common: https://hl7.org/fhir/R5/terminology-service.html"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from apothecary.errors import BadRequest, UnknownTerminology
from apothecary.fhir.json import JSON
from apothecary.fhir.references import split_canonical
from apothecary.interactions.forms import canonical
from apothecary.interactions.read import read
from apothecary.interactions.terminology import Held, held
from apothecary.operations.arguments import alone, with_
from apothecary.operations.base import Argument, Call
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Members
from apothecary.terminology.languages import Languages
from apothecary.terminology.problems import not_found
from apothecary.terminology.resolver import Resolver, Versions
from apothecary.terminology.validation import Coding
from apothecary.terminology.versions import by_url

# What every terminology operation takes. `cache-id` is a promise that servers may keep: this one has nothing to gain.
COMMON = (
    Argument("displayLanguage", "code", "The languages of displays, best first."),
    Argument(
        "system-version", "canonical", "The version of a code system where none is named: url|version.", repeats=True
    ),
    Argument("check-system-version", "canonical", "The version of a code system that must be found.", repeats=True),
    Argument(
        "force-system-version",
        "canonical",
        "The version of a code system that counts, whatever is named.",
        repeats=True,
    ),
    Argument("default-valueset-version", "canonical", "The version of a value set where none is named.", repeats=True),
    Argument("check-valueset-version", "canonical", "The version of a value set that must be found.", repeats=True),
    Argument(
        "force-valueset-version",
        "canonical",
        "The version of a value set that counts, whatever is named.",
        repeats=True,
    ),
    Argument("useSupplement", "canonical", "A supplement to use.", repeats=True),
    Argument("tx-resource", "Resource", "A CodeSystem or ValueSet that goes along with the request.", repeats=True),
    Argument("cache-id", "id", "Taken and ignored."),
    Argument("x-system-cache-id", "id", "Taken and ignored."),
)
# Resources that a request may bring along.
_MOST_GIVEN = 1000
# Codings of one concept; each may be of a code system that is to be looked up.
_MOST_CODINGS = 1000
_BROUGHT = ("CodeSystem", "ValueSet", "ConceptMap")


class Terms:
    """What one call sees: the value sets and code systems that are held, and what it says of them itself."""

    def __init__(self, call: Call) -> None:
        self.call = call

    @cached_property
    def held(self) -> Held:
        return held(self.call.service, self.call.version, self.call.base)

    @cached_property
    def compiler(self) -> Compiler:
        """Raises UnknownTerminology where a supplement is not held."""
        given = [canonical(one, self.call.version) for one in brought(self.call)]
        return self.held.asked_with(
            given, self._versions("system"), self._versions("valueset"), self.texts("useSupplement")
        )

    @property
    def resolver(self) -> Resolver:
        return self.compiler.resolver

    def _versions(self, kind: str) -> Versions:
        default = "system-version" if kind == "system" else "default-valueset-version"
        named = (default, f"check-{kind}-version", f"force-{kind}-version")
        for name in named:
            for one in self.texts(name):
                if not all(split_canonical(one)):
                    raise BadRequest(f"{name}={one}: write url|version", expression=name, code="value")
        return Versions(*(by_url(self.texts(name)) for name in named))

    def texts(self, name: str) -> tuple[str, ...]:
        """A parameter of text that may repeat."""
        found = self.call.values(name)
        for one in found:
            if not isinstance(one, str):
                raise BadRequest(f"{name} is text", expression=name, code="value")
        return tuple(found)

    @cached_property
    def languages(self) -> Languages | None:
        """The languages that the request asks for, by its parameter or its header."""
        found = text(self.call, "displayLanguage")
        if found is not None:
            return Languages.parse(found)
        header = self.call.accept_language
        if header is None:
            return None
        try:
            return Languages.parse(header, "Accept-Language")
        except BadRequest:
            # A header that proxies and browsers write is none of the caller's concern.
            return None

    # -- what a call is about

    def members(self) -> tuple[Members, JSON]:
        """The value set of a call and its resource: the instance, `valueSet`, or `url`. Raises NotFound where it is not
        held, BadRequest where none is named.
        """
        call = self.call
        alone(call, "url", "valueSet")
        with_(call, "valueSetVersion", "url")
        given = call.parameter("valueSet")
        if call.resource_id is not None and (given is not None or call.parameter("url") is not None):
            raise BadRequest("the value set is the one that was called", expression="url", code="value")
        if isinstance(given, dict):
            resource = canonical(given, call.version)
            # Its id says nothing to anybody: it is of the request.
            return self.compiler.resource({k: v for k, v in resource.items() if k != "id"}), resource
        if given is not None:
            raise BadRequest("valueSet is a ValueSet resource", expression="valueSet", code="value")
        if call.resource_id is not None:
            resource = self.held.instance_set(call.resource_id, lambda: instance(call))
            return self.compiler.kept(f"ValueSet/{call.resource_id}", resource), resource
        url = text(call, "url")
        if url is None:
            raise BadRequest("the value set is missing", expression="url", code="required", remedy="Write url=...")
        version = text(call, "valueSetVersion")
        name = url if version is None or "|" in url else f"{url}|{version}"
        try:
            members = self.compiler.named(name)
        except UnknownTerminology as error:
            raise not_found(error) if error.issues[0].message == _NO_SUCH_SET else error from None
        return members, dict(members.resource) or {"url": members.name}

    def code_system(self, given: str | None = None, version: str | None = None) -> CodeSystem:
        """The code system of a call: the instance, or the one whose url is given. Raises UnknownTerminology."""
        call = self.call
        if call.resource_id is not None:
            own = self.instance_system()
            if given not in (None, own.url) or (version is not None and version != own.version):
                raise BadRequest(
                    f"the code is of {given or own.url}|{version or ''}, not of {own.canonical}, which was called",
                    expression="system",
                    code="value",
                )
            return own
        found = given or text(call, "url") or text(call, "system")
        if found is None:
            raise BadRequest("the code system is missing", expression="system", code="required")
        url, named = split_canonical(found)
        return self.resolver.code_system(url, version or named or text(call, "version"))

    def instance_system(self) -> CodeSystem:
        """The code system that the operation is called on, with the supplements that were asked for."""
        own = self.held.instance_system(str(self.call.resource_id), lambda: instance(self.call))
        return self.resolver.laid_over(own, self.resolver.wanted)


_NO_SUCH_SET = "Unable_to_resolve_value_Set_"


def resources(call: Call, name: str) -> list[JSON]:
    """The resources that a parameter holds. Raises BadRequest for anything else, and for too many."""
    found = call.values(name)
    if len(found) > _MOST_GIVEN:
        raise BadRequest(f"{name}: at most {_MOST_GIVEN} resources", expression=name, code="too-long")
    for one in found:
        if not isinstance(one, dict) or "resourceType" not in one:
            raise BadRequest(f"{name} is a resource", expression=name, code="value")
    return found


def brought(call: Call) -> list[JSON]:
    """The resources that go along with a request. Raises BadRequest for those that it could not refer to."""
    found = resources(call, "tx-resource")
    for one in found:
        kind, url = one.get("resourceType"), one.get("url")
        if kind not in _BROUGHT:
            raise BadRequest(f"tx-resource: {kind} is none of {', '.join(_BROUGHT)}", expression="tx-resource")
        if not isinstance(url, str) and (kind != "ConceptMap" or url is not None):
            raise BadRequest(f"tx-resource: a {kind} without a url is meant by nothing", expression="tx-resource")
    return found


def text(call: Call, name: str) -> str | None:
    """A parameter of text, None where it is absent or empty."""
    value = call.parameter(name)
    if value is None or isinstance(value, str):
        return value or None
    raise BadRequest(f"{name} is text", expression=name, code="value")


def flag(call: Call, name: str, *, default: bool = False) -> bool:
    """A boolean parameter."""
    value = call.parameter(name)
    if value is None:
        return default
    if value in (False, "false"):
        return False
    if value in (True, "true"):
        return True
    raise BadRequest(f"{name}={value}: write true or false", expression=name, code="value")


def number(call: Call, name: str) -> int | None:
    """A whole number from 0, None where it is absent."""
    value = call.parameter(name)
    written = str(value)
    if value is None:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 10):
        raise BadRequest(f"{name}={value}: write a whole number from 0", expression=name, code="value")
    return int(written)


def instance(call: Call) -> bytes:
    """The resource that the operation is called on. What is read of it is written alike in all releases. Raises
    NotFound and Gone.
    """
    return read(call.service, call.version, str(call.resource_type), str(call.resource_id)).body or b""


def coding(value: Any, name: str) -> Coding:
    """A Coding. Raises BadRequest where it has no code."""
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        raise BadRequest(f"{name} is a Coding with a code", expression=name, code="value")
    parts = [value.get(one) for one in ("system", "display", "version")]
    if not all(isinstance(one, str | None) for one in parts):
        raise BadRequest(f"{name}: system, display and version are text", expression=name, code="value")
    system, display, version = parts
    return Coding(system, value["code"], display, version)


def concept(value: Any, name: str) -> list[Coding]:
    """The codings of a CodeableConcept. Raises BadRequest where there are too many, or one has no code."""
    listed = value.get("coding", []) if isinstance(value, dict) else None
    if not isinstance(listed, list):
        raise BadRequest(f"{name} is a CodeableConcept", expression=name, code="value")
    if len(listed) > _MOST_CODINGS:
        raise BadRequest(
            f"{name} has {len(listed)} codings, at most {_MOST_CODINGS} are looked at", expression=name, code="too-long"
        )
    return [coding(one, f"{name}.coding") for one in listed]


def parameters(*items: tuple[str, str, Any]) -> JSON:
    """A Parameters resource of (name, type suffix, value); a list is parts, None is left out."""
    return {"resourceType": "Parameters", "parameter": [item(*one) for one in items if one[2] is not None]}


def item(name: str, kind: str, value: Any) -> JSON:
    """One parameter."""
    if kind == "part":
        return {"name": name, "part": [item(*one) for one in value if one[2] is not None]}
    if kind == "resource":
        return {"name": name, "resource": value}
    return {"name": name, f"value{kind}": value}
