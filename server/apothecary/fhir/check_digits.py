"""Check digits of codes: whether a code can be one at all.

Verhoeff: https://confluence.ihtsdotools.org/display/DOCRELFMT/6.3+Verhoeff+Dihedral+Group+D5+Check; modulus 10:
https://loinc.org/kb/users-guide/; UNII: https://www.fda.gov/industry/fda-data-standards-advisory-board/fdas-global-substance-registration-system;
CAS: https://www.cas.org/training/documentation/chemical-substances/checkdig
"""

from __future__ import annotations

# The multiplication of the dihedral group of order 10: turns are 0 to 4, reflections 5 to 9.
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _product(one: int, other: int) -> int:
    if one < 5:
        return (one + other) % 5 if other < 5 else 5 + (one + other) % 5
    return 5 + (one - other) % 5 if other < 5 else (one - other) % 5


def verhoeff(digits: str) -> bool:
    """Whether the last of `digits` is the check digit of the others by Verhoeff, as in SNOMED CT identifiers."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit)
        for _ in range(place % 8):
            number = _PERMUTATION[number]
        total = _product(total, number)
    return total == 0


def modulus_10(digits: str) -> bool:
    """Whether the last of `digits` is the check digit of the others by Luhn's rule, as in LOINC codes."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number // 10 + number % 10
    return total % 10 == 0


def unii(code: str) -> bool:
    """Whether the last of 10 characters is the sum of the others, each a digit to the base 36."""
    return sum(int(one, 36) for one in code[:-1]) % 36 == int(code[-1], 36)


def cas(code: str) -> bool:
    """Whether the last digit is the sum of the others, each times its place from the right."""
    digits = code.replace("-", "")
    return sum(place * int(one) for place, one in enumerate(reversed(digits))) % 10 == int(digits[-1])
