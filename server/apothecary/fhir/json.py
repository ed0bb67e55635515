"""FHIR JSON without loss: https://hl7.org/fhir/R5/json.html

Decimals keep the digits they were written with (`0.50` stays `0.50`, `1E3` stays `1E3`), the order of elements stays,
and a key that
stands twice in an object is an error, because one of its values would otherwise be dropped without a word.
"""

from __future__ import annotations

import json as _json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

JSON = dict[str, Any]

# Parsers have limits of their own, which change from one version to the next, and lie above this one.
MAX_DEPTH = 200
"""How deep objects and arrays of a document may be nested in one another."""


class DuplicateKey(ValueError):
    """An object of the document has the same key twice."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} stands twice in one object")
        self.key = key


class FhirDecimal(Decimal):
    """A decimal that remembers its literal: `str` gives back exactly what was read. Raises ValueError for an exponent
    beyond the machine's arithmetic: https://docs.python.org/3/library/decimal.html#decimal.MAX_EMAX
    """

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> FhirDecimal:
        try:
            value = super().__new__(cls, literal)
        except InvalidOperation:
            shown = literal if len(literal) <= 40 else f"{literal[:20]}...{literal[-17:]}"
            raise ValueError(f"the number {shown} has an exponent that cannot be read") from None
        value.literal = literal
        return value

    def __str__(self) -> str:
        return self.literal

    def __reduce__(self) -> tuple[type[FhirDecimal], tuple[str]]:
        return FhirDecimal, (self.literal,)


def _integer(literal: str) -> int | FhirDecimal:
    # `-0` is a legal decimal whose sign an int would lose; a literal of thousands of digits is refused by int() on
    # purpose.
    return FhirDecimal(literal) if literal == "-0" or len(literal) > 4000 else int(literal)


def _unique(pairs: list[tuple[str, Any]]) -> JSON:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(key)
            seen.add(key)
    return result


def _not_json(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not JSON")


_decoder = _json.JSONDecoder(
    parse_float=FhirDecimal, parse_int=_integer, parse_constant=_not_json, object_pairs_hook=_unique, strict=True
)


def parse(text: bytes | str) -> Any:
    """The value that `text` writes; objects as dicts in order, decimals as `FhirDecimal`.

    Raises ValueError (json.JSONDecodeError with a position, DuplicateKey, UnicodeDecodeError), also for a document that
    is nested deeper than `MAX_DEPTH`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    # Most documents have fewer brackets than that; the others have theirs counted, for a third of the parsing.
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    return value


_TOO_DEEP = f"the document is nested deeper than {MAX_DEPTH} levels"
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())


def _depth(text: str) -> int:
    """How deep the document `text`, which was parsed, is nested."""
    # Without escaped quotes every second piece between quotes lies outside of strings.
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(outside).encode().translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


# What an escape may write that is no text: U+0000 and the halves of surrogate pairs.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class _Parts(msgspec.Struct):
    """The properties whose items are counted before they are read: https://hl7.org/fhir/R5/bundle.html and
    https://hl7.org/fhir/R5/parameters.html
    """

    entry: list[msgspec.Raw] = []
    parameter: list[msgspec.Raw] = []


_parts = msgspec.json.Decoder(_Parts)
_items = msgspec.json.Decoder(list[msgspec.Raw])


def items(text: bytes) -> int:
    """How many items a document has, an array, Bundle or Parameters resource, found in a fraction of the time and
    memory that reading them takes. 0 for anything else, and for what is no JSON.
    """
    try:
        if text.lstrip()[:1] == b"[":
            return len(_items.decode(text))
        found = _parts.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return 0
    return max(len(found.entry), len(found.parameter))


def no_text(document: bytes, value: Any) -> str | None:
    """What of `value`, parsed from `document`, is no text: U+0000, which no FHIR string has and PostgreSQL cannot hold,
    or half of a surrogate pair, which is not Unicode. None where all is text.
    https://hl7.org/fhir/R5/datatypes.html#string
    """
    # The escape may follow an escaped backslash and be none, and two halves may make a pair.
    if _SUSPECT.search(document) is None:
        return None
    for one in texts(value):
        if "\0" in one:
            return "a text holds the character U+0000"
        if not one.isascii() and any("\ud800" <= character <= "\udfff" for character in one):
            return "a text holds half of a surrogate pair"
    return None


def texts(node: Any) -> Iterator[str]:
    """Every string in `node`, names of properties among them."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)


def _encode_decimal(value: Any) -> msgspec.Raw:
    if isinstance(value, FhirDecimal):
        return msgspec.Raw(value.literal.encode("ascii"))
    raise TypeError(f"{type(value).__name__} is not JSON")


_encoder = msgspec.json.Encoder(enc_hook=_encode_decimal, decimal_format="number")
_sorting_encoder = msgspec.json.Encoder(enc_hook=_encode_decimal, decimal_format="number", order="sorted")


def dumps(value: Any) -> bytes:
    """`value` as compact UTF-8 JSON, decimals with the digits they were read with. Raises ValueError for a lone
    surrogate.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        raise ValueError("the text holds half of a surrogate pair, which is not Unicode text") from None


def sorted_dumps(value: Any) -> bytes:
    """The same with the properties of each object in one order, for a comparison: theirs means nothing."""
    return _sorting_encoder.encode(value)


def pretty(text: bytes, indent: int = 2) -> bytes:
    """The same JSON document, indented by so many spaces; every literal stays as it is."""
    return msgspec.json.format(text, indent=indent)


def compact(text: bytes) -> bytes:
    """The same JSON document without optional white space; every literal stays as it is."""
    return msgspec.json.format(text, indent=-1)
