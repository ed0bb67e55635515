"""What a profile asks of references: the type and the profiles of what they point to, where that stands, and whether
they name a version (https://hl7.org/fhir/R5/elementdefinition.html#ElementDefinition.type.targetProfile).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from apothecary.validation.conformance.support import Support
from apothecary.validation.conformance.values import Occurrence
from apothecary.validation.profiles.model import AllowedType, ElementRules
from apothecary.validation.references import contained, target_type
from apothecary.validation.run import Run

# Why a resource does not conform to the profile of that canonical url, None where it does.
Reason = Callable[[str, dict[str, Any]], str | None]
# How a place may be named where a reference is `referenced`: what is in the same bundle is another resource, too.
_PLACES = {
    "contained": frozenset({"contained"}),
    "bundled": frozenset({"bundled", "referenced"}),
    "referenced": frozenset({"referenced"}),
}
# These profiles are checked by the walk already, or are the type itself.
_ANY = "Resource"


class Target(NamedTuple):
    """What a reference points to, where it is at hand, and where that stands: contained, bundled or referenced."""

    resource: dict[str, Any] | None
    place: str


def find(reference: str, run: Run) -> Target:
    """What `reference` points to, in the resource that the walk is in."""
    if reference.startswith("#"):
        return Target(run.root if reference == "#" else contained(run, reference[1:]), "contained")
    found = None if run.bundle is None else run.bundle.find(reference, run.full_url)
    if found is not None:
        return Target(found, "bundled")
    return Target(None if run.options.held is None else run.options.held(reference), "referenced")


@contextmanager
def entered(target: Target, run: Run) -> Iterator[None]:
    """The walk as if it were in `target`, so that what is said in it is understood from there."""
    if target.resource is None:
        raise ValueError("nothing is at hand to enter")
    before = run.resource, run.root, run.bundle, run.full_url
    run.resource = target.resource
    if target.place != "contained":
        run.root = target.resource
    if target.place == "referenced":
        run.bundle = run.full_url = None
    elif target.place == "bundled":
        run.full_url = run.bundle.full_url(target.resource) or run.full_url
    try:
        yield
    finally:
        run.resource, run.root, run.bundle, run.full_url = before


@contextmanager
def inside(item: Occurrence, run: Run) -> Iterator[None]:
    """The walk as if it were in `item`, where that is a resource in another one
    (https://hl7.org/fhir/R5/fhirpath.html#variables).
    """
    before = run.resource, run.root
    if isinstance(item.value, dict) and "resourceType" in item.value:
        run.resource = item.value
        if item.at[1] != "contained":
            run.root = item.value
    try:
        yield
    finally:
        run.resource, run.root = before


def broken(support: Support, rules: ElementRules, item: Occurrence, profile: str, reason: Reason) -> Iterator[str]:
    """What is wrong with a Reference, CodeableReference or canonical, each as it is told after its name.

    `profile` is the name of the profile for messages.
    """
    allowed = [one for one in rules.types if one.code == item.node.type]
    text, declared = reference_of(item.value)
    if text is not None:
        yield from _places(support.run, allowed, text, profile)
        yield from _versions(allowed, text, item.node.type, profile)
    if rules.restricts_targets and item.node.type != "canonical":
        yield from _profiles(support, rules, allowed, text, declared, profile, reason)


def reference_of(value: Any) -> tuple[str | None, str | None]:
    """The reference and the declared type of a Reference or CodeableReference; a canonical is its own reference."""
    declared = None
    while isinstance(value, dict):
        declared = value.get("type")
        value = value.get("reference")
    return (value if isinstance(value, str) else None), (declared if isinstance(declared, str) else None)


def _places(run: Run, allowed: list[AllowedType], text: str, profile: str) -> Iterator[str]:
    modes = {mode for one in allowed for mode in one.aggregation}
    if modes:
        place = find(text, run).place
        if place == "referenced" and modes == {"bundled"} and run.bundle is None:
            run.unchecked(f"{profile}: whether {text} is in the bundle that it will be in")
        elif modes.isdisjoint(_PLACES[place]):
            yield f"points to what is {place}, but {profile} allows only what is {' or '.join(sorted(modes))}"


def _versions(allowed: list[AllowedType], text: str, type_name: str, profile: str) -> Iterator[str]:
    versioned = "|" in text if type_name == "canonical" else "/_history/" in text
    for one in allowed:
        if one.versioning == "specific" and not versioned:
            yield f"names no version, which {profile} asks for"
        elif one.versioning == "independent" and versioned:
            yield f"names a version, which {profile} does not allow"


def _profiles(
    support: Support,
    rules: ElementRules,
    allowed: list[AllowedType],
    text: str | None,
    declared: str | None,
    profile: str,
    reason: Reason,
) -> Iterator[str]:
    run = support.run
    urls = [url for one in allowed for url in one.targets]
    types = {url: support.type_of(url) for url in urls}
    target = find(text, run) if text is not None else Target(None, "referenced")
    found = (target_type(text, run) if text is not None else None) or declared
    if target.resource is not None:
        found = str(target.resource.get("resourceType"))
    if found is None or not urls:
        return
    fitting = [url for url in urls if types[url] in (found, None, _ANY, "DomainResource")]
    if not fitting:
        yield f"points to a {found}, but {profile} allows only {' or '.join(sorted(set(map(str, types.values()))))}"
        return
    if any(support.is_core(url) for url in fitting):
        return
    unknown = [url for url in fitting if support.profile(url) is None]
    if target.resource is None:
        run.unchecked(
            f"{rules.id} of {profile}: {text or 'what it points to'} is not at hand, to be checked as a target"
        )
        return
    with entered(target, run):
        reasons = {url: reason(url, target.resource) for url in fitting if url not in unknown}
    if None in reasons.values():
        return
    if unknown:
        run.unchecked(f"{rules.id} of {profile}: the profile {unknown[0]} is not at hand")
        return
    url, why = next(iter(reasons.items()))
    yield f"points to a {found} that does not conform to {url}, as {profile} asks: {why}"
