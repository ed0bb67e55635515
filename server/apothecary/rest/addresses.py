"""Where somebody probably wanted to go who went to an address that does not exist.

https://hl7.org/fhir/R5/http.html#general
"""

from __future__ import annotations

from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.interactions.service import Service
from apothecary.suggestions import nearest

_LONGEST = 200
# What stands beside the bases.
_BESIDE = ("healthz", "readyz", "metrics")


def meant(service: Service, path: str) -> str | None:
    """The address most like `path` at which there is something; None where none is like it, or `path` is right itself.

    A right address has a base that is served and a resource type that exists; whether a resource is there is not asked.
    """
    if len(path) > _LONGEST or not (path.isascii() and path.isprintable()):
        return None
    parts = [one for one in path.split("/") if one]
    start = next((place for place, one in enumerate(parts) if _is_start(service, parts, place)), None)
    if start is None:
        return _beside(parts)
    base, rest = _base(service, parts[start:])
    if base is None:
        return None
    version, prefix = base
    if rest:
        rest = [_first(service, version, rest[0]), *rest[1:]]
        if rest[1:] and rest[1].casefold() in ("_search", "_history"):
            rest[1] = rest[1].casefold()
    found = "/".join((prefix, *rest))
    return found if found != path.rstrip("/") and _exists(service, version, rest) else None


def _is_start(service: Service, parts: list[str], place: int) -> bool:
    """Whether the address of something served may begin at `place`."""
    one = parts[place].casefold()
    return one == "fhir" or _release(one) is not None or (place < 2 and _type(service, parts[place]) is not None)


def _base(service: Service, parts: list[str]) -> tuple[tuple[FhirVersion, str] | None, list[str]]:
    """The base that the parts begin with, and what follows it."""
    rest = parts[1:] if parts[0].casefold() == "fhir" else parts
    release = _release(rest[0]) if rest else None
    if release is None:
        return (service.settings.fhir_version, "/fhir"), rest
    # A release without a base has no address.
    return ((release, f"/fhir/{release.segment}") if release in service.registries else None), rest[1:]


def _release(part: str) -> FhirVersion | None:
    """The release that a segment names: `R4`, `4.0`, `baseR4`, `dstu5` does not."""
    return parse_version(part.casefold().removeprefix("base").removeprefix("fhir"))


def _first(service: Service, version: FhirVersion, part: str) -> str:
    """What follows a base: a type, `metadata`, `_history`, or as it is."""
    if part.startswith("$"):
        return part
    names = (*service.registries[version].types, "metadata", "_history", "_search")
    return nearest(part, names) or part


def _type(service: Service, part: str) -> str | None:
    """The resource type that a segment names, but for its case, in any release that is served."""
    names = {one.casefold(): one for registry in service.registries.values() for one in registry.types}
    return names.get(part.casefold()) or ("metadata" if part.casefold() == "metadata" else None)


def _exists(service: Service, version: FhirVersion, rest: list[str]) -> bool:
    if not rest:
        return True
    served = service.registries[version].serves(rest[0])
    return served or (len(rest) == 1 and (rest[0] in ("metadata", "_history") or rest[0].startswith("$")))


def _beside(parts: list[str]) -> str | None:
    name = nearest(parts[0], _BESIDE) if len(parts) == 1 else None
    return f"/{name}" if name else None
