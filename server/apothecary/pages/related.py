"""What is held about a drug: what it refers to, what is said of it, what was questioned. In a few statements, however
much that is.

https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R5/clinicalusedefinition.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec

from apothecary.authoring.pen import SOURCE_CLAIM
from apothecary.authoring.rows import extensions, name_of
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.forms import body_in
from apothecary.pages.kept import digest, part_of
from apothecary.pages.titles import title_of, words
from apothecary.pages.view import View

Key = tuple[str, str]

# No number is looked at: it may be one that no float can hold.
_quick = msgspec.json.Decoder(float_hook=str)
_HOLDING = (dict, list)

KIND = "MedicationKnowledge"
STATEMENT = "ClinicalUseDefinition"
ASSESSMENT = "ArtifactAssessment"

# A page shows so many statements, and names so many other resources; the rest is a search away, and told.
STATEMENTS, NAMED = 300, 600


_LIMITATION = "limitation-of-use"
_UNSTATED = "Regulatory status not stated"


class Links(NamedTuple):
    """What has to be known of a resource before it is shown: what it is called by itself and where others refer to it,
    the relative references and the claims in it; and of a statement, whether it denies something, states a use or
    something else, and what it stands under.
    """

    title: str
    name: str
    references: Sequence[Key]
    claims: frozenset[str]
    place: str
    heading: str


@dataclass(frozen=True, slots=True)
class Related:
    """What is held about a drug, as it was read."""

    drug: Key
    subjects: Sequence[Key]
    """The medications that statements are made of."""
    said: Sequence[Key]
    """The statements about these, as the database has them."""
    about: Sequence[Key]
    """The drug, and the statements that are shown."""
    assessed: Sequence[Key]
    """What questions one of these."""
    asked: Sequence[Key]
    """Everything that was asked for, be it there or not."""
    texts: Mapping[Key, bytes]
    """What is there of it, and the drug, in R5."""
    versions: Mapping[Key, tuple[int, int]]
    """The versions of it, without the drug, and since when they are."""
    cut: bool
    """Whether there is more than a page shows."""

    @property
    def statements(self) -> Sequence[Key]:
        """The statements that are shown."""
        return self.about[1:]

    def current(self, view: View) -> bool:
        """Whether all of it would be read again as it is. What `$meta-add` changes without a new version is not shown
        of what the drug refers to.
        """
        return (
            _referring(view, STATEMENT, "subject", self.subjects) == self.said
            and _referring(view, ASSESSMENT, "artifact", self.about) == self.assessed
            and _versions(view, self.asked) == self.versions
        )

    def read(self, view: View) -> None:
        """Read all of it once more."""
        _read(view, self.asked, {})

    def without_texts(self) -> Related:
        """What `current` needs."""
        return replace(self, texts={})


def related(view: View, resource: JSON, body: bytes) -> Related:
    """Read what is held about a drug."""
    drug = KIND, str(resource["id"])
    first = links(view, body).references
    medications = [key for one in resource.get("associatedMedication", []) for key in _keys(one.get("reference"))]
    subjects = [key for key in medications if _serves(view, key)]
    said = _referring(view, STATEMENT, "subject", subjects)
    asked = [key for key in dict.fromkeys((*first, *said)) if key != drug and _serves(view, key)]
    versions: dict[Key, tuple[int, int]] = {}
    texts = {drug: body} | _read(view, asked[:NAMED], versions)
    stated = [key for key in asked if key[0] == STATEMENT and key in texts]
    about = [drug, *stated[:STATEMENTS]]
    assessed = _referring(view, ASSESSMENT, "artifact", about)
    further = {key: None for one in about[1:] for key in links(view, texts[one]).references if _serves(view, key)}
    more = [key for key in dict.fromkeys((*assessed, *further)) if key not in texts][:NAMED]
    texts |= _read(view, more, versions)
    cut = len(asked) > NAMED or len(stated) > STATEMENTS or len(said) > STATEMENTS
    return Related(drug, subjects, said, about, assessed, [*asked[:NAMED], *more], texts, versions, cut)


def links(view: View, body: bytes, digested: bytes | None = None) -> Links:
    """What a text refers to, found once; `digested` is its digest, where that is known."""
    name = "links", digested or digest(body)
    return part_of(view, name, lambda: _links(body), _size)


def _size(one: Links) -> int:
    return 100 * len(one.references) + 60 * len(one.claims) + len(one.title) + len(one.name)


def _links(body: bytes) -> Links:
    try:
        resource = _quick.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        resource = parse(body)
    references: dict[Key, None] = {}
    claims: set[str] = set()
    waiting = [resource]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += [inner for inner in reversed(one) if inner.__class__ in _HOLDING]
            continue
        if "reference" in one:
            references |= dict.fromkeys(_keys(one["reference"]))
        elif one.get("url") == SOURCE_CLAIM and isinstance(one.get("valueString"), str):
            claims.add(one["valueString"])
        waiting += [inner for inner in reversed(one.values()) if inner.__class__ in _HOLDING]
    return Links(title_of(resource), name_of(resource), tuple(references), frozenset(claims), *_place(resource))


def _place(one: JSON) -> tuple[str, str]:
    if _denies(one):
        return "denied", ""
    if one.get("type") == "indication":
        return "use", words(one.get("category")) or _UNSTATED
    return "other", str(one.get("type", "other"))


def _denies(one: JSON) -> bool:
    """Whether a statement says what the drug does not do, or is not suited for."""
    if one.get("resourceType") != STATEMENT:
        return False
    codes = [coding.get("code") for part in one.get("category", []) for coding in part.get("coding", [])]
    return _LIMITATION in codes or any(
        "not" in str(coding.get("code", "")).split("-")
        for each in extensions(one, "effect-statement")
        for coding in (each.get("valueCodeableConcept") or {}).get("coding", [])
    )


def _keys(text: Any) -> Iterator[Key]:
    """Where a relative reference leads: https://hl7.org/fhir/R5/references.html#literal"""
    if isinstance(text, str) and text.count("/") == 1 and not text.startswith("#"):
        kind, _, identity = text.partition("/")
        yield kind, identity


def _serves(view: View, key: Key) -> bool:
    return view.service.registry(FhirVersion.R5).serves(key[0])


def _referring(view: View, kind: str, parameter: str, targets: Sequence[Key]) -> Sequence[Key]:
    """What points to one of `targets`, in the order of ids; of very many, some."""
    registry = view.service.registry(FhirVersion.R5)
    known = registry.get(kind, parameter) if targets and registry.serves(kind) else None
    if known is None:
        return []
    found = view.service.reader.referring(kind, known.index, targets, STATEMENTS + 1)
    return sorted(found, key=lambda one: one[1])


def _read(view: View, keys: Sequence[Key], versions: dict[Key, tuple[int, int]]) -> dict[Key, bytes]:
    """The texts of `keys`, which are noted in `versions`."""
    stored = view.service.reader.read_many(keys, view.service.settings.answer_limit) if keys else []
    versions |= {(one.type, one.id): (one.version, one.updated) for one in stored}
    return {(one.type, one.id): body_in(one, FhirVersion.R5) for one in stored}


def _versions(view: View, keys: Sequence[Key]) -> dict[Key, tuple[int, int]]:
    heads = view.service.reader.heads(keys) if keys else []
    return {(one.type, one.id): (one.version, one.updated) for one in heads if not one.deleted}
