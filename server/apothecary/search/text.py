"""How search reads text: escapes in a query, and the folding of names for comparison.

https://hl7.org/fhir/R5/search.html#escaping and https://hl7.org/fhir/R5/search.html#string
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote_plus

from apothecary.errors import BadRequest, TooCostly
from apothecary.fhir.caches import short_cache
from apothecary.settings import PREFIX

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
    """`text` of a query, unescaped and bare. Raises ValueError where nothing is left: all begin with nothing."""
    return something(unescape(text))


def something(text: str) -> str:
    """`text`, bare. Raises ValueError where nothing is left."""
    found = bare(text)
    if not found:
        raise ValueError(f"{text!r} has no letter, digit or sign to look for")
    return found


def shortened(text: str) -> str:
    """`text` as a message quotes it."""
    return text if len(text) <= KEY_LENGTH else f"{text[:KEY_LENGTH]}..."


def escape(text: str) -> str:
    """The inverse of `unescape`."""
    for character in "\\,|$":
        text = text.replace(character, "\\" + character)
    return text


# Letters that are letters of their own to Unicode, and that people who lack the key write like this: the rules of
# CLDR's transform Latin-ASCII, https://github.com/unicode-org/cldr/blob/main/common/transforms/Latin-ASCII.xml
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ŋ": "n", "ı": "i"}
)


@short_cache(16384, longest=KEY_LENGTH)
def fold(text: str) -> str:
    """`text` without case, accents, or differences of white space: `Muñoz  Cañadas` is `munoz canadas`, and `Łódź` is
    `lodz`.

    Unicode compatibility decomposition, combining marks removed, full case folding; one space between words.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LETTERS).split())


# What joins the parts of one word: apostrophes, hyphens and dashes, full stops, the middle dot.
_JOINING = frozenset("'\u2018\u2019\u02bc\u2032`-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad.\u00b7\u30fb")


@short_cache(16384, longest=KEY_LENGTH)
def bare(text: str) -> str:
    """`text` as string parameters compare it: folded, and without punctuation. `O'Neill, Jean-Paul` is `oneill
    jeanpaul`.

    What joins the parts of a word goes, other punctuation is read as a space; symbols (`+`, `<`) stay, and so does what
    alone stands between two digits, or `1.5 mg` were `15 mg`.
    """
    folded = fold(text)
    if folded.replace(" ", "").isalnum():
        return folded
    return " ".join(_SIGNS.sub(_symbols, folded).split())


# What is neither a letter, a digit nor white space.
_SIGNS = re.compile(r"(?:[^\w\s]|_)+")


def _symbols(signs: re.Match[str]) -> str:
    """What stays of signs that follow each other."""
    text, start, end = signs.string, signs.start(), signs.end()
    stays = "".join(map(_symbol, signs[0]))
    # Where a symbol stays, it keeps the digits apart.
    if start and not stays.strip() and text[start - 1].isdecimal() and text[end : end + 1].isdecimal():
        return signs[0]
    return stays


@lru_cache(maxsize=1024)
def _symbol(sign: str) -> str:
    if sign in _JOINING:
        return ""
    return " " if unicodedata.category(sign).startswith("P") else sign


def key(text: str) -> str:
    """`text` as it stands in an index key: unchanged up to 200 characters, else its beginning and a hash."""
    if len(text) <= KEY_LENGTH:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: KEY_LENGTH - 65]}#{digest}"


# Most parameters of a query that no client sends: what a definition or a Python program asks.
MOST_PARAMETERS = 1000


def decode(text: str, most: int = MOST_PARAMETERS) -> list[tuple[str, str]]:
    """The parameters of a query string or form, in order. Raises BadRequest where the text is not UTF-8 or not
    decodable, TooCostly, before anything is taken apart, where there may be more than `most`.
    """
    if text.count("&") >= most:
        raise TooCostly(
            f"there are more than {most} parameters",
            remedy=f"The operator of the server can allow more ({PREFIX}PARAMETER_LIMIT).",
        )
    return list(_decoded(text))


# As many as there are searches that are remembered (`apothecary.interactions.prepared`).
@short_cache(2000)
def _decoded(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for one in text.split("&"):
        if not one:
            continue
        name, _, value = one.partition("=")
        try:
            pairs.append((unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")))
        except UnicodeDecodeError:
            raise BadRequest(
                f"{shortened(one)}: percent-encoding must be of UTF-8 text",
                expression=name,
                remedy="Encode the parameter's value as UTF-8.",
            ) from None
        if "\x00" in pairs[-1][0] or "\x00" in pairs[-1][1]:
            raise BadRequest(f"{shortened(one)}: the character U+0000 is in no FHIR text", expression=name)
    return tuple(pairs)
