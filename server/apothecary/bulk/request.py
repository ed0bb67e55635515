"""What a kick-off request asks for: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters

`_until`, `organizeOutputBy` and `allowPartialManifests` are of https://hl7.org/fhir/uv/bulkdata/STU3/en/export.html.

What cannot be done is refused. Under `Prefer: handling=lenient` it is left out instead, and said among the errors of
the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from apothecary.bulk.job import Note, Wanted
from apothecary.errors import BadRequest, FhirError, Forbidden, NotFound, NotSupported
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import parse_span
from apothecary.interactions import basics, search
from apothecary.interactions.prepared import Prepared
from apothecary.interactions.service import Service
from apothecary.search.suggestions import unknown_elements
from apothecary.search.text import decode
from apothecary.suggestions import or_rather

FORMATS = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
PARAMETERS = (
    *("_outputFormat", "_since", "_until", "_type", "_typeFilter", "_elements", "includeAssociatedData"),
    *("organizeOutputBy", "allowPartialManifests", "patient"),
)
_ONCE = frozenset({"_outputFormat", "_since", "_until", "organizeOutputBy", "allowPartialManifests"})

# https://hl7.org/fhir/R5/search.html#modifyingresults: what shapes an answer, and selects nothing.
_OF_ANSWERS = frozenset(
    {
        *("_sort", "_count", "_include", "_revinclude", "_summary", "_total", "_elements", "_contained"),
        *("_containedType", "_score", "_maxresults", "_graph", "_type", "_format", "_pretty", "_page", "_explain"),
    }
)
# Searches stand between commas, whose values may have commas, too.
_NEXT_FILTER = re.compile(r",(?=[A-Za-z]+\?)")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)

# An export is not for finding single ones of very many.
MOST_FILTERS = 100


@dataclass
class Asking:
    """A request while it is read."""

    service: Service
    version: FhirVersion
    base: str
    lenient: bool
    notes: list[Note] = field(default_factory=list)

    def refuse(self, error: FhirError) -> None:
        """Raise `error`, or note it where the client would rather have the rest."""
        if not self.lenient:
            raise error
        self.notes += [
            Note("warning", issue.code, issue.diagnostics, tuple(issue.expression)) for issue in error.issues
        ]


def wanted(
    service: Service,
    version: FhirVersion,
    base: str,
    given: Iterable[tuple[str, str]],
    *,
    lenient: bool,
) -> tuple[Wanted, list[Note]]:
    """What the parameters ask for, and what was left out of it. Raises BadRequest and its children."""
    asking = Asking(service, version, base, lenient)
    values: dict[str, list[str]] = {}
    for name, value in given:
        if name not in PARAMETERS:
            asking.refuse(
                NotSupported(f"{name} is not a parameter of $export{or_rather(name, PARAMETERS)}", expression=name)
            )
        elif value:
            values.setdefault(name, []).append(value)
    for name in sorted(_ONCE & values.keys()):
        if len(values[name]) > 1:
            raise BadRequest(f"{name} stands {len(values[name])} times; it may stand once", expression=name)
    one: Mapping[str, str] = {name: found[0] for name, found in values.items()}
    _format(asking, one.get("_outputFormat"))
    types = _types(asking, _listed(values.get("_type", ())))
    narrowed = [kind for kind in types if service.finds(kind) == "some"]
    if narrowed:
        text = f"the scopes of this client leave out resources of {', '.join(narrowed)}, and what was deleted of them"
        asking.notes.append(Note("information", "suppressed", text))
    if custom := _listed(values.get("includeAssociatedData", ())):
        asking.refuse(
            NotSupported(
                f"includeAssociatedData={','.join(custom)} is not offered: each resource is exported for what it is",
                expression="includeAssociatedData",
                remedy="Leave it out; _type=Provenance adds all Provenance resources.",
            )
        )
    if "organizeOutputBy" in one:
        # The guide leaves open what belongs to an instance of any type but Patient, which it asks implementers about.
        asking.refuse(
            NotSupported(
                f"organizeOutputBy={one['organizeOutputBy']} is not offered: each file holds resources of one type",
                expression="organizeOutputBy",
                remedy="Leave it out.",
            )
        )
    if "patient" in values:
        asking.refuse(
            NotSupported(
                "patient means nothing in an export of the system", expression="patient", remedy="Leave it out."
            )
        )
    return (
        Wanted(
            version.value,
            types,
            _moment("_since", one.get("_since")),
            _moment("_until", one.get("_until")),
            _elements(asking, types, _listed(values.get("_elements", ()))),
            _filters(
                asking, types, [each for value in values.get("_typeFilter", ()) for each in _NEXT_FILTER.split(value)]
            ),
            _flag("allowPartialManifests", one.get("allowPartialManifests")),
            deletions="_since" in one,
            narrowed=narrowed,
        ),
        asking.notes,
    )


def every_type(service: Service, version: FhirVersion) -> list[str]:
    """The types that are exported: those that are served, and those that are read as Basic; as far as whoever asks may
    find any of them.
    """
    every = {*service.registries[version].types, *basics.lacking(service, version)}
    return sorted(kind for kind in every if service.finds(kind) != "none")


def filtering(service: Service, version: FhirVersion, base: str, text: str) -> tuple[str, Prepared]:
    """The type that a filter is for, and its search. Raises BadRequest and its children, NotFound for a type that is
    not served.
    """
    kind, mark, query = text.partition("?")
    if not mark or not query:
        raise BadRequest(
            f"_typeFilter={text}: it is a search, such as Medication?status=active", expression="_typeFilter"
        )
    service.check_type(version, kind)
    pairs = list(decode(query, service.settings.parameter_limit))
    for name, _ in pairs:
        if name.partition(":")[0] in _OF_ANSWERS:
            raise BadRequest(f"_typeFilter: {name} selects no resources", expression="_typeFilter", code="value")
    return kind, search.prepare(service, version, base, kind, pairs, strict=True)


def _listed(values: Sequence[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _format(asking: Asking, value: str | None) -> None:
    # A plus that is not percent-encoded is a space.
    if value is not None and value.replace(" ", "+") not in FORMATS:
        asking.refuse(
            NotSupported(
                f"_outputFormat={value} is not offered",
                expression="_outputFormat",
                remedy=f"Write one of {', '.join(sorted(FORMATS))}, or leave it out.",
            )
        )


def _types(asking: Asking, names: Sequence[str]) -> list[str]:
    every = every_type(asking.service, asking.version)
    if not names:
        return every
    found: set[str] = set()
    for name in dict.fromkeys(names):
        try:
            asking.service.check_type(asking.version, name)
            asking.service.permit(basics.meant(asking.service, asking.version, name), "s")
        except Forbidden as error:
            asking.refuse(error)
            continue
        except NotFound as error:
            asking.refuse(BadRequest(f"_type: {error}", expression="_type", code="not-supported"))
            continue
        # What stands for others is Basic, too.
        found.update(basics.meant(asking.service, asking.version, name))
    return sorted(found.intersection(every))


def _moment(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    # A plus that is not percent-encoded is a space.
    text = value.replace(" ", "+")
    try:
        if _INSTANT.fullmatch(text) is None:
            raise ValueError(f"{value!r} is not an instant: write YYYY-MM-DDThh:mm:ss.sss with Z or an offset")
        return parse_span(text).low
    except ValueError as error:
        raise BadRequest(f"{name}: {error}", expression=name, code="value") from None


def _flag(name: str, value: str | None) -> bool:
    if value not in (None, "true", "false"):
        raise BadRequest(f"{name}={value}: write true or false", expression=name, code="value")
    return value == "true"


def _elements(asking: Asking, types: Sequence[str], names: Sequence[str]) -> list[str]:
    kept = []
    known = [one for one in types if asking.service.registries[asking.version].serves(one)] or [basics.BASIC]
    for name in dict.fromkeys(names):
        kind, dot, element = name.rpartition(".")
        if dot and kind not in types:
            problem = f"_elements={name}: {kind} is not among the types of this export"
        elif unknown_elements(asking.version, (kind,) if dot else known, [element]):
            problem = f"_elements={name}: there is no such element at the root of {kind or 'any of the types'}"
        else:
            kept.append(name)
            continue
        asking.refuse(BadRequest(problem, expression="_elements", code="value"))
    return kept


def _filters(asking: Asking, types: Sequence[str], texts: Sequence[str]) -> list[str]:
    if len(texts) > MOST_FILTERS:
        raise BadRequest(
            f"_typeFilter stands {len(texts)} times; {MOST_FILTERS} are taken",
            expression="_typeFilter",
            code="too-costly",
        )
    kept = []
    for text in dict.fromkeys(texts):
        try:
            kind, _ = filtering(asking.service, asking.version, asking.base, text)
            if kind not in types:
                raise BadRequest(
                    f"_typeFilter={text}: {kind} is not among the types of this export", expression="_typeFilter"
                )
        except (BadRequest, NotFound, Forbidden) as error:
            asking.refuse(error)
            continue
        kept.append(text)
    return kept
