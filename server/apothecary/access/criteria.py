"""What the criteria of a scope ask of resources: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters

They are asked of the index, as a search by the same parameters is. Only what a resource says of itself counts: chains
and lists hang on other resources, value sets and hierarchies on the terminology, and inexact words on the vocabulary,
all of which others may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from apothecary.access.scopes import ANY, Pairs, Scopes
from apothecary.access.sight import NOTHING
from apothecary.errors import FhirError
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import Clock
from apothecary.search import control, incomplete
from apothecary.search.context import Context
from apothecary.search.parameters import Registry
from apothecary.search.parser import parse
from apothecary.search.predicates import And, Compare, Joined, Not, Nothing, Or, Predicate, Resource, Row
from apothecary.search.registries import make_registries
from apothecary.settings import Settings

Registries = Mapping[FhirVersion, Registry]

# The releases in the order in which a parameter is looked for.
_ORDER = (FhirVersion.R5, FhirVersion.R4B, FhirVersion.R4)


def predicate(registries: Registries, bases: tuple[str, ...], resource_type: str, criteria: Pairs) -> Predicate:
    """What resources of a type must meet. The first release counts that has all of the parameters: one index answers
    for all. Raises ValueError with the reason where no release can be asked so.
    """
    reason = f"{resource_type} is not served here"
    for version in _ORDER:
        registry = registries.get(version)
        if registry is None or not registry.serves(resource_type):
            continue
        try:
            return _in(registry, bases, resource_type, criteria)
        except (FhirError, ValueError) as error:
            reason = str(error)
    raise ValueError(reason)


def _in(registry: Registry, bases: tuple[str, ...], resource_type: str, criteria: Pairs) -> Predicate:
    for name, _ in criteria:
        if name in control.NAMES or name.startswith("_type"):
            raise ValueError(f"{name} selects nothing, and cannot stand in a scope")
    clock = Clock()
    context = Context(registry, (resource_type,), bases, clock, strict=True)
    found = parse(context, criteria).query.predicates[resource_type]
    if found is None or clock.asked or not _of_itself(found):
        raise ValueError(
            f"{'&'.join('='.join(one) for one in criteria)}: the criteria of a scope ask what {resource_type} says of"
            " itself: no chains, lists, words of texts, or times from now on"
        )
    return found


def _of_itself(node: Predicate) -> bool:
    """Whether only the resource decides whether it meets this."""
    match node:
        case And(of) | Or(of):
            return all(map(_of_itself, of))
        case Not(inner):
            return _of_itself(inner)
        case Row(where=Compare(operator="matches")):
            return False
        case Row() | Joined() | Resource() | Nothing():
            return True
    return False


def usable(
    registries: Registries,
    bases: tuple[str, ...],
    lacking: Mapping[str, frozenset[str]],
    resource_type: str,
    criteria: Pairs,
) -> Predicate:
    """The same, `NOTHING` where it cannot be asked, or the index cannot tell: `lacking` are the names, by type, that it
    does not hold yet.
    """
    try:
        found = predicate(registries, bases, resource_type, criteria)
    except ValueError:
        return NOTHING
    return NOTHING if incomplete.asked((resource_type, found), lacking) else found


@cache
def _published() -> Registries:
    """What the specification lets search for, in every release: what a server defines itself may change meanwhile."""
    return make_registries(Settings(resource_types="*"), ())


def check(scopes: Scopes) -> None:
    """Raises ValueError for the first scope whose criteria cannot be asked of its type."""
    for one in scopes.of:
        if one.criteria and one.type != ANY:
            try:
                predicate(_published(), (), one.type, one.criteria)
            except ValueError as error:
                raise ValueError(f"{one}: {error}") from None
