"""Code systems whose hierarchy follows from the way their codes are written, whether they are held or not.

ICD-10-CM (https://terminology.hl7.org/ICD.html): a category of three characters,
and below it one character after the other: G40, G40.9, G40.90, G40.909. ICD-10 of the WHO is written the same way.
ATC (https://www.whocc.no/atc/structure_and_principles/): five levels, of 1, 3, 4, 5 and 7 characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CodeForm:
    """How codes are written, and where one of them stands."""

    written: re.Pattern[str]
    levels: tuple[int, ...]
    """The lengths that codes can have."""

    def matches(self, code: str) -> bool:
        """Whether it is written as a code of the system."""
        return self.written.fullmatch(code) is not None

    def above(self, code: str) -> tuple[str, ...]:
        """What `code` stands below, the nearest first; nothing where it is not written as a code. Not all of them need
        exist.
        """
        if not self.matches(code):
            return ()
        return tuple(code[:length] for length in reversed(self.levels) if length < len(code))

    def stem(self, code: str) -> str:
        """What all codes below `code` begin with."""
        return f"{code}." if self is _ICD and len(code) == _ICD.levels[0] else code


_ICD = CodeForm(re.compile(r"[A-Za-z][0-9][0-9A-Za-z](?:\.[0-9A-Za-z]{1,4})?"), (3, 5, 6, 7, 8))
_ATC = CodeForm(re.compile(r"[A-Za-z](?:[0-9]{2}(?:[A-Za-z](?:[A-Za-z](?:[0-9]{2})?)?)?)?"), (1, 3, 4, 5, 7))

CODE_FORMS: Mapping[str, CodeForm] = {
    "http://hl7.org/fhir/sid/icd-10-cm": _ICD,
    "http://hl7.org/fhir/sid/icd-10": _ICD,
    "http://www.whocc.no/atc": _ATC,
}


def form_of(system: str, code: str) -> CodeForm | None:
    """The form of a code that stands in the hierarchy by it; None where the system has none, or the code not that."""
    form = CODE_FORMS.get(system)
    return form if form is not None and form.matches(code) else None
