"""Numbers as catalogues write them, with the digits that they have: https://hl7.org/fhir/R5/datatypes.html#decimal."""

from __future__ import annotations

import re

from apothecary.fhir.json import FhirDecimal

# https://hl7.org/fhir/R5/datatypes.html#decimal: before the point, and after it.
_WHOLE, _FRACTION = 18, 17
_NUMBER = re.compile(r"(-?)(\d*)(?:(\.)(\d*))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)


def number(text: str) -> int | FhirDecimal | None:
    """The number that `text` writes: `.5` is 0.5, `0.50` stays 0.50, `007` is 7. None for what is no number in digits
    with a decimal point, such as `1,000`, `5-10` or `5 mg`, and for one of more digits than a decimal may have.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, point, fraction, exponent = found.groups()
    if not (whole or fraction) or len(whole.lstrip("0")) > _WHOLE or len(fraction or "") > _FRACTION:
        return None
    digits = sign + (whole.lstrip("0") or "0")
    if point and fraction:
        digits += f".{fraction}"
    if exponent:
        return FhirDecimal(f"{digits}E{exponent}")
    return FhirDecimal(digits) if (point and fraction) or digits == "-0" else int(digits)
