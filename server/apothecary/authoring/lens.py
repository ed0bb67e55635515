"""Two-way mappings: each says once how a part of a sheet and a part of a resource correspond, for both directions.

Building never drops a key of a sheet: its types allow no others than the mappings have, and a test fills every one.
Reading takes from a resource what its mappings know; what is left over cannot be written in a sheet and is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from apothecary.authoring.pen import ABSENT, EXTENSION, STRANGE, Pen
from apothecary.fhir.json import JSON


class Lens(Protocol):
    """A part of a sheet and the part of a resource that says the same."""

    def build(self, value: Any, pen: Pen) -> Any:
        """The resource's part of a sheet's."""

    def read(self, value: Any, pen: Pen) -> Any:
        """The sheet's part of a resource's."""


class Field(Protocol):
    """A key of a table of a sheet, and where it stands in an object of a resource."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """Put what `sheet` has of it into `node`."""

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """Take what `node` has of it and put it into `sheet`."""


class Same:
    """A value that stands in both as it is."""

    def build(self, value: Any, pen: Pen) -> Any:
        """The value."""
        return value

    def read(self, value: Any, pen: Pen) -> Any:
        """The value."""
        return value


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    each: Lens

    def build(self, value: Any, pen: Pen) -> Any:
        """Every item, in order."""
        return self._all(value, pen, self.each.build)

    def read(self, value: Any, pen: Pen) -> Any:
        """Every item, in order."""
        return self._all(value, pen, self.each.read)

    @staticmethod
    def _all(value: Any, pen: Pen, step: Callable[[Any, Pen], Any]) -> list[Any]:
        found = []
        for number, one in enumerate(value):
            with pen.at(number):
                found.append(step(one, pen))
        return found


@dataclass(frozen=True, slots=True)
class Only:
    """One value where the resource has a list, or an object around it: a CodeableReference with a concept."""

    each: Lens
    key: str | None = None

    def build(self, value: Any, pen: Pen) -> Any:
        """The value in its list or object."""
        built = self.each.build(value, pen)
        return [built] if self.key is None else {self.key: built}

    def read(self, value: Any, pen: Pen) -> Any:
        """The value out of its list or object."""
        if self.key is None:
            if len(value) != 1:
                pen.fault("a sheet has room for one of these")
            return self.each.read(value[0], pen)
        if value.keys() != {self.key}:
            pen.fault(f"has more than {self.key}")
        return self.each.read(value.get(self.key, {}), pen)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A value that two functions turn into one another."""

    forth: Callable[[Any, Pen], Any]
    back: Callable[[Any, Pen], Any]

    def build(self, value: Any, pen: Pen) -> Any:
        """What the resource has."""
        return self.forth(value, pen)

    def read(self, value: Any, pen: Pen) -> Any:
        """What the sheet has."""
        return self.back(value, pen)


SAME = Same()


def reference(resource_type: str, *, of_drug: bool = False) -> Mapped:
    """A Reference to a resource of one type; with `of_drug` the sheet writes its id without that of the drug."""

    def forth(value: str, pen: Pen) -> JSON:
        return {"reference": f"{resource_type}/{pen.full_id(value) if of_drug else value}"}

    def back(value: JSON, pen: Pen) -> str:
        kind, _, id = str(value.get("reference", "")).partition("/")
        if kind != resource_type or value.keys() != {"reference"}:
            pen.fault(f"is no plain reference to a {resource_type}")
        return pen.written_id(id) if of_drug else id

    return Mapped(forth, back)


def standard(system: str) -> Mapped:
    """A CodeableConcept that is one code of a system of FHIR or of the content."""

    def forth(value: str, pen: Pen) -> JSON:
        return {"coding": [pen.standard(system, value)]}

    def back(value: JSON, pen: Pen) -> str:
        (coding,) = value.get("coding") or [{}]
        if (
            value.keys() != {"coding"}
            or coding.get("system") != system
            or coding.keys() - {"system", "code", "display"}
        ):
            pen.fault(f"is no plain code of {system}")
        return str(coding.get("code"))

    return Mapped(forth, back)


@dataclass(frozen=True, slots=True)
class At:
    """A key of a sheet whose value is an element."""

    key: str
    element: str
    lens: Lens = SAME

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See Field."""
        if self.key in sheet:
            with pen.at(self.key):
                node[self.element] = self.lens.build(sheet[self.key], pen)

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See Field."""
        if self.element in node:
            with pen.at(self.element):
                sheet[self.key] = self.lens.read(node.pop(self.element), pen)


@dataclass(frozen=True, slots=True)
class Extended:
    """A key of a sheet that is an extension of the content's own. `parts` are those of a complex one."""

    key: str
    name: str
    value: str
    lens: Lens = SAME
    many: bool = False

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See Field."""
        if self.key not in sheet:
            return
        found = node.setdefault("extension", [])
        with pen.at(self.key):
            if self.many:
                for number, one in enumerate(sheet[self.key]):
                    with pen.at(number):
                        found.append(self._extension(one, pen))
            else:
                found.append(self._extension(sheet[self.key], pen))

    def _extension(self, value: Any, pen: Pen) -> JSON:
        return {"url": EXTENSION + self.name, self.value: self.lens.build(value, pen)}

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See Field."""
        mine = [one for one in node.get("extension", ()) if one["url"] == EXTENSION + self.name and self.value in one]
        if not mine:
            return
        found = []
        with pen.at(self.name):
            for one in mine if self.many else mine[:1]:
                found.append(self.lens.read(one[self.value], pen))
                node["extension"].remove(one)
        sheet[self.key] = found if self.many else found[0]


