"""Resources inside others, and how the index knows them: https://hl7.org/fhir/R5/search.html#contained

A contained resource stands in the index as a resource of its own, apart from those that stand alone: its type is
marked, and its id is the address of its container with its own id behind: `Medication#` and `MedicationRequest/23#m1`.
So a search that does not ask for contained resources never meets one, and chains lead into them like into any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from apothecary.fhir.references import is_id
from apothecary.search.predicates import Chain, Compare, Predicate, Row, any_of
from apothecary.search.rows import ContainedRow, IndexRow, ReferenceRow

MARK = "#"

# The name in the index under which a container points to each resource that it contains.
CONTAINS = "#contained"

Which = Literal["false", "true", "both"]
Returned = Literal["container", "contained"]


class Address(NamedTuple):
    """Where a contained resource is: the type and id of its container, and its own id there."""

    type: str
    id: str
    local: str


def marked(resource_type: str) -> str:
    """The type of contained resources in the index. It sorts directly after the type itself."""
    return resource_type + MARK


def is_marked(resource_type: str) -> bool:
    return resource_type.endswith(MARK)


def unmarked(resource_type: str) -> str:
    """The type itself, of a contained resource or any other."""
    return resource_type.removesuffix(MARK)


def identity_of(where: Address) -> str:
    """The id that a contained resource has in the index."""
    return f"{where.type}/{where.id}{MARK}{where.local}"


def address(identity: str) -> Address:
    """The inverse of `identity_of`."""
    container, _, local = identity.partition(MARK)
    kind, _, resource_id = container.partition("/")
    return Address(kind, resource_id, local)


def url_path(identity: str) -> str:
    """What follows the base in the URL of a contained resource: that of its container where it has no id of its own."""
    container, _, local = identity.partition(MARK)
    return identity if is_id(local) else container


# -- what the index holds


def local_ids(resource: Mapping[str, Any]) -> Sequence[str]:
    """The id of each contained resource, in order; one without, or with that of another, gets a name that is no id."""
    found: list[str] = []
    for number, one in enumerate(resource.get("contained", ())):
        local = one.get("id")
        found.append(local if local is not None and local not in found else f"~{number}")
    return found


def local_types(resource: Mapping[str, Any]) -> Mapping[str, str]:
    """Types in the index by what a reference inside `resource` says: `#m1`, or `#` for the container."""
    found = {MARK: str(resource["resourceType"])}
    for local, one in zip(local_ids(resource), resource.get("contained", ()), strict=True):
        found[MARK + local] = marked(one["resourceType"])
    return found


def pointed(rows: Iterable[IndexRow], types: Mapping[str, str]) -> Iterator[IndexRow]:
    """`rows` with the targets of references that stay inside the resource: `placed` completes their ids."""
    for row in rows:
        if isinstance(row, ReferenceRow) and row.url in types:
            row = row._replace(target_type=types[row.url], target_id=row.url)
        yield row


def placed(
    rows: Iterable[IndexRow | ContainedRow], resource_type: str, resource_id: str
) -> Iterator[tuple[str, str, IndexRow]]:
    """(type, id, row) as the index holds them, of a resource with contained ones: those of each under its own type and
    id.
    """
    container = f"{resource_type}/{resource_id}"
    for row in rows:
        if isinstance(row, ContainedRow):
            kind, identity = marked(row.type), identity_of(Address(resource_type, resource_id, row.id))
            yield from ((kind, identity, _completed(one, resource_id, container)) for one in row.rows)
        else:
            yield resource_type, resource_id, _completed(row, resource_id, container)


def _completed(row: IndexRow, resource_id: str, container: str) -> IndexRow:
    if isinstance(row, ReferenceRow) and row.target_id.startswith(MARK):
        return row._replace(target_id=resource_id if row.target_id == MARK else container + row.target_id)
    return row


# -- what a search asks


def spread(
    predicates: Mapping[str, Predicate | None], which: Which, returned: Returned, types: Iterable[str]
) -> dict[str, Predicate | None]:
    """The predicates by the types in the index that `_contained` and `_containedType` mean, in the order of types.

    `predicates` are those of a search without them; `types` are all that may be containers.
    """
    if which == "false":
        return dict(predicates)
    found: dict[str, Predicate | None] = dict(predicates) if which == "both" else {}
    if returned == "contained":
        found |= {marked(kind): predicate for kind, predicate in predicates.items()}
    else:
        holding: list[Predicate] = [
            Row("reference", CONTAINS, Compare("target_type", "=", marked(kind)))
            if predicate is None
            else Chain(CONTAINS, marked(kind), predicate)
            for kind, predicate in predicates.items()
        ]
        for kind in types:
            own = found.get(kind)
            if kind not in found or own is not None:
                found[kind] = any_of([*holding, *([own] if own is not None else [])])
    return dict(sorted(found.items()))
