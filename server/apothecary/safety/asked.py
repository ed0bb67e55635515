"""What is asked about: drugs with where each came from, and what is known of who is to take them.

https://hl7.org/fhir/R5/medicationrequest.html, https://hl7.org/fhir/R5/allergyintolerance.html and
https://hl7.org/fhir/R5/condition.html say what stands in such lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from apothecary.fhir.json import JSON

Sex = Literal["male", "female"]
# What statements tell apart, by the codes of https://hl7.org/fhir/R5/valueset-administrative-gender.html.
SEXES: dict[str, Sex] = {"male": "male", "female": "female"}


class Code(msgspec.Struct, frozen=True, order=True, gc=False):
    """A code of a code system, and what the sender calls it."""

    system: str
    code: str
    display: str = ""

    def __str__(self) -> str:
        return f"{self.system}|{self.code}"


@dataclass(frozen=True, slots=True)
class AskedDrug:
    """A drug of the list: codes that all mean it, or a resource, or a name. `source` says where in the request it came
    from; `beside` has the resources that the request brings along, by the references to them.
    """

    source: str
    codes: tuple[Code, ...] = ()
    reference: str = ""
    """`Type/id` of a resource of this server."""
    resource: JSON | None = None
    """The Medication or the like itself, where the request brings it along."""
    name: str = ""
    routes: tuple[Code, ...] = ()
    """By which it is given; what is said in words alone has a display and nothing else."""
    reasons: tuple[Code, ...] = ()
    """What it is prescribed for, where the request says so."""
    beside: Mapping[str, JSON] = field(default_factory=dict)
    own: str = ""
    """`Type/id` of the order or the like that names it."""
    follows: tuple[str, ...] = ()
    """`Type/id` of the orders that are carried out by it: both are one therapy, and no drug taken twice."""

    @property
    def label(self) -> str:
        """What to call it: by its own words, else by its code."""
        displays = [one.display for one in self.codes if one.display]
        codes = [str(one) for one in self.codes]
        return next(iter([*filter(None, [self.name]), *displays, *filter(None, [self.reference]), *codes]), self.source)


@dataclass(frozen=True, slots=True)
class AskedConcept:
    """A condition or an allergy: codes that all mean it, and its words."""

    source: str
    codes: tuple[Code, ...] = ()
    text: str = ""

    @property
    def label(self) -> str:
        """What to call it."""
        displays = [one.display for one in self.codes if one.display]
        return next(iter([*filter(None, [self.text]), *displays, *map(str, self.codes)]), self.source)


@dataclass(slots=True)
class Asked:
    """Everything that a request says. What is None was not said, and nothing follows from that."""

    drugs: list[AskedDrug] = field(default_factory=list)
    conditions: list[AskedConcept] = field(default_factory=list)
    allergies: list[AskedConcept] = field(default_factory=list)
    age: Decimal | None = None
    """In years."""
    sex: Sex | None = None
    pregnant: bool | None = None
    lactating: bool | None = None
    not_understood: list[Remark] = field(default_factory=list)
    """What of the request could not be read."""
    not_looked_at: list[Remark] = field(default_factory=list)
    """What was read, and does not count: a refuted allergy, a stopped medication."""


class Remark(NamedTuple):
    """Something that must be said beside the findings: a text, and where in the request or content it belongs."""

    text: str
    where: str = ""


def once(remarks: Sequence[Remark]) -> list[Remark]:
    """Each remark once, in their order."""
    return list(dict.fromkeys(remarks))
