"""What a search probably meant by a name that it does not know: https://hl7.org/fhir/R5/search.html#errors

Worked out only when something is wrong: nothing here is on the way of a search that is understood.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.search import keys
from apothecary.search.parameter import SearchParameter, standard_parameters, unserved
from apothecary.search.parameters import Registry
from apothecary.suggestions import did_you_mean

# Parameters that every search takes besides those of its types.
COMMON = (
    *("_count", "_sort", "_total", "_summary", "_elements", "_score", "_maxresults", "_explain", "_type", "_format"),
    *(
        "_contained",
        "_containedType",
        "_include",
        "_revinclude",
        "_has",
        "_filter",
        "_list",
        "_in",
        "_query",
        "_pretty",
    ),
)

# What other interfaces call it, without case and separators -> what FHIR calls it.
_ELSEWHERE = {
    **dict.fromkeys(("limit", "pagesize", "perpage", "size", "top", "rows", "maxitems", "pagecount"), "_count"),
    **dict.fromkeys(("order", "orderby", "sortby", "sortorder"), "_sort"),
    **dict.fromkeys(("fields", "select", "properties", "projection", "element"), "_elements"),
    **dict.fromkeys(("expand", "embed", "populate", "with", "includes"), "_include"),
    **dict.fromkeys(("q", "search", "searchterm", "keyword", "keywords", "fulltext"), "_content"),
    **dict.fromkeys(("since", "modifiedsince", "updatedsince", "changedsince", "updated", "modified"), "_lastUpdated"),
}
_PAGING = frozenset(
    {"offset", "skip", "start", "startindex", "page", "pageno", "pagenumber", "getpagesoffset", "cursor"}
)
_PAGES = "A page leads to the next by its link with the relation next."


def instead(registry: Registry, types: Sequence[str], written: str, kinds: Collection[str] | None = None) -> str | None:
    """What to write instead of a parameter that `types` do not all have; None where nothing comes to mind.

    `written` may be chained and have a modifier. With `kinds`, only parameters of these types will do.
    """
    code = written.partition(":")[0].partition(".")[0]
    shared = _shared(registry, types)
    known = [one for one, found in shared.items() if kinds is None or found.type in kinds]
    if kinds is None:
        known += COMMON
    if code in shared:
        return f"{code!r} is a {shared[code].type} parameter, which will not do here." if kinds else None
    plain = _plain(code)
    same = next((one for one in known if _plain(one) == plain), None)
    if same is not None:
        return f"Did you mean {same!r}?"
    if kinds is None and plain in _PAGING:
        return _PAGES
    if kinds is None and plain in _ELSEWHERE:
        return f"Did you mean {_ELSEWHERE[plain]!r}?"
    return _elsewhere(registry, types, code, kinds) or did_you_mean(code, known)


def instead_of_sent(written: str, known: Iterable[str]) -> str | None:
    """What to write instead of a parameter of an interaction that takes only `known` ones."""
    names = [*known]
    plain = _plain(written)
    other = _ELSEWHERE.get(plain)
    same = next((one for one in names if _plain(one) == plain or one == other), None)
    return f"Did you mean {same!r}?" if same is not None else did_you_mean(written, names)


def unknown_elements(version: FhirVersion, types: Iterable[str], names: Iterable[str]) -> dict[str, str | None]:
    """The names that are no top-level element of any of `types`, each with what was probably meant.

    https://hl7.org/fhir/R5/search.html#elements
    """
    known = {
        one.element.name.removesuffix("[x]"): None
        for kind in types
        for one in definitions(version).structure(kind).properties.values()
    }
    # Every resource names its type, and may be asked for it.
    known["resourceType"] = None
    return {name: did_you_mean(name.partition(".")[0], known) for name in names if name not in known}


def _shared(registry: Registry, types: Sequence[str]) -> dict[str, SearchParameter]:
    """The parameters that all of `types` have."""
    first, *others = types or ("",)
    if not types:
        return {}
    return {
        code: one
        for code, one in registry.parameters(first).items()
        if all(registry.get(other, code) is not None for other in others)
    }


def _elsewhere(registry: Registry, types: Sequence[str], code: str, kinds: Collection[str] | None) -> str | None:
    """Where else there is a parameter of that code: under another name, in another release, at other types."""
    if len(types) == 1 and kinds is None:
        resource_type = types[0]
        if reason := unserved(resource_type, registry.version, code):
            return f"FHIR {registry.version} has it, but this server does not serve it: {reason}."
        for version in FhirVersion:
            for older, newer in keys.renamed(version, resource_type).items():
                if code == older and registry.get(resource_type, newer) is not None:
                    return f"FHIR {registry.version} calls it {newer!r}."
                if code == newer and registry.get(resource_type, older) is not None:
                    return f"FHIR {registry.version} calls it {older!r}."
        having = [version for version in FhirVersion if code in _codes(resource_type, version)]
        if having:
            return f"{resource_type} has it in FHIR {' and '.join(having)}: ask the base of that release."
    found = [one for one in registry.types if one not in types and _has(registry, one, code, kinds)]
    if not found:
        return None
    more = [f"{len(found) - 3} more"] if len(found) > 3 else []
    *listed, last = [*found[:3], *more]
    return f"{code!r} is a parameter of {', '.join(listed)}{' and ' if listed else ''}{last}."


def _has(registry: Registry, resource_type: str, code: str, kinds: Collection[str] | None) -> bool:
    found = registry.get(resource_type, code)
    return found is not None and (kinds is None or found.type in kinds)


def _codes(resource_type: str, version: FhirVersion) -> set[str]:
    """The codes of the standard parameters of a type in a release; none where the release lacks the type."""
    if not definitions(version).is_resource_type(resource_type):
        return set()
    return {one.code for one in standard_parameters(resource_type, version)}


def _plain(name: str) -> str:
    """A name without case and separators."""
    return name.casefold().replace("-", "").replace("_", "")
