"""Files that people write for Apothecary, checked by a JSON Schema: https://json-schema.org/draft/2020-12

What such a file holds is a type, a msgspec.Struct whose fields say what they mean. msgspec reads a sound document at
once; its JSON Schema, which editors use as well, is made from the same type. Only what msgspec refuses is shown to
jsonschema, which finds every fault and is slow to load.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from apothecary.content.documents import Document, Pointer
from apothecary.errors import ContentError, InvalidFile
from apothecary.suggestions import or_rather

T = TypeVar("T")

# msgspec makes ready what it knows of a type when it is first used, and another thread must not use it meanwhile.
_CONVERTING = threading.Lock()

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# As many faults as one answer tells.
MOST_FAULTS = 100

_WANTED = {
    "object": "a table",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}
# Keyword -> what to write.
_BOUNDS = {
    "minimum": "a number from {}",
    "maximum": "a number up to {}",
    "exclusiveMinimum": "a number above {}",
    "exclusiveMaximum": "a number below {}",
    "minLength": "a text of {} or more characters",
    "maxLength": "a text of at most {} characters",
    "minItems": "{} or more items",
    "maxItems": "at most {} items",
}


def json_schema(kind: type[Any], identity: str, title: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the files that hold a `kind`. `identity` is its `$id`."""
    return {"$schema": DIALECT, "$id": identity, "title": title, **msgspec.json.schema(kind)}


def read_as(kind: type[T], document: Document, within: Pointer = ()) -> T:
    """What `document` holds at `within`, as a `kind`. Raises InvalidFile with every fault, in the order of the file.

    No message quotes a value: files of this kind can hold secrets.
    """
    if document.issues:
        faults = (ContentError(document.file, one.line, one.column, one.issue.diagnostics) for one in document.issues)
        raise InvalidFile(tuple(faults))
    value = document.value
    for step in within:
        value = value[step]
    try:
        with _CONVERTING:
            return msgspec.convert(value, kind)
    except msgspec.ValidationError as refused:
        found = dict.fromkeys(_faults(kind, document, value, within)) or {((), str(refused)): None}
    raise InvalidFile(placed(document, [((*within, *pointer), reason) for pointer, reason in found]))


def placed(document: Document, faults: list[tuple[Pointer, str]]) -> tuple[ContentError, ...]:
    """Faults at pointers, as errors at places: in the order of the file, no more than one answer tells."""
    errors = [ContentError(document.file, *document.positions.find(pointer), said) for pointer, said in faults]
    errors.sort(key=lambda one: (one.line, one.column))
    more = len(errors) - MOST_FAULTS
    if more > 0:
        errors[MOST_FAULTS:] = [ContentError(document.file, 0, 0, f"and {more} more")]
    return tuple(errors)


def _faults(kind: type[Any], document: Document, value: Any, within: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Every fault of the value, with where it is from there and what to do about it."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # 1.0 is an integer to JSON Schema, and none to TOML, YAML and us.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, one: type(one) is int)
    schema = msgspec.json.schema(kind)
    told = _Told(schema, within, document.format == "toml")
    checker: Any = extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call] # jsonschema's
    for error in checker(schema).iter_errors(value):
        yield from told.faults(error)


def _meant(error: Any) -> list[Any]:
    """What is wrong by the one of several schemas that takes a value of this type; empty where none or more do."""
    branches: dict[Any, list[Any]] = {}
    for one in error.context:
        branches.setdefault(one.schema_path[0], []).append(one)
    fitting = [
        found
        for found in branches.values()
        if not any(one.validator in ("type", "enum", "const") and not one.path for one in found)
    ]
    return fitting[0] if len(fitting) == 1 else []


class _Told:
    """Turns what jsonschema found into sentences for people."""

    def __init__(self, schema: Mapping[str, Any], within: Pointer, toml: bool) -> None:
        self.schema = schema
        self.within = within
        self.toml = toml

    def faults(self, error: Any) -> Iterator[tuple[Pointer, str]]:
        """The faults that one error stands for."""
        pointer: Pointer = tuple(error.absolute_path)
        if error.validator == "additionalProperties" and error.validator_value is False:
            known = error.schema.get("properties", {})
            for key in error.instance:
                if key not in known:
                    yield (*pointer, key), self._unknown(key, pointer, known)
        elif error.validator == "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            # jsonschema has an error for each: the caller keeps one of a kind.
            yield pointer, f"{self._table(pointer)} lacks {', '.join(missing)}"
        elif error.validator in ("anyOf", "oneOf") and (meant := _meant(error)):
            for one in meant:
                yield from self.faults(one)
        else:
            name = ".".join(str(one) for one in pointer) or self._table(pointer)
            yield pointer, f"{name}: write {self._wanted(error)}"

    def _wanted(self, error: Any) -> str:
        asked = error.validator_value
        if "errorMessage" in error.schema:
            return str(error.schema["errorMessage"])
        if error.validator == "type":
            return " or ".join(_WANTED.get(one, one) for one in ([asked] if isinstance(asked, str) else asked))
        if error.validator in ("anyOf", "oneOf"):
            return " or ".join(dict.fromkeys(self._wanted(one) for one in error.context))
        if error.validator in ("enum", "const"):
            choices = [str(one) for one in (asked if error.validator == "enum" else [asked])]
            one_of = "one of " if len(choices) > 1 else ""
            return f"{one_of}{', '.join(choices)}{or_rather(error.instance, choices)}"
        if error.validator in _BOUNDS:
            return _BOUNDS[error.validator].format(asked)
        return f"what meets {error.validator}: {asked}"

    def _unknown(self, key: str, pointer: Pointer, known: Mapping[str, Any]) -> str:
        said = f"{key!r} is not a key of {self._table(pointer)}"
        if near := or_rather(key, known):
            return said + near
        homes = [home for home, keys in self._tables(self.schema, ()) if key in keys]
        if homes:
            return f"{said}; it belongs to {' or '.join(map(self._table, homes))}"
        return f"{said}; {'its keys are' if len(known) > 1 else 'its only key is'} {', '.join(sorted(known))}"

    def _tables(self, schema: Mapping[str, Any], pointer: Pointer, depth: int = 0) -> Iterator[tuple[Pointer, Any]]:
        """The tables that have a fixed place, each with its keys."""
        if "$ref" in schema:
            schema = self.schema["$defs"][schema["$ref"].rpartition("/")[2]]
        properties = schema.get("properties", {})
        yield pointer, properties
        # A type that holds itself has no end.
        for key, one in properties.items() if depth < len(self.schema.get("$defs", ())) else ():
            yield from self._tables(one, (*pointer, key), depth + 1)

    def _table(self, pointer: Pointer) -> str:
        """How the file's language writes the name of the table at `pointer`."""
        name = ".".join(str(one) for one in (*self.within, *pointer))
        if not name:
            return "the file"
        return f"[{name}]" if self.toml else name
