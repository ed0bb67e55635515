"""Decimals for search: implicit precision, and text that sorts as the number does.

https://hl7.org/fhir/R5/search.html#number
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)

# Wide enough that no sum, difference or unit conversion of what people write loses a digit; a value beyond is refused,
# not rounded.
CONTEXT = Context(prec=400, Emin=-999_999, Emax=999_999)
MAX_DIGITS = 100
MAX_EXPONENT = 5000


def parse_decimal(text: str) -> Decimal:
    """The number `text` writes in FHIR's decimal form. Raises ValueError for anything else, and past 100 digits or an
    exponent of 5000.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a number such as 5, -0.50 or 5.4e-3")
    value = Decimal(text)
    _, digits, exponent = value.as_tuple()
    if len(digits) > MAX_DIGITS or not isinstance(exponent, int) or abs(exponent) > MAX_EXPONENT:
        raise ValueError(
            f"a number of more than {MAX_DIGITS} digits or with an exponent past {MAX_EXPONENT} cannot be searched"
        )
    return value


def implicit_range(value: Decimal) -> tuple[Decimal, Decimal]:
    """The half-open range that a written number stands for: `100` is [99.5, 100.5), `5.0` is [4.95, 5.05)."""
    exponent = value.as_tuple().exponent
    half = CONTEXT.scaleb(Decimal(5), int(exponent) - 1)
    return CONTEXT.subtract(value, half), CONTEXT.add(value, half)


def sortable(value: Decimal) -> str:
    """ASCII text whose order is the order of the numbers, exact to the last digit: a float would merge neighbours.

    Sign, then the exponent of the first digit, then the digits; for negative numbers each part is complemented.
    """
    sign, digits, _ = value.as_tuple()
    text = "".join(map(str, digits)).strip("0")
    if not text:
        return "1"  # zero: between "0..." (negative) and "2..." (positive)
    magnitude = value.adjusted()
    if sign == 0:
        return f"2{magnitude + 10_000:05}{text}"
    complemented = text.translate(_COMPLEMENT)
    # "~" is after every digit, so that -1.5 comes before -1.
    return f"0{10_000 - magnitude:05}{complemented}~"


_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def from_sortable(text: str) -> Decimal:
    """The number whose `sortable` text this is."""
    if text == "1":
        return Decimal(0)
    negative = text[0] == "0"
    digits = text[6:-1].translate(_COMPLEMENT) if negative else text[6:]
    magnitude = 10_000 - int(text[1:6]) if negative else int(text[1:6]) - 10_000
    return Decimal((int(negative), tuple(map(int, digits)), magnitude - len(digits) + 1))
