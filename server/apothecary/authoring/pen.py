"""What is at hand while a sheet becomes FHIR, and back: the place in either, the faults so far, claims and codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from apothecary.authoring.terms import OWN, Vocabulary, is_outside
from apothecary.content.documents import Pointer
from apothecary.fhir.json import JSON
from apothecary.suggestions import or_rather

EXTENSION = OWN + "StructureDefinition/"
CODES = OWN + "CodeSystem/"
SOURCE_CLAIM = EXTENSION + "source-claim"
BASIS = EXTENSION + "assertion-basis"
RELATION = EXTENSION + "code-relationship"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

# What reading raises where a resource, which may be anybody's, has another form than the one that is built.
STRANGE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
RELATIONS = {"<": "source-is-narrower-than-target", ">": "source-is-broader-than-target", "~": "related-to"}
SIGNS = {relation: sign for sign, relation in RELATIONS.items()}


@dataclass(slots=True)
class Pen:
    """The state of one conversion. `claims` has the full ids that each written id may stand for."""

    vocabulary: Vocabulary
    drug: str
    prefix: str
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: list[tuple[Pointer, str]] = field(default_factory=list)
    unverified: list[tuple[Pointer, str]] = field(default_factory=list)
    used_claims: set[str] = field(default_factory=set)
    # Terminologies in use, by key, with their codes.
    used: dict[str, set[str]] = field(default_factory=dict)
    # The active ingredients by id, as CodeableReferences.
    substances: dict[str, JSON] = field(default_factory=dict)
    place: list[str | int] = field(default_factory=list)

    @contextmanager
    def at(self, *steps: str | int) -> Iterator[None]:
        """What happens inside happens at a part of the present place."""
        self.place += steps
        try:
            yield
        finally:
            del self.place[-len(steps) :]

    def fault(self, reason: str) -> None:
        """Something is wrong at the present place."""
        self.faults.append((tuple(self.place), reason))

    def full_id(self, written: str) -> str:
        """The id of a statement of this sheet as the FHIR resource has it."""
        return self.prefix + written

    def written_id(self, full: str) -> str:
        """The id of a resource as the sheet has it."""
        if not full.startswith(self.prefix):
            self.fault(f"the id {full!r} does not begin with {self.prefix!r}")
        return full.removeprefix(self.prefix)

    def claim(self, written: str) -> str:
        """The full id of a claim; one that is unknown or could be of two sources is a fault."""
        meant = self.claims.get(written, ())
        if len(meant) > 1:
            self.fault(f"{written} is a claim of more than one source: write {' or '.join(meant)}")
        elif not meant:
            self.fault(f"no source of this sheet has a claim {written}{or_rather(written, self.claims)}")
        full = meant[0] if meant else written
        self.used_claims.add(full)
        return full

    def short_claim(self, full: str) -> str:
        """The shortest way to write a claim that stands for it alone."""
        short = full.rpartition(":")[2]
        if full not in self.claims:
            self.fault(f"no source has the claim {full}")
        return short if self.claims.get(short) == (full,) else full

    def founded(self, sheet: Mapping[str, Any]) -> list[JSON]:
        """The extensions for the claims and the basis of a part of a sheet."""
        found = []
        for number, written in enumerate(sheet.get("claims", ())):
            with self.at("claims", number):
                found.append({"url": SOURCE_CLAIM, "valueString": self.claim(written)})
        if sheet.get("basis"):
            found.append({"url": BASIS, "valueCode": sheet["basis"]})
        return found

    def foundation(self, extensions: list[JSON]) -> JSON:
        """Takes the extensions for claims and basis out of `extensions`."""
        found: JSON = {}
        claims = [one for one in extensions if one["url"] == SOURCE_CLAIM]
        bases = [one for one in extensions if one["url"] == BASIS]
        if claims:
            found["claims"] = [self.short_claim(one["valueString"]) for one in claims]
        if bases:
            found["basis"] = bases[0]["valueCode"]
        for one in [*claims, *bases[:1]]:
            extensions.remove(one)
        return found

    def coding(self, written: str, *, basis: bool = True) -> JSON | None:
        """The Coding of `<icd|G40`; None for one that is marked as unverified, or a fault."""
        sign, rest = (written[0], written[1:]) if written[0] in RELATIONS else ("", written)
        key, _, code = rest.partition("|")
        system = self.vocabulary.system(key)
        if system is None:
            self.fault(f"{key!r} is no key of a code system{or_rather(key, self.vocabulary.systems)}")
            return None
        display = self.vocabulary.display(system, code)
        if display is None:
            near = or_rather(code, self.vocabulary.codes(system))
            self.fault(f"{key} holds no code {code!r}{near}; a code that nobody verified is written ?{written}")
            return None
        outside = is_outside(system)
        if outside:
            self.used.setdefault(key, set()).add(code)
        extensions = [{"url": BASIS, "valueCode": "terminology"}] if basis and outside else []
        if sign:
            extensions.append({"url": RELATION, "valueCode": RELATIONS[sign]})
        head: JSON = {"extension": extensions} if extensions else {}
        return {**head, "system": system, "code": code, "display": display}

    def code(self, coding: JSON) -> str:
        """How a sheet writes a Coding of an outside terminology."""
        rest = dict(coding)
        extensions = [*rest.pop("extension", ())]
        system, code, display = rest.pop("system", ""), rest.pop("code", ""), rest.pop("display", None)
        key = self.vocabulary.key(system)
        if key is None or rest or display is None or self.vocabulary.display(system, code) != display:
            self.fault(f"no held code system has the coding {system}|{code} {display!r}")
        signs = [SIGNS.get(one.get("valueCode", ""), "") for one in extensions if one["url"] == RELATION]
        plain = [one for one in extensions if one["url"] != RELATION]
        if plain != ([{"url": BASIS, "valueCode": "terminology"}] if is_outside(system) else []):
            self.fault(f"the coding {system}|{code} does not rest on a terminology")
        return f"{''.join(signs)}{key}|{code}"

    def standard(self, system: str, code: str) -> JSON:
        """The Coding of a code of the content's own systems or of HL7's."""
        display = self.vocabulary.display(system, code)
        if display is None:
            near = or_rather(code, self.vocabulary.codes(system))
            self.fault(f"{system} has no code {code!r}{near}")
        return {"system": system, "code": code, "display": display or code}
