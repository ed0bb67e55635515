"""National Drug Codes: which ways of writing one mean the same package or product.

https://terminology.hl7.org/NDC.html and https://www.ecfr.gov/current/title-21/section-207.33

A code has a labeler, a product and a package segment. Labels write 10 digits in segments of 4-4-2, 5-3-2 or 5-4-1,
claims 11 digits in 5-4-2, mostly without hyphens; labeler codes of 6 digits are to come. The same code padded with
zeroes to 6-4-2 is one form for all of them.

Files and people write spaces, dashes or asterisks where the hyphens stand, and older files of FDA an asterisk for the
zero that fills a product or package segment: `00004*0091*01`, `00004 0091 01` and `00004-*091-*1` are forms, too.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from apothecary.fhir.caches import short_cache

# Lengths of the segments, of a package and of a product.
_WRITTEN = frozenset(
    {
        (4, 4, 2),
        (5, 3, 2),
        (5, 4, 1),
        (5, 4, 2),
        (6, 3, 2),
        (6, 4, 1),
        (6, 4, 2),
        (4, 4),
        (5, 3),
        (5, 4),
        (6, 3),
        (6, 4),
    }
)
# Without hyphens the number of digits does not always tell where the segments end.
_READINGS: dict[int, tuple[tuple[int, ...], ...]] = {
    8: ((4, 4), (5, 3)),
    9: ((5, 4),),
    10: ((4, 4, 2), (5, 3, 2), (5, 4, 1)),
    11: ((5, 4, 2),),
    12: ((6, 4, 2),),
}
_WIDTHS = (6, 4, 2)
_HYPHENATED = re.compile("|".join("-".join(rf"\d{{{length}}}" for length in one) for one in sorted(_WRITTEN)), re.ASCII)
_FORM = re.compile(r"\d+(?:-\d+){0,2}", re.ASCII)
# Hyphens, other dashes of Unicode and the minus sign, with spaces around them.
_DASH = re.compile(r"\s*[-\u2010-\u2015\u2212]\s*")
_SPACE = re.compile(r"\s+")
# Where the segments of 11 digits begin: an asterisk there stands for a zero.
_FILLED = frozenset({0, 5, 9})


class Ndc(NamedTuple):
    """The segments of a code padded to 6-4-2; `package` is empty for a product."""

    labeler: str
    product: str
    package: str = ""

    def __str__(self) -> str:
        return "".join(self)

    @property
    def of_product(self) -> Ndc:
        """The product that is in the package; of a product, itself."""
        return Ndc(self.labeler, self.product)


@short_cache(16384, longest=50)
def readings(text: str) -> tuple[Ndc, ...]:
    """Every code that `text` may be: none where it has no form of an NDC, several where hyphens are missing.

    `0004-0091-01`, `00004009101`, `0004*0091*01` and `0004 0091 01` are one and the same; `0004009101` may be 4-4-2,
    5-3-2 or 5-4-1. Rules ask it as the index does, and several resources of a catalogue have the code of one package.
    """
    if is_written(text):
        return (_padded(text.split("-")),)
    text = hyphenated(text)
    if _FORM.fullmatch(text) is None:
        return ()
    segments = text.split("-")
    if len(segments) > 1:
        return (_padded(segments),) if _known(segments) else ()
    return tuple(_padded(_cut(text, lengths)) for lengths in _READINGS.get(len(text), ()))


def is_written(text: str) -> bool:
    """Whether `text` is a code with all of its hyphens, as most are."""
    return _HYPHENATED.fullmatch(text) is not None


def hyphenated(text: str) -> str:
    """`text` with hyphens where other signs separate the segments of a code, and zeroes for asterisks that fill them;
    digits alone, where spaces stand elsewhere. What is no code stays none.
    """
    if text.isdecimal():
        return text
    text = _DASH.sub("-", text.strip())
    if "-" in text:
        return text.replace("*", "0")
    segments = text.split("*")
    if len(segments) > 1:
        if _known(segments):
            return "-".join(segments)
        places = {place for place, sign in enumerate(text) if sign == "*"}
        return text.replace("*", "0") if len(text) == sum(_READINGS[11][0]) and places <= _FILLED else text
    segments = _SPACE.split(text)
    return ("-" if _known(segments) else "").join(segments)


def _known(segments: list[str]) -> bool:
    """Whether segments are as long as those of a code are."""
    return tuple(map(len, segments)) in _WRITTEN


def _cut(digits: str, lengths: tuple[int, ...]) -> list[str]:
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    return [digits[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _padded(segments: list[str]) -> Ndc:
    return Ndc(*(segment.zfill(width) for segment, width in zip(segments, _WIDTHS, strict=False)))