@dataclass(frozen=True, slots=True)
class Choice:
    """A flag of a sheet that is said by a value with no content: an absent value and its reason."""

    key: str
    element: str

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See Field."""
        if sheet.get(self.key):
            node[f"_{self.element}"] = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See Field."""
        if node.get(f"_{self.element}") == {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}:
            del node[f"_{self.element}"]
            sheet[self.key] = True


@dataclass(frozen=True, slots=True)
class Primitive:
    """A text of a resource that may name its claims in the companion `_element`; a sheet writes both as one table, with
    `short` the text alone as itself.
    """

    key: str
    element: str
    inner: str = "text"
    short: bool = False

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See Field."""
        said = sheet.get(self.key, {})
        if isinstance(said, str):
            said = {self.inner: said}
        if self.inner not in said:
            return
        with pen.at(self.key):
            node[self.element] = said[self.inner]
            if extensions := pen.founded(said):
                node[f"_{self.element}"] = {"extension": extensions}

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See Field."""
        if self.element not in node:
            return
        # A copy: what is read is not changed.
        extensions = [*node.pop(f"_{self.element}", {}).get("extension", ())]
        found = {self.inner: node.pop(self.element), **pen.foundation(extensions)}
        if extensions:
            with pen.at(f"_{self.element}"):
                pen.fault("has extensions that a sheet cannot write")
        sheet[self.key] = found[self.inner] if self.short and found.keys() == {self.inner} else found


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a sheet and an object of a resource, field by field.

    With `founded` the table may have claims and a basis, which lead the extensions. With `short` a text stands for a
    table of that key alone.
    """

    fields: tuple[Field, ...]
    founded: bool = True
    short: str | None = None
    fixed: tuple[tuple[str, Any], ...] = ()

    def build(self, value: Any, pen: Pen) -> JSON:
        """The object."""
        sheet = {self.short: value} if self.short and isinstance(value, str) else value
        node: JSON = {}
        if self.founded and (extensions := pen.founded(sheet)):
            node["extension"] = extensions
        for field in self.fields:
            field.build(sheet, node, pen)
        return node | dict(self.fixed)

    def read(self, value: JSON, pen: Pen) -> Any:
        """The table."""
        node = {**value}
        for element, content in self.fixed:
            if node.pop(element, None) != content:
                pen.fault(f"{element} is not {content!r}")
        if "extension" in node:
            node["extension"] = [*node["extension"]]
        sheet: JSON = pen.foundation(node["extension"]) if self.founded and "extension" in node else {}
        for field in self.fields:
            try:
                field.read(node, sheet, pen)
            except STRANGE:
                pen.fault("has a form that no sheet writes")
        if not node.get("extension", True):
            del node["extension"]
        for left in node:
            with pen.at(left):
                pen.fault("has no place in a sheet")
        return sheet[self.short] if self.short and sheet.keys() == {self.short} else sheet


@dataclass(frozen=True, slots=True)
class _Codings:
    """The codes of a concept. `basis` is false where another place says what they rest on."""

    basis: bool = True

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See Field."""
        found = []
        for number, written in enumerate(sheet.get("codes", ())):
            with pen.at("codes", number):
                if written.startswith("?"):
                    pen.unverified.append((tuple(pen.place), written[1:]))
                elif (coding := pen.coding(written, basis=self.basis)) is not None:
                    found.append(coding)
        if found:
            node["coding"] = found

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See Field."""
        if "coding" in node:
            with pen.at("coding"):
                sheet["codes"] = [pen.code(one) for one in node.pop("coding")]


CONCEPT = Table((_Codings(), At("text", "text")), short="text")
BARE_CONCEPT = Table((_Codings(basis=False), At("text", "text")), founded=False, short="text")
CONCEPT_REFERENCE = Only(CONCEPT, "concept")


@dataclass(frozen=True, slots=True)
class Typed:
    """A type that is one of a list of codes by its word, or a concept in any words."""

    systems: tuple[str, ...]

    def build(self, value: Any, pen: Pen) -> JSON:
        """`perforation` with its code and its display as text; anything else as a concept."""
        for system in self.systems if isinstance(value, str) else ():
            if (display := pen.vocabulary.display(system, value)) is not None:
                return {"coding": [{"system": system, "code": value, "display": display}], "text": display}
        built: JSON = CONCEPT.build(value, pen)
        return built

    def read(self, value: JSON, pen: Pen) -> Any:
        """The word, or the concept."""
        codings = value.get("coding", [])
        if (
            len(codings) == 1
            and codings[0].get("system") in self.systems
            and self.build(codings[0]["code"], pen) == value
        ):
            return codings[0]["code"]
        return CONCEPT.read(value, pen)
