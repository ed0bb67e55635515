"""How search reads text: escapes in a query, and the folding of names for comparison.

https://hl7.org/fhir/R5/search.html#escaping and https://hl7.org/fhir/R5/search.html#string
"""

from __future__ import annotations

import hashlib
import unicodedata
from functools import lru_cache
from urllib.parse import unquote_plus

from apothecary.errors import BadRequest

# Longest text that stands in an index key. PostgreSQL refuses index entries past about 2,700 bytes.
KEY_LENGTH = 200


def split(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator` that no backslash escapes; escapes stay in the parts (see `unescape`)."""
    if separator not in text:
        return [text]
    if "\\" not in text:
        return text.split(separator)
    parts: list[str] = []
    current: list[str] = []
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("".join(current))
            current = []
        else:
            current.append(character)
        escaped = character == "\\" and not escaped
    parts.append("".join(current))
    return parts


def unescape(text: str) -> str:
    r"""`\,` `\|` `\$` and `\\` as the characters they stand for. Raises ValueError for any other use of a backslash."""
    if "\\" not in text:
        return text
    result: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            if following not in (",", "|", "$", "\\"):
                raise ValueError(
                    rf"{text!r}: a backslash escapes comma, bar, dollar sign and backslash; write \\ for a backslash"
                )
            result.append(following)
        else:
            result.append(character)
    return "".join(result)


def wanted(text: str) -> str:
    """`text` of a query, unescaped and folded. Raises ValueError where nothing is left: all begin with nothing."""
    folded = fold(unescape(text))
    if not folded:
        raise ValueError(f"{text!r} has no letter, digit or sign to look for")
    return folded


def escape(text: str) -> str:
    """The inverse of `unescape`."""
    for character in "\\,|$":
        text = text.replace(character, "\\" + character)
    return text


@lru_cache(maxsize=16384)
def fold(text: str) -> str:
    """`text` without case, accents, or differences of white space: `Muñoz  Cañadas` is `munoz canadas`.

    Unicode compatibility decomposition, combining marks removed, full case folding; one space between words.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def key(text: str) -> str:
    """`text` as it stands in an index key: unchanged up to 200 characters, else its beginning and a hash."""
    if len(text) <= KEY_LENGTH:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: KEY_LENGTH - 65]}#{digest}"


def decode(text: str) -> list[tuple[str, str]]:
    """The parameters of a query string or form, in order. Raises BadRequest where the text is not UTF-8 or not
    decodable.
    """
    pairs = []
    for one in text.split("&"):
        if not one:
            continue
        name, _, value = one.partition("=")
        try:
            pairs.append((unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")))
        except UnicodeDecodeError:
            raise BadRequest(
                f"{one}: percent-encoding must be of UTF-8 text",
                expression=name,
                remedy="Encode the parameter's value as UTF-8.",
            ) from None
        if "\x00" in pairs[-1][0] or "\x00" in pairs[-1][1]:
            raise BadRequest(f"{one}: the character U+0000 is in no FHIR text", expression=name)
    return pairs
