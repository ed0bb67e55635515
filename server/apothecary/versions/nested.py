"""Resources inside resources, and those whose type the other release does not have: https://hl7.org/fhir/R5/basic.html.

HL7's cross-version packages write such a resource as Basic: its type in `code`, `identifier` and a single `subject` in
Basic's elements of these names, all else in cross-version extensions, and the name of the profile that says so in
`meta.profile`. https://hl7.org/fhir/uv/xver-r5.r4/0.1.0/StructureDefinition-profile-ClinicalUseDefinition.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.carry import add_items, decode, encode, items_of
from apothecary.versions.direction import Direction
from apothecary.versions.run import Run

_TYPES = "http://hl7.org/fhir/fhir-types"
# What Basic has in common with every other type (https://hl7.org/fhir/R5/domainresource.html).
_COMMON = frozenset(
    {
        "id",
        "meta",
        "implicitRules",
        "language",
        "text",
        "contained",
        "extension",
        "modifierExtension",
        "_implicitRules",
        "_language",
    }
)


def convert_nested(run: Run, resource: JSON) -> JSON:
    """`resource` in the target release; as Basic when its type is not there, and back from Basic when it is again."""
    if not ("contained" in resource or resource.get("resourceType") == "Bundle"):
        return _convert(run, resource)
    around = run.links
    run.links = {**around, **_links(resource, run.direction)}
    try:
        return _convert(run, resource)
    finally:
        run.links = around


def _links(resource: JSON, direction: Direction) -> dict[str, str]:
    """The types of the entries and of the contained resources, by what references to them say."""
    listed = [(f"#{one.get('id')}", one) for one in resource.get("contained", ())]
    if resource.get("resourceType") == "Bundle":
        listed += [(one.get("fullUrl"), one["resource"]) for one in resource.get("entry", ()) if "resource" in one]
    return {link: _restored(one, direction) or one["resourceType"] for link, one in listed if link is not None}


def _convert(run: Run, resource: JSON) -> JSON:
    direction = run.direction
    name = resource.get("resourceType", "")
    if not direction.source.is_resource_type(name):
        return resource
    if not direction.target.is_resource_type(name):
        run.note(name, f"{direction.target.version.number} has no such resource, so it is written as Basic")
        return _to_basic(name, resource, run)
    if name == "Basic":
        whole = _from_basic(resource, run)
        if whole is not None:
            return whole
    return run.structure(name, name, resource)


def _to_basic(name: str, resource: JSON, run: Run) -> JSON:
    direction = run.direction
    basic = {key: value for key, value in resource.items() if key in _COMMON}
    properties = direction.source.structure(name).properties
    kept = _kept(resource, properties)
    basic = run.structure("Basic", "Basic", {"resourceType": "Basic", **basic, **kept})
    meta = basic.get("meta", {})
    basic["meta"] = {**meta, "profile": [*meta.get("profile", ()), _profile(direction.our_url(""), name)]}
    basic["code"] = {"coding": [{"system": _TYPES, "code": name}]}
    carried: list[JSON] = []
    for key, value in resource.items():
        if key in _COMMON or key in kept or key == "resourceType" or (key[0] == "_" and key[1:] in resource):
            continue
        found = properties.get(key.removeprefix("_"))
        if found is None:
            basic[key] = value
            continue
        url = direction.our_url(found.element.path.removesuffix("[x]"))
        carried.extend(encode(run, url, found, item, beside) for item, beside in items_of(resource, found))
    if carried:
        basic["extension"] = [*basic.get("extension", ()), *carried]
    order = {key: place for place, key in enumerate(direction.target.structure("Basic").properties, 1)}
    return dict(sorted(basic.items(), key=lambda item: order.get(item[0].removeprefix("_"), 0)))


def _kept(resource: JSON, properties: Mapping[str, Property]) -> JSON:
    """What Basic has an element for: the identifiers, and the subject where there is one."""
    kept: JSON = {}
    identifier, subject = properties.get("identifier"), properties.get("subject")
    if identifier is not None and identifier.type == "Identifier" and "identifier" in resource:
        found = resource["identifier"]
        kept["identifier"] = found if isinstance(found, list) else [found]
    if subject is not None and subject.type == "Reference" and "subject" in resource:
        found = resource["subject"] if isinstance(resource["subject"], list) else [resource["subject"]]
        if len(found) == 1:
            kept["subject"] = found[0]
    return kept


def _profile(prefix: str, name: str) -> str:
    """The profile of Basic that stands for a type of another release; `prefix` is that of its extensions."""
    return f"{prefix.removesuffix('extension-')}profile-{name}"


def _restored(basic: JSON, direction: Direction) -> str | None:
    """The type that a Basic stands for and becomes in the target; None for any other resource."""
    codings: Sequence[JSON] = basic.get("code", {}).get("coding", ()) if basic.get("resourceType") == "Basic" else ()
    name = codings[0].get("code") if len(codings) == 1 and codings[0].get("system") == _TYPES else None
    if name is None or direction.source.is_resource_type(name) or not direction.target.is_resource_type(name):
        return None
    return str(name)


def _unclaimed(basic: JSON, profile: str) -> JSON:
    """`basic` without the claim of that profile."""
    meta: JSON = basic.get("meta", {})
    if profile not in meta.get("profile", ()):
        return basic
    left = [one for one in meta["profile"] if one != profile]
    meta = {key: value for key, value in meta.items() if key != "profile"} | ({"profile": left} if left else {})
    return {key: (meta if key == "meta" else value) for key, value in basic.items() if key != "meta" or meta}


def _from_basic(basic: JSON, run: Run) -> JSON | None:
    direction, name = run.direction, _restored(basic, run.direction)
    if name is None:
        return None
    structure = direction.target.structure(name)
    elements = {direction.their_url(element.path.removesuffix("[x]")): element for element in structure.elements}
    rest: list[JSON] = []
    carried: list[JSON] = []
    for extension in basic.get("extension", ()):
        (carried if extension.get("url") in elements else rest).append(extension)
    common = {key: value for key, value in basic.items() if key not in ("extension", "code")}
    if rest:
        common["extension"] = rest
    resource = run.structure("Basic", "Basic", _unclaimed(common, _profile(direction.their_url(""), name)))
    resource.pop("code", None)
    resource.pop("_code", None)
    resource["resourceType"] = name
    for key in ("identifier", "subject"):
        found = structure.properties.get(key)
        if found is not None and key in resource and found.element.is_list != isinstance(resource[key], list):
            resource[key] = [resource[key]] if found.element.is_list else resource[key][0]
    for extension in carried:
        path = elements[extension["url"]].path
        candidates = [one for one in structure.properties.values() if one.element.path == path]
        decoded = decode(run, extension, candidates)
        if decoded is not None:
            found, value, companion = decoded
            add_items(resource, found, [(value, companion)])
    order = {key: place for place, key in enumerate(structure.properties, 1)}
    return dict(sorted(resource.items(), key=lambda item: order.get(item[0].removeprefix("_"), 0)))
