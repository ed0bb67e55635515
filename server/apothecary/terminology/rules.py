"""Code systems that nobody lists, whose rule says what is a code, and lists that the specification publishes in a value
set: https://hl7.org/fhir/R5/terminologies-systems.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

from apothecary.errors import NotEnumerable
from apothecary.fhir import ucum
from apothecary.fhir.caches import short_cache
from apothecary.fhir.code_forms import FORMS, LANGUAGES, MEDIA_TYPES
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.model import Concept
from apothecary.terminology.sources import RELEASES, Candidate, ValueSet, all_codes

# Value sets that are all codes of a system: their displays are all that is published of it.
_LISTS: Mapping[str, str] = {
    "urn:iso:std:iso:3166": "http://hl7.org/fhir/ValueSet/country",
    "urn:iso:std:iso:4217": "http://hl7.org/fhir/ValueSet/currencies",
}
# https://hl7.org/fhir/R4/ucum.html#implicit and https://hl7.org/fhir/R5/terminologies-systems.html
_VALUE_SETS: Mapping[str, str] = {
    "http://hl7.org/fhir/ValueSet/all-languages": LANGUAGES,
    "http://hl7.org/fhir/ValueSet/mimetypes": MEDIA_TYPES,
    "http://hl7.org/fhir/ValueSet/ucum-units": ucum.SYSTEM,
    f"{ucum.SYSTEM}/vs": ucum.SYSTEM,
}
# No tag, type or unit in use comes near it.
_LONGEST = 1_000


class Ruled(CodeSystem):
    """A code system with as many codes as its rule allows; of some it may be said more (supplements)."""

    def __init__(self, url: str, rule: Callable[[str], bool], *, case_sensitive: bool) -> None:
        super().__init__(url, case_sensitive=case_sensitive)
        self._rule = rule

    @property
    def held(self) -> bool:
        return True

    def find(self, code: str) -> Concept | None:
        found = super().find(code)
        if found is None and len(code) <= _LONGEST and self._rule(code):
            # UCUM has no displays: https://hl7.org/fhir/R4/ucum.html, "the UCUM code is used directly".
            return Concept(code, code if self.url == ucum.SYSTEM else "")
        return found

    def codes(self) -> Iterator[Concept]:
        """Raises NotEnumerable."""
        raise NotEnumerable(
            f"the codes of {self.url} cannot be listed: they have no end",
            remedy="Ask whether a code is one with $validate-code.",
        )

    def parents_of(self, code: str) -> tuple[str, ...]:
        form = self.form
        found = () if form is None or not form.fits(code) else form.above(code)[:1]
        return tuple(one for one in found if self.find(one) is not None)

    def descendants(self, code: str) -> frozenset[str]:
        """Raises NotEnumerable."""
        raise NotEnumerable(f"the codes of {self.url} below {code!r} cannot be listed: they have no end")

    def children_of(self, code: str) -> tuple[str, ...]:
        """None that could be listed."""
        return ()


@short_cache(4096)
def _is_language(tag: str) -> bool:
    """Whether IANA's registry has all parts of a tag: https://www.rfc-editor.org/rfc/rfc5646#section-2.2.9"""
    if not FORMS[LANGUAGES].fits(tag):
        return False
    # It takes a fifth of a second, which only those shall wait who ask for languages.
    import langcodes

    return langcodes.tag_is_valid(tag)


@cache
def _listed(url: str) -> CodeSystem | None:
    found = definitions(FhirVersion.R5).value_set(_LISTS[url])
    if found is None or not found.complete:
        return None
    concepts = {code: Concept(code, display) for code, display in found.concepts[url].items()}
    return CodeSystem(url, concepts=concepts, language="en", case_sensitive=True)


_RULED: Mapping[str, CodeSystem] = {
    one.url: one
    for one in (
        Ruled(ucum.SYSTEM, ucum.is_valid, case_sensitive=True),
        Ruled(LANGUAGES, _is_language, case_sensitive=False),
        # Registered types may be added every day, and private ones need no registration.
        Ruled(MEDIA_TYPES, FORMS[MEDIA_TYPES].fits, case_sensitive=False),
    )
}


class ByRule:
    """The code systems that a rule or a published list defines, and the value sets of all their codes. Of those whose
    codes only have a form (ICD-10-CM, ATC, NDC), nobody here knows which codes there are: they are not held.
    """

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]:
        found = _listed(url) if url in _LISTS else _RULED.get(url)
        return () if found is None else (Candidate(None, partial(_given, found)),)

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        """None: what `value_sets` has is all."""
        return ()

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]:
        system = _VALUE_SETS.get(url)
        if system is None:
            return ()
        load = partial(all_codes, url, system)
        published = [one.number for one in RELEASES if definitions(one).value_set(url) is not None]
        return [Candidate(one, load, True, -place) for place, one in enumerate([*published] or [None])]


def _given(system: CodeSystem) -> CodeSystem:
    return system
