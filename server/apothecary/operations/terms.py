"""What the terminology operations have in common: https://hl7.org/fhir/R5/terminology-service.html"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from apothecary.errors import BadRequest, NotSupported
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.terminology import CodeSystem
from apothecary.interactions.forms import canonical
from apothecary.interactions.read import read
from apothecary.interactions.terminology import Held, held
from apothecary.operations.base import Call


class Code(NamedTuple):
    """A code to be looked at; `system` is None where the call does not say it."""

    system: str | None
    code: str
    display: str | None = None


def holdings(call: Call) -> Held:
    """The value sets and code systems that a call sees."""
    return held(call.service, call.version, call.base)


def refuse_others(call: Call, taken: Collection[str]) -> None:
    """Raises NotSupported for a parameter that would change the answer and is not known here."""
    for name in (*(name for name, _ in call.pairs), *(str(one.get("name")) for one in call.listed)):
        if name not in taken:
            raise NotSupported(
                f"{name}: this parameter is not known here; those are {', '.join(sorted(taken))}", expression=name
            )


def flag(call: Call, name: str) -> bool:
    """A boolean parameter, false where it is absent."""
    value = call.parameter(name)
    if value in (None, False, "false"):
        return False
    if value in (True, "true"):
        return True
    raise BadRequest(f"{name}={value}: write true or false", expression=name, code="value")


def number(call: Call, name: str) -> int | None:
    """A whole number from 0, None where it is absent."""
    value = call.parameter(name)
    text = str(value)
    if value is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"{name}={value}: write a whole number from 0", expression=name, code="value")
    return int(text)


def instance(call: Call) -> JSON | None:
    """The resource that the operation is called on, in R5; None where it is called on a type."""
    if call.resource_type is None or call.resource_id is None:
        return None
    stored = read(call.service, call.version, call.resource_type, call.resource_id)
    return canonical(parse(stored.body or b""), FhirVersion(stored.fhir_version))


def coding(value: Any, name: str) -> Code:
    """A Coding. Raises BadRequest where it has no code."""
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        raise BadRequest(f"{name} is a Coding with a code", expression=name, code="value")
    return Code(value.get("system"), value["code"], value.get("display"))


def required_system(call: Call, given: str | None) -> str:
    """The code system's URL: given with the code, by the parameters `url` or `system`, or by the instance."""
    found = given or call.parameter("url") or call.parameter("system")
    if found is None and call.resource_id is not None:
        found = (instance(call) or {}).get("url")
    if not isinstance(found, str):
        raise BadRequest("the code system is missing", expression="system", code="required")
    version = call.parameter("version")
    return f"{found}|{version}" if version is not None and call.resource_type == "CodeSystem" else found


def parameters(*items: tuple[str, str, Any]) -> JSON:
    """A Parameters resource of (name, type suffix, value); a list is parts, None is left out."""
    return {"resourceType": "Parameters", "parameter": [_item(*one) for one in items if one[2] is not None]}


def _item(name: str, kind: str, value: Any) -> JSON:
    if kind == "part":
        return {"name": name, "part": [_item(*one) for one in value if one[2] is not None]}
    return {"name": name, f"value{kind}": value}


def properties(system: CodeSystem, code: str) -> Mapping[str, tuple[str, ...]]:
    """What a code system says of a code, its place in the hierarchy included."""
    found = {name: values[code] for name, values in system.properties.items() if code in values}
    hierarchy = {"parent": system.parents.get(code, ()), "child": system.children.get(code, ())}
    return found | {name: codes for name, codes in hierarchy.items() if codes}
