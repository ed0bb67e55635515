"""What RxNorm says of its concepts, as compact as some hundred thousand of them need it in memory.

https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html; only what NLM states itself (SAB=RXNORM) is read, and of
other sources the UNII and ATC codes of ingredients.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from sys import intern

from apothecary.fhir import ndc
from apothecary.importers.formats import Given
from apothecary.importers.report import Place, Report
from apothecary.importers.rxnorm.rows import CONSO, REL, RXNORM, SAB, SAT, Release, number, text

# Kinds of concepts (TTY), and of further names of them: https://www.nlm.nih.gov/research/umls/rxnorm/docs/appendix5.html
DRUGS = frozenset({"SCD", "SBD", "GPCK", "BPCK"})
PACKS = frozenset({"GPCK", "BPCK"})
BRANDED = frozenset({"SBD", "BPCK"})
INGREDIENTS = frozenset({"IN", "PIN"})
GROUPS = frozenset({"SCDF", "SBDF", "SCDG", "SBDG", "SCDFP", "SBDFP", "SCDGP"})
SYNONYMS = frozenset({"PSN", "SY", "TMSY", "ET"})
# Relations, each in one of its two directions: https://www.nlm.nih.gov/research/umls/rxnorm/docs/appendix1.html
RELATIONS = frozenset(
    {
        *("consists_of", "has_ingredient", "has_precise_ingredient", "has_ingredients", "has_dose_form"),
        *("has_doseformgroup", "isa", "tradename_of", "form_of", "has_part", "contains", "quantified_form_of"),
    }
)
# Attributes: https://www.nlm.nih.gov/research/umls/rxnorm/docs/appendix4.html
BOSS = tuple(f"RXN_BOSS_STRENGTH_{part}_{what}" for part in ("NUM", "DENOM") for what in ("VALUE", "UNIT"))
_KEPT = frozenset({*BOSS, "RXN_STRENGTH", "RXN_QUANTITY"})
# Since September 2021 a strength stands at the drug, with the component that it is of before it: `{330226} 0.5`.
_OF_COMPONENT = re.compile(r"\{(\d{1,8})\}\s*(.*)", re.ASCII | re.DOTALL)
_RELEASED = re.compile(r"_(\d\d)(\d\d)(\d\d)F?$", re.ASCII)
# As NLM names its zip files: RxNorm_full_11022026.zip.
_DATED = re.compile(r"RxNorm\w*_(\d{8})$", re.ASCII | re.IGNORECASE)
_UNII = re.compile(r"[A-Z0-9]{10}", re.ASCII)
_ATC = re.compile(r"[A-Z]\d\d[A-Z][A-Z]\d\d", re.ASCII)
_BITS = 32
_PRESCRIBABLE = b"4096"
_CURRENT = (b"N", b"")


class Concepts:
    """The concepts of a release by their identifiers (RXCUI)."""

    def __init__(self) -> None:
        self.version: str | None = None
        """The date of the release, as in NLM's files: `MMDDYYYY`."""
        self.kind: dict[int, str] = {}
        self.name: dict[int, str] = {}
        self.lines: dict[int, int] = {}
        """Where each stands in RXNCONSO."""
        self.inactive: set[int] = set()
        self.prescribable: set[int] = set()
        self.synonyms: dict[int, list[tuple[str, str]]] = {}
        self.unii: dict[int, list[str]] = {}
        self.atc: dict[int, list[str]] = {}
        self.ndc: dict[int, list[str]] = {}
        self.values: dict[tuple[int, str], str] = {}
        """Attributes; a strength by the component that it is of."""
        self._pairs: Mapping[str, array[int]] = {name: array("Q") for name in RELATIONS}

    def to(self, concept: int, *relations: str) -> list[int]:
        """What stands in a relation to a concept: `to(drug, "consists_of")` are its components."""
        found: list[int] = []
        for name in relations:
            pairs = self._pairs[name]
            place = bisect_left(pairs, concept << _BITS)
            while place < len(pairs) and pairs[place] >> _BITS == concept:
                found.append(pairs[place] & ((1 << _BITS) - 1))
                place += 1
        return list(dict.fromkeys(found))

    def of_kind(self, found: Iterable[int], kinds: Container[str | None]) -> list[int]:
        """Those that are of certain kinds."""
        return [one for one in found if self.kind.get(one) in kinds]

    def relate(self, source: int, relation: str, target: int) -> None:
        """Note that `source` stands in a relation to `target`."""
        self._pairs[relation].append(source << _BITS | target)

    def settle(self) -> None:
        """Make the relations ready for reading."""
        self._pairs = {name: array("Q", sorted(set(pairs))) for name, pairs in self._pairs.items()}


def read(given: Given) -> tuple[Concepts, Release]:
    """The concepts in the files that were given. Raises StartError where they are no release of RxNorm."""
    release, concepts = Release(given), Concepts()
    concepts.version = next((found[1] for path in given.paths if (found := _DATED.search(path.stem))), None)
    for row in release.rows(SAB):
        said = _RELEASED.search(row.columns[6].decode("ascii", "replace"))
        if row.columns[3] == RXNORM and said:
            year, month, day = said.groups()
            concepts.version = f"{month}{day}20{year}"
    _names(concepts, release, given.report)
    _relations(concepts, release, given.report)
    _attributes(concepts, release, given.report)
    return concepts, release


