"""Numbers as catalogues write them, with the digits that they have: https://hl7.org/fhir/R5/datatypes.html#decimal."""

from __future__ import annotations

import re

from apothecary.fhir.decimals import MAX_DIGITS
from apothecary.fhir.json import FhirDecimal

_NUMBER = re.compile(r"(-?)(\d*)(?:(\.)(\d*))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)


def number(text: str) -> int | FhirDecimal | None:
    """The number that `text` writes: `.5` is 0.5, `0.50` stays 0.50, `007` is 7. None for what is no number in digits
    with a decimal point, such as `1,000`, `5-10` or `5 mg`, and for one of more digits than can be searched.
    """
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > MAX_DIGITS:
        return None
    sign, whole, point, fraction, exponent = found.groups()
    if not (whole or fraction):
        return None
    digits = sign + (whole.lstrip("0") or "0")
    if point and fraction:
        digits += f".{fraction}"
    if exponent:
        return FhirDecimal(f"{digits}E{exponent}")
    return FhirDecimal(digits) if (point and fraction) or digits == "-0" else int(digits)
