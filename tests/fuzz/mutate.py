"""Resources that are nearly right, and bytes that are nearly text."""

from __future__ import annotations

import copy
import json
import zlib
from typing import Any

from tests.fuzz.dice import Dice
from tests.fuzz.words import DATES, NUMBERS, ODD, REFERENCES, URIS, text

Place = tuple[Any, Any]
_KEYS = (
    *(
        "id",
        "resourceType",
        "meta",
        "text",
        "div",
        "extension",
        "url",
        "value",
        "contained",
        "reference",
        "status",
        "code",
    ),
    *(
        "system",
        "_status",
        "_id",
        "fullUrl",
        "entry",
        "expression",
        "versionId",
        "lastUpdated",
        "profile",
        "",
        "\ud800",
        "x",
    ),
)


def mutated(dice: Dice, resource: dict[str, Any]) -> dict[str, Any]:
    """A copy with a few faults, or a few other values."""
    found = copy.deepcopy(resource)
    for _ in range(dice.few(5, 1)):
        places = _places(found)
        if not places:
            break
        _change(dice, found, places)
    return found


def _places(value: Any) -> list[Place]:
    """Every place that holds a value: the object or list, and the key in it."""
    found: list[Place] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found


def _change(dice: Dice, root: dict[str, Any], places: list[Place]) -> None:
    holder, key = dice.choice(places)
    other, its = dice.choice(places)

    def put() -> None:
        holder[key] = anything(dice)

    def remove() -> None:
        del holder[key]

    def move() -> None:
        holder[key] = copy.deepcopy(other[its])

    def repeat() -> None:
        holder[key] = [copy.deepcopy(holder[key]) for _ in range(dice.choice((1, 2, 40)))]

    def add() -> None:
        if isinstance(holder, dict):
            holder[dice.choice(_KEYS)] = anything(dice)
        else:
            holder.append(copy.deepcopy(holder[key]))

    def flatten() -> None:
        value = holder[key]
        holder[key] = value[0] if isinstance(value, list) and value else {"x": value}

    def extend() -> None:
        target = holder if isinstance(holder, dict) else root
        target["extension"] = [{"url": dice.choice(URIS), "valueString": text(dice)}]

    dice.one(((4, put), (3, remove), (2, move), (1, repeat), (2, add), (1, flatten), (1, extend)))


def anything(dice: Dice, depth: int = 2) -> Any:
    """Any JSON value."""
    ways = [
        (4.0, lambda: text(dice)),
        (2.0, lambda: dice.choice((0, 1, -1, 7, 2**31, 2**63, -(2**63) - 1, 10**40, 1.5, -0.0, 1e308))),
        (1.0, lambda: dice.choice((None, True, False))),
        (1.0, lambda: dice.choice((*DATES, *NUMBERS, *REFERENCES))),
    ]
    if depth:
        ways += [
            (1.0, lambda: [anything(dice, depth - 1) for _ in range(dice.few(3))]),
            (1.0, lambda: {dice.choice(_KEYS): anything(dice, depth - 1) for _ in range(dice.few(3))}),
        ]
    return dice.one(ways)


def spelled(dice: Dice, value: Any) -> bytes:
    """The value as JSON, in one of the ways that it can be spelled; seldom with a number that Python cannot say."""
    found = json.dumps(value, ensure_ascii=dice.chance(0.5), indent=dice.choice((None, None, 1)), default=float)
    if dice.chance(0.03):
        digits = dice.choice((*NUMBERS, "9" * 5000, "0." + "1" * 5000, "1E+2147483648"))
        found = found.replace(": ", ": " + digits if dice.chance(0.3) else f': {digits}, "x": ', 1)
    return found.encode("utf-8", "surrogatepass")


_FRAGMENTS = (
    *(b"", b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"-1e99", b"\xff", b"\xc3", b"\\ud800", b"\\u0000", b"<"),
    *(
        b">",
        b"&x;",
        b"&#0;",
        b"\x00",
        b"*a",
        b"\xef\xbb\xbf",
        b"</",
        b"<!DOCTYPE a>",
        b"<?x?>",
        b"]]>",
        b"\xed\xa0\x80",
    ),
)


def damaged(dice: Dice, content: bytes) -> bytes:
    """Bytes of which pieces are cut out, and others put in."""
    for _ in range(dice.few(4, 1)):
        start = dice.randint(0, len(content))
        content = content[:start] + dice.choice(_FRAGMENTS) + content[start + dice.few(40) :]
    return content


def deep(dice: Dice) -> bytes:
    """What is nested deeply, closed or not."""
    opening, closing = dice.choice(
        (
            (b"[", b"]"),
            (b'{"a":', b"}"),
            (b'[{"extension":', b"}]"),
            (b"<a>", b"</a>"),
            (b'{"resourceType":"Bundle","entry":[{"resource":', b"}]}"),
            (b'{"resourceType":"Parameters","parameter":[{"name":"a","part":', b"}]}"),
        )
    )
    depth = dice.choice((20, 90, 400, 3000))
    inner = opening * depth + b"1" + (closing * depth if dice.chance(0.7) else b"")
    return b'{"resourceType":"Medication","extension":' + inner + b"}" if dice.chance(0.5) else inner


def encoded(dice: Dice, content: bytes) -> tuple[bytes, str | None]:
    """The content in a coding, right or broken, and the Content-Encoding that says so."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(content) + packer.flush()
    return dice.choice(
        (
            (packed, "gzip"),
            (packed, "x-gzip"),
            (packed[: len(packed) // 2], "gzip"),
            (packed + b"rest", "gzip"),
            (packed + packed, "gzip"),
            (content, "gzip"),
            (packed, None),
            (zlib.compress(content), "deflate"),
            (content, "br"),
            (packed, "gzip, gzip"),
            (content, "identity"),
        )
    )


def odd_text(dice: Dice) -> bytes:
    """Bytes without any form."""
    return dice.choice(
        (
            *(
                b"",
                b" ",
                b"null",
                b"0",
                b'""',
                b"[]",
                b"{}",
                b"\xef\xbb\xbf{}",
                b"\x00",
                b"<a/>",
                b"<",
                b"%",
                b"a=b&c=d",
            ),
            '{"resourceType":"Medication"}'.encode("utf-16"),
            b'{"resourceType":"Medication","resourceType":"Patient"}',
            b'{"resourceType":"Medication"}{"resourceType":"Medication"}',
            b"NaN",
            b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><Medication xmlns='http://hl7.org/fhir'>&a;</Medication>",
            dice.randbytes(dice.choice((1, 30, 300))),
            dice.choice(ODD).encode("utf-8", "surrogatepass"),
        )
    )