def _names(concepts: Concepts, release: Release, report: Report) -> None:
    others: Counter[str] = Counter()
    for line, columns in release.rows(CONSO, report):
        source, kind = columns[11], intern(columns[12].decode("ascii", "replace"))
        concept = number(columns[0])
        if concept is None:
            report.skipped(release.place(CONSO, line, "RXCUI"), "is no identifier of a concept")
        elif source == RXNORM:
            _name(concepts, concept, kind, columns, line, release, report)
        elif source == b"MTHSPL" and kind == "SU" and _UNII.fullmatch(code := columns[13].decode("ascii", "replace")):
            _add(concepts.unii, concept, code)
        elif source == b"ATC" and kind == "IN" and _ATC.fullmatch(code := columns[13].decode("ascii", "replace")):
            _add(concepts.atc, concept, code)
        else:
            others[source.decode("ascii", "replace")] += 1
    for other, count in sorted(others.items()):
        report.approximated(
            release.place(CONSO), f"{count} names of the source {other} are left to it: RxNorm's own stand for them"
        )


def _name(
    concepts: Concepts, concept: int, kind: str, columns: list[bytes], line: int, release: Release, report: Report
) -> None:
    place = release.place(CONSO, line, "STR")
    said, suppressed = text(columns[14], place, report), columns[16] not in _CURRENT
    if not said:
        report.skipped(place, "is empty")
    elif kind in SYNONYMS:
        if not suppressed:
            concepts.synonyms.setdefault(concept, []).append((kind, said))
    elif concept not in concepts.kind or (concept in concepts.inactive and not suppressed):
        concepts.kind[concept], concepts.name[concept], concepts.lines[concept] = kind, said, line
        (concepts.inactive.add if suppressed else concepts.inactive.discard)(concept)
        if columns[17] == _PRESCRIBABLE:
            concepts.prescribable.add(concept)
    elif said != concepts.name[concept] and not suppressed:
        report.approximated(place, f"is a second name of {concept}, of the kind {kind}; kept as a synonym")
        concepts.synonyms.setdefault(concept, []).append((kind, said))


def _relations(concepts: Concepts, release: Release, report: Report) -> None:
    suppressed = 0
    for line, columns in release.rows(REL):
        if columns[10] != RXNORM:
            continue
        # A row says: RXCUI2 stands in the relation RELA to RXCUI1.
        relation = columns[7].decode("ascii", "replace")
        if relation not in RELATIONS or (not columns[0] and not columns[4]):
            continue  # the other direction, or between two names, not two concepts
        if columns[14] not in _CURRENT:
            suppressed += 1
            continue
        target, source = number(columns[0]), number(columns[4])
        place = release.place(REL, line)
        if target is None or source is None:
            report.skipped(place, "names no two concepts")
        elif unknown := [one for one in (target, source) if one not in concepts.kind]:
            report.skipped(place, f"{relation}: {unknown[0]} is no concept of RxNorm's in RXNCONSO")
        else:
            concepts.relate(source, relation, target)
    if suppressed:
        report.approximated(release.place(REL), f"{suppressed} suppressed relations are left out")
    concepts.settle()


def _attributes(concepts: Concepts, release: Release, report: Report) -> None:
    others: Counter[str] = Counter()
    suppressed = 0
    for line, columns in release.rows(SAT):
        if columns[9] != RXNORM:
            continue
        name = columns[8].decode("ascii", "replace")
        if name != "NDC" and name not in _KEPT:
            others[name] += 1
            continue
        concept, place = number(columns[0]), release.place(SAT, line, name)
        if concept is None or concept not in concepts.kind:
            report.skipped(place, f"{columns[0].decode('ascii', 'replace')} is no concept of RxNorm's in RXNCONSO")
            continue
        if columns[11] not in _CURRENT and (name == "NDC" or concept not in concepts.inactive):
            suppressed += 1
            continue
        value = text(columns[10], place, report)
        if not value:
            report.skipped(place, "is empty")
        elif name == "NDC" and not ndc.readings(value):
            report.skipped(place, f"{value!r} has no form of an NDC")
        elif name == "NDC":
            _add(concepts.ndc, concept, value)
        else:
            _strength(concepts, concept, intern(name), value, place, report)
    if suppressed:
        report.approximated(release.place(SAT), f"{suppressed} suppressed NDCs and strengths are left out")
    for other, count in sorted(others.items()):
        report.approximated(release.place(SAT), f"{count} values of {other} have no element of their own")


def _strength(concepts: Concepts, concept: int, name: str, value: str, place: Place, report: Report) -> None:
    if of := _OF_COMPONENT.fullmatch(value):
        concept, value = int(of[1]), of[2]
    known = concepts.values.setdefault((concept, name), intern(value))
    if known != value:
        report.skipped(place, f"{concept} has the value {known} already")


def _add(to: dict[int, list[str]], concept: int, value: str) -> None:
    found = to.setdefault(concept, [])
    if value not in found:
        found.append(value)
