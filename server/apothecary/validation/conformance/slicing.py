"""Which slice an item belongs to, by the discriminators (https://hl7.org/fhir/R5/profiling.html#discriminator)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from apothecary.fhir.structures import Binding
from apothecary.validation.conformance.support import Support
from apothecary.validation.conformance.targets import reference_of
from apothecary.validation.conformance.values import Occurrence, equals, fits, occurrences
from apothecary.validation.fhirpath import FhirPathError, Node
from apothecary.validation.profiles.model import AllowedType, Discriminator, ElementRules, Fixed
from apothecary.validation.references import target_type

# Whether a value conforms to the profile of that url.
Conforms = Callable[[str, Node], bool]

_STEP = re.compile(
    r"resolve\(\)|ofType\((?P<type>[A-Za-z.]+)\)|extension\(['\"](?P<url>[^'\"]+)['\"]\)|(?P<name>\$?\w+)"
)
POSITION = "position"
_KNOWN = frozenset({"value", "pattern", "exists", "type", "profile"})


class Undecided(Exception):
    """That an item belongs to a slice cannot be told; the message is the reason."""


class _Silent(Undecided):
    """The slice says nothing about what one discriminator looks at."""


def belongs(
    support: Support, rules: ElementRules, discriminators: Iterable[Discriminator], item: Occurrence, conforms: Conforms
) -> bool:
    """Whether `item` is of the slice `rules`: every discriminator says so, but for those by position, which are for
    `at_position`. Raises Undecided.

    `conforms` is asked where a discriminator is of the type `profile`.
    """
    found, silent = False, "no discriminator tells its slices apart"
    for discriminator in discriminators:
        if discriminator.type == POSITION:
            found = True
            continue
        if discriminator.type not in _KNOWN:
            raise Undecided(f"discriminators of type {discriminator.type} are not evaluated")
        try:
            if not _agrees(support, rules, discriminator, item, conforms):
                return False
        except _Silent as reason:
            silent = str(reason)
            continue
        found = True
    if not found:
        raise Undecided(silent)
    return True


def at_position(slices: Iterable[ElementRules], position: int) -> int | None:
    """The index of the slice that the item at `position` belongs to, where each slice has a fixed number of places and
    only the last one may be open (https://hl7.org/fhir/R5/profiling.html#discriminator).
    """
    end = 0
    for index, one in enumerate(slices):
        if one.max is None:
            return index
        end += one.max
        if position < end:
            return index
    return None


def _agrees(
    support: Support, rules: ElementRules, discriminator: Discriminator, item: Occurrence, conforms: Conforms
) -> bool:
    steps = _steps(discriminator.path)
    wanted = list(_definitions(support, rules, steps))
    if discriminator.type == "type":
        return _has_type(support, rules, wanted, steps, item)
    values = _values(support, discriminator.path, item)
    if discriminator.type == "exists":
        if not wanted:
            raise _Silent(f"nothing says whether {discriminator.path} exists")
        forbidden = any(one.max == 0 for one in wanted)
        return not values if forbidden else bool(values)
    if discriminator.type == "profile":
        urls = [url for one in wanted for allowed in one.types for url in _profiles(allowed, steps)]
        if not urls:
            raise _Silent(f"no profile is given for {discriminator.path}")
        return any(conforms(url, value) for url in urls for value in values)
    criteria = [one for one in wanted if _is_criterion(one)]
    if not criteria:
        raise _Silent(f"no value is given for {discriminator.path}")
    return all(any(_satisfies(support, one, value) for value in values) for one in criteria)


def _profiles(allowed: AllowedType, steps: list[re.Match[str]]) -> tuple[str, ...]:
    return allowed.targets if steps and steps[-1][0] == "resolve()" else allowed.profiles


def _steps(path: str) -> list[re.Match[str]]:
    steps = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or path[found.end() : found.end() + 1] not in ("", "."):
            raise Undecided(f"the discriminator {path} cannot be read")
        if found[0] != "$this":
            steps.append(found)
        at = found.end() + 1
    return steps


def _definitions(support: Support, rules: ElementRules, steps: list[re.Match[str]]) -> Iterator[ElementRules]:
    """What a slice says about the element at the end of a path: by its children, its pattern, its profiles."""
    here = [rules]
    for index, step in enumerate(steps):
        if step[0] == "resolve()" and index == len(steps) - 1:
            break  # What it points to is told by the types of the reference itself.
        here = [found for one in here for found in _below(support, one, step)]
    yield from here


def _below(support: Support, rules: ElementRules, step: re.Match[str]) -> Iterator[ElementRules]:
    if step["type"]:
        if not rules.types or any(item.code == step["type"] for item in rules.types):
            yield rules
        return
    if step[0] == "resolve()":
        yield from support.roots(url for allowed in rules.types for url in allowed.targets)
        return
    extensions = [url for allowed in rules.types if allowed.code == "Extension" for url in allowed.profiles]
    if step["name"] == "url" and extensions:
        # The url of an extension is that of its definition, whether that is at hand or not.
        yield ElementRules("url", f"{rules.id}.url", fixed=Fixed(extensions[0]))
        return
    for each in (rules, *support.roots(url for allowed in rules.types for url in allowed.profiles)):
        for child in each.children:
            if step["url"]:
                if child.name == "extension":
                    yield from (one for one in child.slices if _is_extension(one, step["url"]))
            elif child.name in (step["name"], f"{step['name']}[x]"):
                yield child
                # What a part must have, it must have by one of its required slices, too.
                yield from (one for one in child.slices if one.min)
    for given in (rules.fixed, rules.pattern):
        part = given.value.get(step["name"]) if given is not None and isinstance(given.value, dict) else None
        for value in part if isinstance(part, list) else [] if part is None else [part]:
            yield ElementRules(step["name"], f"{rules.id}.{step['name']}", pattern=Fixed(value))


def _is_extension(rules: ElementRules, url: str) -> bool:
    if any(url in allowed.profiles for allowed in rules.types):
        return True
    return any(child.name == "url" and child.fixed is not None and child.fixed.value == url for child in rules.children)


def _values(support: Support, path: str, item: Occurrence) -> list[Node]:
    """What stands at the discriminator's path, as nodes; a reference that cannot be followed leaves it undecided."""
    if path == "$this":
        return [item.node]
    try:
        found = support.evaluate(path, item.node, lambda node, url: None)
    except FhirPathError as error:
        raise Undecided(f"the discriminator {path} cannot be evaluated: {error}") from error
    if found.unresolved:
        raise Undecided(f"the reference that {path} follows is not at hand")
    return [one for one in found.items if isinstance(one, Node)]


def _has_type(
    support: Support, rules: ElementRules, wanted: list[ElementRules], steps: list[re.Match[str]], item: Occurrence
) -> bool:
    if steps and steps[-1][0] == "resolve()":
        allowed = {support.type_of(url) for one in wanted for each in one.types for url in each.targets} - {None}
        path = ".".join(step[0] for step in steps[:-1]) or "$this"
        references = [reference_of(value.value)[0] for value in _values(support, path, item)]
        return any(target_type(text, support.run) in allowed for text in references if text is not None)
    codes = {each.code for one in wanted for each in one.types}
    if not codes and not steps:
        return item.at[1].lstrip("_") == rules.slice_name  # `value[x]:valueQuantity` names its type by itself.
    if not codes:
        raise Undecided("a slice by type names no type")
    path = ".".join(step[0] for step in steps) or "$this"
    tables = support.run.tables
    return any(
        value.type in codes or (tables.has_structure(value.type) and tables.structure(value.type).base in codes)
        for value in _values(support, path, item)
    )


def _is_criterion(rules: ElementRules) -> bool:
    """Whether an element's rules, or those of its slices, can tell values apart."""
    return _has_criterion(rules) or any(one.min and _is_criterion(one) for one in rules.slices)


def _required(rules: ElementRules) -> list[Binding]:
    return [one.binding for one in rules.bound if one.binding.strength == "required" and not one.usage]


def _has_criterion(rules: ElementRules) -> bool:
    return bool(rules.fixed or rules.pattern or _required(rules) or any(map(_is_criterion, rules.children)))


def _satisfies(support: Support, rules: ElementRules, node: Node) -> bool:
    if rules.fixed is not None:
        return equals(node.value, rules.fixed.value)
    if rules.pattern is not None:
        return fits(node.value, rules.pattern.value)
    if required := _required(rules):
        return all(support.is_bound(binding, node) is not False for binding in required)
    tables = support.run.tables
    for child in rules.children:
        inner = [found.node for found in occurrences(tables, node, child.name, None)]
        parts = [one for one in child.slices if one.min and _is_criterion(one)]
        if _has_criterion(child):
            parts.append(child)
        for part in parts:
            if not any(_satisfies(support, part, value) for value in inner):
                return False
    return True
