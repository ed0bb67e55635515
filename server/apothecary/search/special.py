"""Parameters that look at no element: `_filter`, `_list` and `_in`. https://hl7.org/fhir/R5/search.html#all"""

from __future__ import annotations

from apothecary.errors import BadRequest, NotSupported
from apothecary.fhir.references import is_id, parse_reference
from apothecary.search.criteria import NO_VALUE, Criteria, too_costly
from apothecary.search.filter import FilterParser
from apothecary.search.parameters import Registry
from apothecary.search.predicates import Compare, Every, Has, Predicate, Resource, any_of
from apothecary.search.text import split, unescape

PARAMETERS = frozenset({"_filter", "_list", "_in"})

# What can hold members: the resource type, and the search parameter that leads from it to them.
_HOLDERS = {"List": "item", "Group": "member", "CareTeam": "participant"}


def offered(registry: Registry, resource_type: str) -> dict[str, str]:
    """The parameters that work for a type without looking at its elements, with their types: `_has`, `_list` and `_in`
    where the server has what may point to it, `_query` where there is a query.
    """
    found = {"_filter": "special", "_has": "special"}
    holders = [one for one, code in _HOLDERS.items() if registry.serves(one) and registry.get(one, code) is not None]
    if "List" in holders:
        found["_list"] = "special"
    if holders:
        found["_in"] = "reference"
    if any(resource_type in one.resource_types for one in registry.queries):
        found["_query"] = "special"
    return found


def predicate(criteria: Criteria, resource_type: str, name: str, value: str) -> Predicate:
    """What one of these parameters asks of a resource type. Raises ValueError and BadRequest."""
    if name == "_filter":
        return FilterParser(criteria, value).parse(resource_type)
    registry = criteria.registry
    texts = [text for text in split(value, ",") if text]
    if not texts:
        raise ValueError(NO_VALUE)
    if len(texts) > criteria.context.clause_limit:
        raise too_costly(criteria.context)
    return any_of([_member(registry, name, "List", text) if name == "_list" else _in(registry, text) for text in texts])


def _member(registry: Registry, name: str, holder: str, text: str) -> Predicate:
    """Is an item of one list. The functional lists of the specification ($current-...) need a patient, so there are
    none.
    """
    wanted = unescape(text)
    if wanted.startswith("$"):
        raise NotSupported(f"{wanted} is a list about a patient; this server keeps none", expression=name)
    if not is_id(wanted):
        raise ValueError(f"{wanted!r} is not the id of a {holder}")
    parameter = registry.get(holder, _HOLDERS[holder]) if registry.serves(holder) else None
    if parameter is None:
        raise BadRequest(f"this server has no resource type {holder!r}", expression=name)
    return Has(holder, parameter.index, Resource(Every((Compare("id", "=", wanted),))))


def _in(registry: Registry, text: str) -> Predicate:
    """Is a member of a List, Group or CareTeam: `_in=List/1`, or the id alone where any of them may be meant."""
    wanted = unescape(text)
    reference = parse_reference(wanted)
    if reference.relative:
        if reference.type not in _HOLDERS:
            raise ValueError(f"{wanted!r}: members are held by {', '.join(_HOLDERS)}")
        return _member(registry, "_in", str(reference.type), str(reference.id))
    holders = [one for one in _HOLDERS if registry.serves(one)]
    if not holders:
        raise BadRequest("this server has no List, Group or CareTeam", expression="_in")
    return any_of([_member(registry, "_in", one, text) for one in holders])
