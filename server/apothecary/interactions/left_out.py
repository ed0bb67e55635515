"""What a search or a history finds that its FHIR version has no type for: it is counted, and the answer says where it
is. https://hl7.org/fhir/R5/versioning.html#mt-version
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from apothecary.errors import FhirError, Issue
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.bundle import address
from apothecary.interactions.forms import APPROXIMATE
from apothecary.interactions.service import Service
from apothecary.search import control
from apothecary.search.context import Context
from apothecary.search.parser import parse
from apothecary.search.query import Search

Pairs = Sequence[tuple[str, str]]
# A link that names single resources names no more than these.
_NAMED = 20


def types(service: Service, version: FhirVersion) -> tuple[str, ...]:
    """The types that are served, but not in `version`: R5 has all of them."""
    registry = service.registry(version)
    return tuple(one for one in service.registry(FhirVersion.R5).types if not registry.serves(one))


def base_of_all(base: str, version: FhirVersion) -> str:
    """The base of R5, where all that is stored can be had; `base` is one of `version`."""
    root, _, last = base.rpartition("/")
    return f"{root if last == version.segment else base}/{FhirVersion.R5.segment}"


def of_includes(version: FhirVersion, base: str, keys: Sequence[tuple[str, str]]) -> list[Issue]:
    """What is told of resources that the includes lead to."""
    if not keys:
        return []
    newest = base_of_all(base, version)
    by_type: dict[str, list[str]] = {}
    for kind, identity in sorted(keys):
        by_type.setdefault(kind, []).append(identity)
    places = [address(newest, kind, [("_id", ",".join(ids[:_NAMED]))]) for kind, ids in by_type.items()]
    return [_issue(version, {kind: len(ids) for kind, ids in by_type.items()}, places, "_include")]


def of_search(service: Service, version: FhirVersion, base: str, context: Context, found: Search) -> list[Issue]:
    """What is told of the matches of a search over the system, on its first page. `context` is that of R5."""
    asked = [pair for pair in found.applied if not control.concerns(pair[0])]
    if version is FhirVersion.R5 or found.query.cursor is not None or any(name == "_type" for name, _ in asked):
        return []
    lacking = set(types(service, version))
    counts: Counter[str] = Counter()
    for kind in service.reader.types() if lacking else ():
        if kind in lacking:
            try:
                query = parse(context._replace(types=(kind,), strict=True), asked).query
            except FhirError:
                continue  # the type has no such parameter, so nothing of it matches
            counts[kind] = service.reader.count(query)
    counts = +counts
    if not counts:
        return []
    newest = base_of_all(base, version)
    return [_issue(version, counts, [address(newest, kind, asked) for kind in counts], "_type")]


def of_history(version: FhirVersion, base: str, count: int, pairs: Pairs) -> tuple[dict[str, str], str] | None:
    """What is told of `count` versions that a history leaves out: a tag of its Bundle, and where they are.

    In R4 and R4B a history has no place for an OperationOutcome (bdl-3).
    """
    if not count:
        return None
    place = address(base_of_all(base, version), "_history", pairs)
    tag = {
        "system": APPROXIMATE["system"],
        "code": "left-out",
        "display": f"{count} more versions are of types that {version} does not have; they are at {place}",
    }
    return tag, place


def hidden(text: str) -> dict[str, str]:
    """The tag of a Bundle whose answer was narrowed to what a client may see; a history has no place to say it else."""
    return {"system": APPROXIMATE["system"], "code": "suppressed", "display": text}


def _issue(version: FhirVersion, counts: Mapping[str, int], places: Sequence[str], name: str) -> Issue:
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return Issue(
        "warning",
        "incomplete",
        f"{said} left out: FHIR {version} has no such type",
        (name,),
        remedy=f"See {' and '.join(places)}.",
    )
