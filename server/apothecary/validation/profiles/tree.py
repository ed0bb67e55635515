"""The elements of a StructureDefinition as a tree, a differential laid over its base
(https://hl7.org/fhir/R5/profiling.html#snapshot).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apothecary.errors import StartError

# A profile adds to these; every other property of an ElementDefinition replaces that of its base.
_ADDED = frozenset({"constraint", "condition", "mapping"})
# How deep an element may stand, slices of slices included; published ones stand 15 levels deep.
_DEEPEST = 60
_TOO_DEEP = f"the profile has an element that is nested deeper than {_DEEPEST} levels"
# How many elements it may take from the profiles of the types of its elements.
_MOST_TAKEN = 20_000
# One step down the tree: the name of the element and the name of its slice, if any.
Step = tuple[str, str | None]


@dataclass(slots=True)
class Branch:
    """One element of a profile, `value[x]` or `coding`, with its ElementDefinition, its children and its slices."""

    name: str
    id: str
    definition: dict[str, Any] = field(default_factory=dict)
    children: dict[str, Branch] = field(default_factory=dict)
    slices: dict[str, Branch] = field(default_factory=dict)

    def copy(self) -> Branch:
        """A tree of its own; the values of its ElementDefinitions are shared, since nobody changes them."""
        return Branch(
            self.name,
            self.id,
            dict(self.definition),
            {name: child.copy() for name, child in self.children.items()},
            {name: branch.copy() for name, branch in self.slices.items()},
        )

    def all(self) -> Iterator[Branch]:
        """This branch and all below it, in the order of the profile."""
        yield self
        for branch in (*self.slices.values(), *self.children.values()):
            yield from branch.all()

    def depth(self) -> int:
        """How many levels stand below this one."""
        return max((1 + one.depth() for one in (*self.slices.values(), *self.children.values())), default=0)


# The elements of a profile by its url; None for one that is not at hand.
Trees = Callable[[str], Branch | None]
# Lets a slice that is new in an element begin as the profile of the type has it: the branch, the element, the slice.
Beginning = Callable[[Branch, Branch, Branch], None]


class Taken:
    """The slices that a profile takes from the profiles of the types of its elements: a differential may go into them,
    `Patient.extension:race.extension:text`, and says only what it adds
    (https://hl7.org/fhir/R5/profiling.html#snapshot).
    """

    def __init__(self, most: int = _MOST_TAKEN) -> None:
        self._known: dict[str, Branch | None] = {}
        self._most = self._left = most

    @property
    def spent(self) -> bool:
        """Whether more was asked for than may be taken."""
        return self._left < 0

    def slice(self, tree: Trees, branch: Branch, sliced: Branch, inner: Branch) -> None:
        """Fill `inner`, a new slice of the child `sliced` of `branch`. Raises StartError when too much is taken."""
        url = _profile_of(branch.definition)
        if url is None:
            return
        if url not in self._known:
            self._known[url] = tree(url)
        profile = self._known[url]
        known = profile.children.get(sliced.name) if profile is not None else None
        found = known.slices.get(inner.id.rpartition(":")[2]) if known is not None else None
        if known is None or found is None:
            return
        # Profiles that take from each other could grow without end, and down.
        if found.depth() > _DEEPEST:
            raise StartError(_TOO_DEEP)
        self._left -= sum(1 for _ in found.all())
        if self.spent:
            raise StartError(f"the profile takes more than {self._most} elements from the profiles of its types")
        copied = found.copy()
        inner.definition, inner.children, inner.slices = copied.definition, copied.children, copied.slices
        if "slicing" in known.definition:
            sliced.definition.setdefault("slicing", known.definition["slicing"])


def _profile_of(definition: Mapping[str, Any]) -> str | None:
    """The only profile of an element's types."""
    types = definition.get("type")
    named = [item.get("profile") for item in (types if isinstance(types, list) else ()) if isinstance(item, dict)]
    urls = [url for listed in named if isinstance(listed, list) for url in listed]
    return urls[0] if len(urls) == 1 and isinstance(urls[0], str) else None


def extended(owner: Mapping[str, Any], url: str) -> Any:
    """The value of the first extension of that url; None where there is none."""
    return next(iter(extensions(owner, url)), None)


def extensions(owner: Mapping[str, Any], url: str) -> list[Any]:
    """The values of all extensions of that url."""
    listed = owner.get("extension")
    return [
        value
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and item.get("url") == url
        for name, value in item.items()
        if name.startswith("value")
    ]


def overlay(root: Branch, elements: Iterable[Any], begin: Beginning | None = None) -> Branch:
    """`root` with the ElementDefinitions of a snapshot or differential laid over it; what is malformed is passed over.

    A differential may go into the slices that the profile of an element's type has, which `begin` knows.

    An element is placed by its id, or where it has none by its path and the slices that stand before it. Raises
    StartError for one that is nested deeper than any type is.
    """
    slices: dict[str, str] = {}
    for element in elements:
        if not isinstance(element, dict) or not isinstance(element.get("path"), str):
            continue
        steps = _steps(element, slices)
        if len(steps) + sum((slice_name or "").count("/") for _, slice_name in steps) > _DEEPEST:
            raise StartError(_TOO_DEEP)
        branch = root
        for step in steps:
            branch = _down(branch, step, begin)
        _merge(branch.definition, element)
    return root


def _steps(element: Mapping[str, Any], slices: dict[str, str]) -> list[Step]:
    """The steps from the root. `slices` remembers by path which slice the elements that follow are in."""
    path: str = element["path"]
    slice_name = element.get("sliceName")
    for known in [known for known in slices if known == path or not path.startswith(f"{known}.")]:
        del slices[known]
    if isinstance(slice_name, str):
        slices[path] = slice_name
    names = path.split(".")
    identity = element.get("id")
    segments = identity.split(".") if isinstance(identity, str) else []
    if len(segments) == len(names):
        return [_step(segment) for segment in segments[1:]]
    return [(name, slices.get(".".join(names[: index + 1]))) for index, name in enumerate(names) if index]


def _step(segment: str) -> Step:
    name, colon, slice_name = segment.partition(":")
    return name, slice_name if colon else None


def _down(branch: Branch, step: Step, begin: Beginning | None) -> Branch:
    name, slice_name = step
    child = branch.children.get(name)
    if child is None:
        child = branch.children[name] = Branch(name, f"{branch.id}.{name}")
    if slice_name is None:
        return child
    # `a/b` is the slice b of the slice a: https://hl7.org/fhir/R5/profiling.html#reslicing
    whole = ""
    for part in slice_name.split("/"):
        whole = f"{whole}/{part}" if whole else part
        inner = child.slices.get(whole)
        if inner is None:
            inner = child.slices[whole] = Branch(name, f"{branch.id}.{name}:{whole}")
            if begin is not None:
                begin(branch, child, inner)
        child = inner
    return child


def _merge(definition: dict[str, Any], element: Mapping[str, Any]) -> None:
    for key, value in element.items():
        if key in _ADDED and isinstance(value, list) and isinstance(definition.get(key), list):
            definition[key] = [*definition[key], *(item for item in value if item not in definition[key])]
        elif key == "binding" and isinstance(value, dict) and isinstance(definition.get(key), dict):
            definition[key] = _rebound(definition[key], value)
        else:
            definition[key] = value


def _rebound(known: Mapping[str, Any], binding: Mapping[str, Any]) -> Mapping[str, Any]:
    """A binding that replaces `known`, whose additional bindings stay
    (https://hl7.org/fhir/R5/profiling.html#binding).
    """
    before, now = known.get("additional"), binding.get("additional")
    if not isinstance(before, list):
        return binding
    added = now if isinstance(now, list) else []
    return {**binding, "additional": [*(item for item in before if item not in added), *added]}
