"""What was found, in words of no FHIR release: https://hl7.org/fhir/R5/detectedissue.html"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from apothecary.safety.asked import Remark

Kind = Literal[
    "drug-drug",
    "drug-condition",
    "allergy",
    "duplicate-ingredient",
    "duplicate-class",
    "population",
    "limitation",
    "combination",
]
Severity = Literal["high", "moderate", "low"]

# Information, not an issue: the source itself names the combination.
INFORMATION: frozenset[Kind] = frozenset({"combination"})


class Implicated(NamedTuple):
    """A drug of the list by its number there, from 0, with what it is called."""

    number: int
    name: str


class Source(msgspec.Struct, frozen=True, gc=False):
    """Who states it: in words, and where it can be read."""

    label: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the content states. `chain` holds the steps of the inference, one sentence each; `statement` is
    the `ClinicalUseDefinition/id` that states it, empty where it follows from what the drugs contain alone. `severity`
    is there only where the source grades it.
    """

    kind: Kind
    text: str
    drugs: tuple[Implicated, ...]
    chain: tuple[str, ...]
    code: str
    """Of https://terminology.hl7.org/CodeSystem-v3-ActCode.html; empty for information."""
    severity: Severity | None = None
    severity_text: str = ""
    """How the source itself grades it."""
    statement: str = ""
    management: tuple[str, ...] = ()
    source: Source | None = None
    about: str = ""
    """What of the patient it concerns: the condition, the allergy, the population."""
    references: tuple[str, ...] = ()
    """The `Type/id` of resources of this server that stand for the drugs."""

    @property
    def key(self) -> tuple[object, ...]:
        """What tells one finding from another."""
        # Which of its populations somebody belongs to first makes no other finding.
        about = "" if self.kind == "population" else self.about
        return self.kind, self.statement, tuple(sorted(one.number for one in self.drugs)), about


@dataclass(slots=True)
class Found:
    """The answer: what the content states, and what it could not say."""

    issues: list[Finding] = field(default_factory=list)
    not_understood: list[Remark] = field(default_factory=list)
    not_looked_at: list[Remark] = field(default_factory=list)
    release: str = ""
    """Which state of the content answered."""
