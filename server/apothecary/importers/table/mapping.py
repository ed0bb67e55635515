"""The mapping file of a table: what its columns are. YAML, checked by a JSON Schema; every fault is told at its place.

The elements are those of https://hl7.org/fhir/R5/medicationknowledge.html, in a pharmacist's words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from apothecary.content.documents import Document, Pointer
from apothecary.content.schemas import placed, read_as
from apothecary.content.yaml import read_yaml
from apothecary.errors import ContentError, InvalidFile, StartError
from apothecary.fhir.statements import SEVERITIES, SEVERITY
from apothecary.fhir.ucum import is_valid

_LARGEST = 4 * 1024 * 1024

Element = Literal[
    "code",
    "identifier",
    "name",
    "synonym",
    "status",
    "product type",
    "form",
    "route",
    "ingredient",
    "ingredient code",
    "strength",
    "strength value",
    "strength unit",
    "strength per value",
    "strength per unit",
    "classification",
    "schedule",
    "manufacturer",
    "price",
    "price date",
    "indication",
    "preparation",
    "characteristic",
    "pack code",
    "pack description",
    "pack size",
    "pack unit",
    "subject",
    "subject code",
    "interactant",
    "interactant code",
    "type",
    "effect",
    "incidence",
    "severity",
    "management",
    "source",
    "source address",
]
# What is a code in a system, which must be said.
CODES = frozenset({"code", "identifier", "ingredient code", "pack code", "subject code", "interactant code"})
# What tells one drug from another.
NAMES = frozenset({"name", "code", "identifier"})
# The two sides of an interaction; what only a table of interactions has; and what any table has.
SUBJECT, INTERACTANT = frozenset({"subject", "subject code"}), frozenset({"interactant", "interactant code"})
INTERACTIONS = (
    SUBJECT | INTERACTANT | {"type", "effect", "incidence", "severity", "management", "source", "source address"}
)
ANY = frozenset({"identifier", "status"})
# What may be a code without a system: they have one of their own.
PLAIN = frozenset({"status", "severity"})

Uri = Annotated[
    str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`]+$", extra_json_schema={"errorMessage": "a URI"})
]
Text = Annotated[str, Meta(min_length=1, pattern=r"\S")]


class Value(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a text of the table means."""

    text: Text | None = None
    system: Uri | None = None
    code: Annotated[str, Meta(pattern=r"^\S+( \S+)*$", extra_json_schema={"errorMessage": "a code"})] | None = None
    display: Text | None = None


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a column is."""

    element: Element
    system: Annotated[Uri | None, Meta(description="The system that its codes are of.")] = None
    type: Annotated[Text | None, Meta(description="What kind of classification, characteristic or price it is.")] = None
    unit: Annotated[Text | None, Meta(description="The unit of its numbers, where they have none.")] = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="The currency of a price.")] | None = None
    authority: Annotated[Text | None, Meta(description="Whose schedule it is.")] = None
    split: (
        Annotated[str, Meta(min_length=1, max_length=5, description="What stands between the items of a list.")] | None
    ) = None
    values: Annotated[dict[str, Text | Value] | None, Meta(description="What its texts mean.")] = None
    number: Annotated[int, Meta(ge=1, le=200, description="Which ingredient, pack or side it is of, from 1.")] = 1


class Constant(Column, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for every drug of the table."""

    value: Text


class Mapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file."""

    columns: Annotated[dict[str, Element | Column], Meta(min_length=1, description="What each column is, by its name.")]
    catalogue: Annotated[Uri | None, Meta(description="What names this table, in every edition of it.")] = None
    prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9\-.]{1,32}$", description="What the ids of the resources begin with.")
    ] = "table"
    sheet: Annotated[str, Meta(min_length=1, description="Which sheet of a workbook it is.")] | None = None
    header: Annotated[
        Annotated[int, Meta(ge=1)] | Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=5)] | None,
        Meta(description="The row, or up to 5 rows, with the names of the columns, from 1."),
    ] = None
    separator: Annotated[str, Meta(min_length=1, max_length=1, description="What separates the columns.")] | None = None
    encoding: Annotated[
        Literal["utf-8", "windows-1252", "iso-8859-1", "utf-16"] | None, Meta(description="How its text is encoded.")
    ] = None
    decimal: Annotated[Literal[".", ","], Meta(description="The decimal mark.")] = "."
    dates: Annotated[
        Literal["year-first", "day-first", "month-first"], Meta(description="The order of the parts of a date.")
    ] = "year-first"
    key: Annotated[list[str], Meta(description="The columns that tell one drug, or interaction, from another.")] = []
    fill: Annotated[list[str], Meta(description="Columns whose cells are merged over several rows.")] = []
    ignore: Annotated[list[str], Meta(description="Columns that are left out without a remark.")] = []
    units: Annotated[dict[str, str], Meta(description="The UCUM codes of the units of the table.")] = {}
    constants: Annotated[list[Constant], Meta(description="What holds for every drug of the table.")] = []

    def specified(self) -> dict[str, Column]:
        """Every column with its element, also where only that is written."""
        return {name: Column(element=one) if isinstance(one, str) else one for name, one in self.columns.items()}

    def of_interactions(self) -> bool:
        """Whether the table is of interactions, and not of drugs."""
        return any(one.element in INTERACTIONS for one in (*self.specified().values(), *self.constants))


def read_mapping(path: Path) -> Mapping:
    """The mapping in a file. Raises InvalidFile with every fault, StartError where it cannot be read."""
    shown = os.fspath(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise StartError(f"{shown}: cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise StartError(f"{shown}: a mapping has no more than {_LARGEST} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidFile((ContentError(shown, line, 1, "the line is not UTF-8"),)) from None
    return mapping_of(read_yaml(shown, text))


def mapping_of(document: Document) -> Mapping:
    """The mapping that a document holds. Raises InvalidFile."""
    mapping = read_as(Mapping, document)
    faults = [*_faults(mapping)]
    if faults:
        raise InvalidFile(placed(document, faults))
    return mapping


def _faults(mapping: Mapping) -> Iterator[tuple[Pointer, str]]:
    columns = mapping.specified()
    each: list[tuple[Pointer, Column]] = [(("columns", name), one) for name, one in columns.items()]
    each += [(("constants", number), one) for number, one in enumerate(mapping.constants)]
    for pointer, one in each:
        if one.element in CODES and one.system is None:
            yield pointer, f"a column that is a {one.element} needs a system"
        if one.element == "price" and one.currency is None:
            yield pointer, "a price needs a currency, such as EUR"
        for text, value in (one.values or {}).items():
            if not isinstance(value, Value) or value.code is None:
                continue
            system = value.system or one.system
            if system is None and one.element not in PLAIN:
                yield (*pointer, "values", text), "a code needs a system, here or of the column"
            elif one.element == "severity" and system in (None, SEVERITY) and value.code not in SEVERITIES:
                yield (*pointer, "values", text), f"a severity is {', '.join(SEVERITIES)}, or has another system"
        if one.unit is not None and one.unit not in mapping.units and not is_valid(one.unit):
            yield (*pointer, "unit"), f"{one.unit} is neither a UCUM code nor one of the units"
    elements = {one.element for _, one in each}
    if elements & INTERACTIONS:
        yield from _sides(each, elements)
    elif not elements & NAMES:
        yield ("columns",), "no column is a name, a code or an identifier: no drug could be told from another"
    for name, code in mapping.units.items():
        if not is_valid(code):
            yield ("units", name), f"{code} is no UCUM code"
    for key, names in (("key", mapping.key), ("fill", mapping.fill)):
        for number, name in enumerate(names):
            if name not in columns:
                yield (key, number), f"{name} is not among the columns"
    for number, name in enumerate(mapping.ignore):
        if name in columns:
            yield ("ignore", number), f"{name} is among the columns, too"
    rows = [mapping.header] if isinstance(mapping.header, int) else mapping.header or []
    if list(rows) != sorted(set(rows)):
        yield ("header",), "header: write the rows in their order"


def _sides(each: list[tuple[Pointer, Column]], elements: set[Element]) -> Iterator[tuple[Pointer, str]]:
    """What a table of interactions lacks, and what it has that is a drug's."""
    for side, names in (("subject", SUBJECT), ("interactant", INTERACTANT)):
        if not elements & names:
            yield ("columns",), f"a table of interactions needs both sides: no column is its {side}, by name or by code"
    for pointer, one in each:
        if one.element not in INTERACTIONS | ANY:
            yield pointer, f"a table of interactions has no {one.element}: that is for a table of drugs"


def unique(names: list[str]) -> list[str]:
    """Names of columns: what comes again is told apart by its number, as in `Code (2)`."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return found


def written(value: Any) -> str:
    """A mapping as the text of its file."""
    import yaml

    return str(yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=120, default_flow_style=None))
