"""FHIR JSON written as YAML, with positions: the values of https://hl7.org/fhir/R5/json.html, the syntax of
https://yaml.org/spec/1.2.2/

What YAML would guess from an unquoted scalar (dates, `no`, octal numbers) is not guessed: the type of the element
decides, by the definitions; where they know no element, only what JSON writes the same way is a number, true, false
or null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from apothecary.content.documents import Document, Lines, PlacedIssue, Pointer, RecordedPositions, reading_issue
from apothecary.content.literals import typed
from apothecary.fhir.definitions import Definitions, definitions
from apothecary.fhir.json import MAX_DEPTH
from apothecary.fhir.releases import FhirVersion

MAX_ALIASED_NODES = 100_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


class Plain(str):
    """A scalar without quotes, whose type is still open."""

    __slots__ = ()


def read_yaml(file: str, text: str, version: FhirVersion = FhirVersion.R5) -> Document:
    """The document that `text` writes. Never raises: what is wrong with the text becomes issues."""
    builder = _Builder()
    readable = True
    value = None
    try:
        builder.read(text)
        value = _resolved(builder.root, None, definitions(version))
    except _Stop as stop:
        builder, stop = _first(text, builder, stop)
        builder.issues.append(stop.placed)
        readable = False
    return Document(file, text, "yaml", value, RecordedPositions(builder.places), tuple(builder.issues), readable)


def scalar_spans(text: str) -> dict[Pointer, tuple[int, int]]:
    """Where each scalar value of a readable document begins and ends in its text, in characters."""
    builder = _Builder()
    builder.read(text)
    return builder.spans


class _Stop(Exception):
    """The rest of the document cannot be read. `offset` is where the parser itself gave up."""

    def __init__(
        self, rule: str, message: str, place: tuple[int, int], remedy: str | None = None, offset: int | None = None
    ) -> None:
        self.placed = PlacedIssue(reading_issue(rule, message, remedy), *place)
        self.offset = offset


def _first(text: str, builder: _Builder, stop: _Stop) -> tuple[_Builder, _Stop]:
    """What ends the reading, and what was read until then.

    The parser looks ahead: a fault, or a limit of its own, behind the place where the document is nested too deeply
    hides that place. So what stands before its fault is read once more without the rest.
    """
    if stop.offset is not None:
        before = _Builder()
        try:
            before.read(text[: stop.offset])
        except _Stop as earlier:
            if earlier.placed.issue.rule == "too-deep":
                return before, earlier
    return builder, stop


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # libyaml puts the end of a text without a last line break on a line that does not exist.
        offset = min(mark.index, len(text)) if mark else 0
        said = f"{error.context or 'The text is not YAML'}: {error.problem or 'it cannot be read'}."
        place = Lines(text).place(offset)
        raise _Stop("yaml-syntax", said[0].upper() + said[1:], place, offset=offset) from None
    except yaml.YAMLError as error:
        # A ReaderError counts in the text, not in lines.
        offset = getattr(error, "position", 0)
        said = "A character stands here that YAML does not allow."
        raise _Stop("yaml-syntax", said, Lines(text).place(offset), offset=offset) from None


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


@dataclass(slots=True)
class _Open:
    """A container that is being read. `key` is the pending key of a mapping."""

    value: dict[str, Any] | list[Any]
    pointer: Pointer
    anchor: str | None
    key: str | None = None
    size: int = 1


@dataclass(slots=True)
class _Builder:
    """Builds values from events, without recursion: depth is bounded by a rule, not by the interpreter."""

    root: Any = None
    open: list[_Open] = field(default_factory=list)
    places: dict[Pointer, tuple[int, int]] = field(default_factory=dict)
    # Where scalars begin and end in the text; asked for by who changes them.
    spans: dict[Pointer, tuple[int, int]] = field(default_factory=dict)
    issues: list[PlacedIssue] = field(default_factory=list)
    # Finished nodes by anchor, with the number of nodes that an alias to them stands for.
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    aliased: int = 0
    documents: int = 0

    def read(self, text: str) -> None:
        """Build what `text` writes. Raises _Stop."""
        for event in _events(text):
            self.take(event)

    def take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    remedy = "Write each resource into a file of its own, or all into a Bundle."
                    raise _Stop("yaml-feature", "A second document starts here.", _place(event), remedy)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self.open.pop()
                if closed.anchor is not None:
                    self.anchors[closed.anchor] = (closed.value, closed.size)
                if self.open:
                    self.open[-1].size += closed.size
            case yaml.ScalarEvent():
                self.scalar(event)
            case yaml.AliasEvent():
                self.alias(event)
            case yaml.StreamEndEvent() if not self.documents:
                raise _Stop("yaml-syntax", "The document is empty.", (1, 1), "Write one resource.")

    def start(self, event: Any) -> None:
        if len(self.open) == MAX_DEPTH:
            raise _Stop("too-deep", f"The document is nested deeper than {MAX_DEPTH} levels.", _place(event))
        if self.awaits_key():
            raise _Stop("yaml-feature", "A key is not text.", _place(event))
        self.check_tag(event)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Open(value, self.add(value, event), event.anchor))

    def scalar(self, event: Any) -> None:
        self.check_tag(event)
        text: str = event.value
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Stop("lone-surrogate", "A string holds half of a surrogate pair.", _place(event)) from None
        if self.awaits_key():
            self.key(text, event)
            return
        plain = event.implicit[0]
        value = Plain(text) if plain else text
        self.add(value, event)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)

    def key(self, text: str, event: Any) -> None:
        container = self.open[-1]
        if text == "<<" and event.implicit[0]:
            self.report("yaml-feature", "The merge key << is not part of FHIR.", event, "Write the elements out.")
        if text in container.value:
            remedy = "Keep one of the two; repeating elements are written as one list."
            self.report("duplicate-key", f"The key {text!r} stands twice in one object.", event, remedy)
        container.key = text

    def alias(self, event: Any) -> None:
        if self.awaits_key():
            raise _Stop("yaml-feature", "A key is an alias.", _place(event))
        if event.anchor not in self.anchors:
            raise _Stop("yaml-alias", f"The alias *{event.anchor} names nothing that ends before it.", _place(event))
        value, size = self.anchors[event.anchor]
        self.aliased += size
        if self.aliased > MAX_ALIASED_NODES:
            said = f"The aliases up to here stand for more than {MAX_ALIASED_NODES} values."
            raise _Stop("yaml-alias", said, _place(event), "Write the values out.")
        self.add(value, event)
        if self.open:
            self.open[-1].size += size - 1

    def add(self, value: Any, event: Any) -> Pointer:
        """Put `value` where the innermost open container wants it."""
        pointer: Pointer = ()
        if not self.open:
            self.root = value
        else:
            container = self.open[-1]
            container.size += 1
            if isinstance(container.value, list):
                pointer = (*container.pointer, len(container.value))
                container.value.append(value)
            else:
                pointer = (*container.pointer, container.key or "")
                container.value[container.key or ""] = value
                container.key = None
        self.places[pointer] = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            mark: Any = event  # Its marks are never None: what is read has a place.
            self.spans[pointer] = (mark.start_mark.index, mark.end_mark.index)
        return pointer

    def awaits_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.open[-1].key is None

    def check_tag(self, event: Any) -> None:
        if event.tag not in _TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report("yaml-feature", f"The tag {tag} means nothing in FHIR.", event, "Leave it out.")

    def report(self, rule: str, message: str, event: Any, remedy: str) -> None:
        self.issues.append(PlacedIssue(reading_issue(rule, message, remedy, fatal=False), *_place(event)))


def _resolved(value: Any, type_name: str | None, known: Definitions) -> Any:
    """`value` with each plain scalar as what its element's type says; `type_name` is None where no element is known."""
    if isinstance(value, dict):
        properties = _properties(value, type_name, known)
        return {key: _resolved(each, properties.get(key), known) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolved(each, type_name, known) for each in value]
    if not isinstance(value, Plain):
        return value
    if value in _NULL:
        return None
    if type_name is not None and known.has_structure(type_name) and known.structure(type_name).kind == "primitive-type":
        return typed(str(value), type_name)
    if value in ("true", "false"):
        return value == "true"
    return typed(str(value), "decimal" if "." in value else "integer") if _NUMBER.fullmatch(value) else str(value)


def _properties(value: dict[str, Any], type_name: str | None, known: Definitions) -> dict[str, str]:
    """The type or backbone of each key of an object; `_birthDate` has that of `birthDate`, whose companion it is."""
    if isinstance(resource_type := value.get("resourceType"), str):
        type_name = str(resource_type)
    if type_name is None or not known.has_structure(type_name):
        return {}
    properties = known.structure(type_name).properties
    named = {key: properties.get(key.removeprefix("_")) for key in value}
    return {key: found.structure for key, found in named.items() if found is not None}
