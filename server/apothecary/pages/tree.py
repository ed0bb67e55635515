"""A resource as the lines of its JSON, with links on references, and each element explained by the specification.

What the specification says of an element comes from the tables that ship: what it is in short words, its types, how
often it may stand, what its codes come from (https://hl7.org/fhir/R5/elementdefinition.html). A pointer finds it above
the name, a finger by touching it, and the keyboard in a list behind the lines: a stop at each of hundreds of names
helps nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

from apothecary.fhir.definitions import Definitions, Element, definitions
from apothecary.fhir.json import JSON
from apothecary.pages.view import View

# A page stays small: what follows after so many characters is told and left to the JSON itself.
MOST = 48_000
# And so does a single text.
LEAF = 4_000

# Elements whose text leads somewhere else.
_ADDRESSES = frozenset({"Reference.reference", "Extension.url"})


class Tree:
    """The lines of one resource."""

    def __init__(self, view: View, resource: JSON) -> None:
        self._view = view
        self._resource = resource
        self._known: Definitions = definitions(view.version)
        self._size = 0
        self._full = False
        self.cut = False
        """Whether some of it was left out."""
        self.meanings: dict[str, str] = {}
        """What the elements mean, by path, in the order in which they come."""

    def html(self) -> Markup:
        """The lines, as nested lists."""
        kind = self._resource.get("resourceType")
        return Markup("").join(self._object(self._resource, kind if isinstance(kind, str) else ""))

    def _object(self, value: JSON, structure: str) -> Iterator[Markup]:
        known = self._known
        properties = known.structure(structure).properties if known.has_structure(structure) else {}
        yield Markup("<ul>")
        for name, inner in value.items():
            if self._full:
                break
            found = properties.get(name.removeprefix("_"))
            said = self._meaning(found.element) if found is not None else ""
            below = found.structure if found is not None else ""
            if name == "div" and isinstance(inner, str):
                inner, below = "(the narrative)", ""
            head = (
                Markup('<li><b tabindex="-1" title="{}">{}</b> ').format(said, name)
                if said
                else Markup("<li><b>{}</b> ").format(name)
            )
            yield self._counted(head)
            yield from self._value(inner, below, f"{structure}.{name}")
            yield Markup("</li>")
        yield Markup("</ul>")

    def _value(self, value: Any, structure: str, path: str) -> Iterator[Markup]:
        if isinstance(value, dict):
            inner = value.get("resourceType")
            yield from self._object(value, inner if isinstance(inner, str) else structure)
        elif isinstance(value, list):
            if all(not isinstance(one, dict | list) for one in value):
                for number, one in enumerate(value):
                    if self._full:
                        break
                    yield Markup(", ") if number else Markup()
                    yield from self._value(one, structure, path)
                return
            yield Markup("<ol>")
            for one in value:
                if self._full:
                    break
                yield Markup("<li>")
                yield from self._value(one, structure, path)
                yield Markup("</li>")
            yield Markup("</ol>")
        else:
            yield self._counted(self._leaf(value, path))

    def _meaning(self, element: Element) -> str:
        said = self.meanings.get(element.path)
        if said is None:
            short = self._known.short(element.path)
            said = self.meanings[element.path] = f"{short}. {explained(element)}" if short else explained(element)
            self._size += len(said) + len(element.path) + 30
        return said

    def _leaf(self, value: Any, path: str) -> Markup:
        text = (
            {True: "true", False: "false", None: "null"}[value]
            if value is None or value is True or value is False
            else str(value)
        )
        if len(text) > LEAF:
            self.cut, text = True, f"{text[:LEAF]}…"
        address = self._view.reference(text) if path in _ADDRESSES else None
        if address is not None:
            return Markup('<a href="{}">{}</a>').format(address, text)
        return Markup("<i>{}</i>").format(text) if isinstance(value, str) else escape(text)

    def _counted(self, text: Markup) -> Markup:
        # With the tags around it.
        self._size += len(text) + 20
        if self._size > MOST:
            self._full = self.cut = True
        return text


def explained(element: Element) -> str:
    """What the specification fixes of an element, in a line."""
    most = "*" if element.max is None else str(element.max)
    kinds = ", ".join(one.code + (f"({' | '.join(one.targets)})" if one.targets else "") for one in element.types[:6])
    more = f" and {len(element.types) - 6} more types" if len(element.types) > 6 else ""
    bound = f"; {element.binding.strength} codes: {element.binding.value_set}" if element.binding is not None else ""
    changes = "; changes the meaning of what it stands in" if element.is_modifier else ""
    return f"{element.path} {element.min}..{most}: {kinds}{more}{bound}{changes}"
