"""How codes are written: what they stand below by their form, and what cannot be one.

ICD: https://terminology.hl7.org/ICD.html; ATC: https://atcddd.fhi.no/atc/structure_and_principles/; NDC:
https://terminology.hl7.org/NDC.html; language tags: https://www.rfc-editor.org/rfc/rfc4647#section-3.3.1; media types:
https://hl7.org/fhir/R5/search.html#modifierbelow. A form says where a code stands, not that there is such a code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from apothecary.fhir import check_digits, ndc

LANGUAGES: Final = "urn:ietf:bcp:47"
MEDIA_TYPES: Final = "urn:ietf:bcp:13"


@dataclass(frozen=True)
class Form:
    """How the codes of a system are written. `above` gives what a code stands below, nearest first; `below` with what
    the codes below it begin, all of which are below it. `same` is one text for all ways to write a code.
    """

    pattern: re.Pattern[str]
    above: Callable[[str], tuple[str, ...]]
    below: Callable[[str], tuple[str, ...]]
    same: Callable[[str], str] = str
    sure: Callable[[str], bool] = lambda code: True

    def fits(self, code: str) -> bool:
        """Whether `code` is written as codes of the system are."""
        return self.pattern.fullmatch(code) is not None and self.sure(code)

    def subsumes(self, above: str, code: str) -> bool:
        """Whether `above` is an ancestor of `code`, by their forms."""
        if not self.fits(above) or not self.fits(code):
            return False
        return self.same(above) in {self.same(one) for one in self.above(code)}


def _cut(text: str, *lengths: int) -> tuple[str, ...]:
    """The beginnings of those lengths, without `text` itself."""
    return tuple(text[:length] for length in lengths if length < len(text))


def _icd_above(code: str) -> tuple[str, ...]:
    # A subcategory follows the point: G40.909 -> G40.90, G40.9, G40.
    return _cut(code, 7, 6, 5, 3)


def _icd_below(code: str) -> tuple[str, ...]:
    return (f"{code}." if len(code) == 3 else code,)


def _atc_above(code: str) -> tuple[str, ...]:
    return _cut(code, 5, 4, 3, 1)


def _itself(code: str) -> tuple[str, ...]:
    return (code,)


def _language_above(tag: str) -> tuple[str, ...]:
    parts = tag.split("-")
    return tuple("-".join(parts[:number]) for number in range(len(parts) - 1, 0, -1))


def _language_below(tag: str) -> tuple[str, ...]:
    return (f"{tag}-",)


def _media_above(kind: str) -> tuple[str, ...]:
    whole, mark, _ = kind.partition(";")
    return (whole.rstrip(),) if mark else ()


def _media_below(kind: str) -> tuple[str, ...]:
    return () if ";" in kind else (f"{kind};", f"{kind} ;")


def _ndc_above(code: str) -> tuple[str, ...]:
    segments = code.split("-")
    if len(segments) == 3:
        return ("-".join(segments[:2]),)
    # 11 digits are 5-4-2, 12 are 6-4-2; of 10 nobody can tell.
    return (code[:-2],) if len(segments) == 1 and len(code) in (11, 12) else ()


def _ndc_same(code: str) -> str:
    found = ndc.readings(code)
    return str(found[0]) if len(found) == 1 else code


_ICD = Form(re.compile(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?", re.ASCII), _icd_above, _icd_below)
# Private use (x-) and registered tags that have no parts (i-): https://www.rfc-editor.org/rfc/rfc5646#section-2.1
_LANGUAGE = re.compile(r"(?:[A-Za-z]{2,3}|[A-Za-z]{4,8}(?=-)|[xi](?=-))(?:-[A-Za-z0-9]{1,8}){0,30}", re.ASCII)
_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+\-]{1,127}/[A-Za-z0-9!#$&^_.+\-]{1,127}(?:\s*;.{0,500})?", re.ASCII)
_NDC = re.compile(r"[0-9]{4,12}(?:-[0-9]{1,4}){0,2}", re.ASCII)

FORMS: Final[Mapping[str, Form]] = {
    "http://hl7.org/fhir/sid/icd-10-cm": _ICD,
    "http://hl7.org/fhir/sid/icd-10": _ICD,
    "http://www.whocc.no/atc": Form(
        re.compile(r"[A-Z](?:[0-9]{2}(?:[A-Z](?:[A-Z](?:[0-9]{2})?)?)?)?", re.ASCII), _atc_above, _itself
    ),
    "http://hl7.org/fhir/sid/ndc": Form(_NDC, _ndc_above, _itself, _ndc_same, lambda code: bool(ndc.readings(code))),
    LANGUAGES: Form(_LANGUAGE, _language_above, _language_below, str.casefold),
    MEDIA_TYPES: Form(_MEDIA, _media_above, _media_below, str.casefold),
}


class Written(NamedTuple):
    """How the codes of a system are written: `fits` tells, `meaning` says it, `source` is where that stands."""

    fits: Callable[[str], bool]
    meaning: str
    source: str


def _pattern(text: str) -> Callable[[str], bool]:
    pattern = re.compile(text, re.ASCII)
    return lambda code: pattern.fullmatch(code) is not None


_SCTID = re.compile(r"[1-9][0-9]{5,17}", re.ASCII)
# What a post-coordinated expression has and an identifier has not: https://confluence.ihtsdotools.org/display/DOCSCG
_EXPRESSION = re.compile(r"[:+=|(){},\s]")
_LOINC = re.compile(r"[1-9][0-9]{0,6}-[0-9]", re.ASCII)
# Parts, answers, answer lists and groups, whose last digit follows another rule.
_LOINC_OTHER = re.compile(r"L[PALG][0-9]{1,7}-[0-9]|MTHU[0-9]{6}", re.ASCII)
_UNII = re.compile(r"[0-9A-Z]{10}", re.ASCII)
_CAS = re.compile(r"[1-9][0-9]{1,6}-[0-9]{2}-[0-9]", re.ASCII)


def _is_snomed(code: str) -> bool:
    if _EXPRESSION.search(code):
        return True
    return _SCTID.fullmatch(code) is not None and check_digits.verhoeff(code)


def _is_loinc(code: str) -> bool:
    if _LOINC.fullmatch(code) is None:
        return _LOINC_OTHER.fullmatch(code) is not None
    return check_digits.modulus_10(code.replace("-", ""))


# Blocks and chapters stand beside the codes of ICD: https://icd.who.int/browse10/2019/en
_ICD_BLOCK = r"[A-Z][0-9][0-9A-Z]-[A-Z][0-9][0-9A-Z]|[IVX]{1,5}"
_SNOMED = Written(
    _is_snomed,
    "an identifier of 6 to 18 digits with its check digit, or an expression",
    "https://confluence.ihtsdotools.org/display/DOCRELFMT/6.2+SCTID+Representation",
)

WRITTEN: Final[Mapping[str, Written]] = {
    "http://snomed.info/sct": _SNOMED,
    "https://dmd.nhs.uk": Written(
        lambda code: _SCTID.fullmatch(code) is not None and check_digits.verhoeff(code),
        "an identifier of 6 to 18 digits with its check digit",
        "https://dmd.nhs.uk",
    ),
    "http://loinc.org": Written(
        _is_loinc, "digits, a hyphen and the check digit of modulus 10", "https://loinc.org/kb/users-guide/"
    ),
    "http://fdasis.nlm.nih.gov": Written(
        lambda code: _UNII.fullmatch(code) is not None and check_digits.unii(code),
        "10 letters and digits, of which the last checks the others",
        "https://terminology.hl7.org/NamingSystem-FDAUNII.html",
    ),
    "http://terminology.hl7.org/CodeSystem/CAS": Written(
        lambda code: _CAS.fullmatch(code) is not None and check_digits.cas(code),
        "digits, two digits and a check digit, such as 50-78-2",
        "https://www.cas.org/training/documentation/chemical-substances/checkdig",
    ),
    "http://www.whocc.no/atc": Written(
        FORMS["http://www.whocc.no/atc"].fits,
        "a group of 1, 3, 4, 5 or 7 characters, such as N05BA01",
        "https://atcddd.fhi.no/atc/structure_and_principles/",
    ),
    "http://hl7.org/fhir/sid/icd-10-cm": Written(
        _pattern(rf"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{{1,4}})?|{_ICD_BLOCK}"),
        "a category of 3 characters, and up to 4 more after a point",
        "https://www.cdc.gov/nchs/icd/icd-10-cm/",
    ),
    "http://hl7.org/fhir/sid/icd-10": Written(
        # Dagger and asterisk mark the cause and where it shows; national editions go on to a fifth character and more.
        _pattern(rf"[A-Z][0-9]{{2}}(?:\.[0-9A-Z\-]{{1,4}})?[\u2020*+!]?|{_ICD_BLOCK}"),
        "a category of a letter and two digits, and what follows after a point",
        "https://icd.who.int/browse10/2019/en",
    ),
    "http://hl7.org/fhir/sid/cvx": Written(
        _pattern(r"[0-9]{1,3}"),
        "a number of up to 3 digits",
        "https://www2a.cdc.gov/vaccines/iis/iisstandards/vaccines.asp?rpt=cvx",
    ),
    "http://hl7.org/fhir/sid/mvx": Written(
        _pattern(r"[A-Z]{2,3}"),
        "2 or 3 large letters",
        "https://www2a.cdc.gov/vaccines/iis/iisstandards/vaccines.asp?rpt=mvx",
    ),
}


def edges(url: str, codes: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Each of `codes` with the nearest of them that it stands below by its form."""
    form = FORMS.get(url)
    if form is None:
        return
    written: dict[str, str] = {}
    for code in codes:
        if form.fits(code):
            written.setdefault(form.same(code), code)
    for code in codes:
        if form.fits(code):
            for one in form.above(code):
                found = written.get(form.same(one))
                if found is not None:
                    yield code, found
                    break
