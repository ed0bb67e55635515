"""The search parameters of every served type in one FHIR version: https://hl7.org/fhir/R5/searchparameter-registry.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property
from typing import Any

from apothecary.fhir.references import localised, on_this_server, references_in, written_references
from apothecary.fhir.releases import FhirVersion
from apothecary.search import contained, keys
from apothecary.search.defined import Own
from apothecary.search.extraction import Convert, Forms, Reading, Rows, bounded
from apothecary.search.named import NamedQuery
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.parameter import SearchParameter, sharing, standard_parameters
from apothecary.search.rows import ContainedRow, Indexed, IndexRow, ReferenceRow, StringRow, TextRow, TokenRow
from apothecary.search.text import key
from apothecary.search.words import passages
from apothecary.terminology.stored import large

# Changes when extraction changes what it writes, so that a database made by an older version is indexed anew. The
# number is raised by hand, and `tests/search/test_extraction_number.py` says when. The higher one is the newer.
EXTRACTION = f"20 {keys.fingerprint()}"

# A reference that no parameter reads stands in the index under this name: what points to a resource must be known
# before it is deleted.
ANY = "*"

# A parameter of these reads a resource that they hold (https://hl7.org/fhir/R5/bundle.html#search), which points to
# nothing here. So all their references stand under that name.
EMBEDDING = ("Bundle",)

# Under this name stands what a canonical resource calls itself: what names it by its URL is found by that.
CANONICAL = "#canonical"


class Registry:
    """The parameters of every served type, in one FHIR version. Loads a type's parameters when it is first asked for
    them.

    There is one index for all versions, made by the registry of R5: from the R5 form of each resource for its own
    parameters and those of other versions that find the same, from the R4 or R4B form for the others. Which are which,
    `apothecary.search.keys` knows.
    """

    def __init__(
        self,
        version: FhirVersion,
        types: Iterable[str],
        own: Own | None = None,
        *,
        canonical: Registry | None = None,
        convert: Convert | None = None,
        queries: Iterable[NamedQuery] = (),
        systems: Systems = STANDARD,
        bases: Sequence[str] = (),
    ) -> None:
        """`own` holds what SearchParameter resources define, `systems` what the content says of code systems;
        `canonical` is the registry of R5, for that of another version; `convert` gives the registry of R5 the other
        forms of a resource; `bases` are the addresses that the settings name as this server's.
        """
        self.version = version
        self.systems: Systems = systems if canonical is None else canonical.systems
        self.types = tuple(sorted(types))
        self.served = frozenset(self.types)
        self.own = own or Own()
        self._loaded: dict[str, dict[str, SearchParameter]] = {}
        self._canonical = canonical
        self._convert = convert
        self._others: list[Registry] = []
        self.queries = tuple(queries)
        self.bases = tuple(bases)
        if canonical is not None:
            canonical._others.append(self)

    @property
    def newest(self) -> Registry:
        """The registry of R5, which has every type that is served."""
        return self._canonical or self

    @cached_property
    def basics(self) -> tuple[str, ...]:
        """The types that this version shows as Basic: https://hl7.org/fhir/R4/basic.html"""
        return tuple(one for one in self.newest.types if not self.serves(one)) if self.serves("Basic") else ()

    def serves(self, resource_type: str) -> bool:
        return resource_type in self.served

    def parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """All parameters of the type by code, defined ones over standard ones of the same code and URL."""
        loaded = self._loaded.get(resource_type)
        if loaded is None:
            standard = standard_parameters(resource_type, self.version)
            if self._canonical is None:
                loaded = {one.code: one for one in sharing(standard)}
            else:
                loaded = self._mapped(resource_type, {one.code: one for one in standard}, self._canonical)
            loaded |= self.own.of(self.version, resource_type)
            self._loaded[resource_type] = loaded
        return loaded

    def _mapped(
        self, resource_type: str, standard: Mapping[str, SearchParameter], canonical: Registry
    ) -> dict[str, SearchParameter]:
        """The parameters of this version, each with its name in the index."""
        known = canonical.parameters(resource_type) if canonical.serves(resource_type) else {}
        result = {}
        for code, one in standard.items():
            name = keys.key(self.version, resource_type, code)
            same = known.get(name)
            if same is None:
                foreign = name if keys.owner(name) is not canonical.version else keys.own(self.version, code)
                result[code] = replace(one, indexed_as=foreign)
            else:
                # What the parameter may be asked is what the index was filled with.
                same = replace(same, code=code, url=one.url, description=one.description, indexed_as=same.index)
                result[code] = replace(same, targets=one.targets)
        return result

    def _foreign(self, resource_type: str) -> list[tuple[FhirVersion, list[SearchParameter]]]:
        """The parameters of other versions whose rows are read from the form of their version."""
        return [
            (other.version, found)
            for other in self._others
            if other.serves(resource_type)
            if (found := [p for p in other.parameters(resource_type).values() if keys.owner(p.index) is other.version])
        ]

    def get(self, resource_type: str, code: str) -> SearchParameter | None:
        return self.parameters(resource_type).get(code)

    def _reading(self, kind: str) -> dict[FhirVersion, Reading]:
        """What is read from the form of each version."""
        found = self._readings.get(kind)
        if found is None:
            here = [one for one in self.parameters(kind).values() if keys.owner(one.index) is self.version]
            parameters = [(self.version, here), *self._foreign(kind)]
            found = self._readings[kind] = {version: Reading(some) for version, some in parameters}
        return found

    @cached_property
    def _readings(self) -> dict[str, dict[FhirVersion, Reading]]:
        return {}

    def names(self, kind: str) -> Set[str]:
        """The names in the index by which a type is searched, in whatever release. String rows of other names hold no
        whole text, but are for looking up a part of a value.
        """
        found = self._names_known.get(kind)
        if found is None:
            known = (*self.parameters(kind).values(), *(one for _, some in self._foreign(kind) for one in some))
            found = self._names_known[kind] = frozenset(one.index for one in known)
        return found

    @cached_property
    def _names_known(self) -> dict[str, frozenset[str]]:
        return {}

    def rows(
        self,
        resource: Mapping[str, Any],
        version: FhirVersion = FhirVersion.R5,
        bases: Sequence[str] = (),
        most: int | None = None,
        text: bytes | None = None,
    ) -> list[Indexed]:
        """Every index row of `resource`, written in `version`, without repetitions; those of contained resources come
        first. A reference to one of `bases`, or of the addresses in the settings, is one to this server. `text` is that
        of `resource` where it is at hand (see `references_in`). Raises ValueError for a value that cannot be indexed,
        TooLarge where there are more than `most`, and what conversion raises.
        """
        references = written_references(resource) if text is None else references_in(text)
        if any(one.startswith("http") for one in references):
            resource = localised(resource, bases or self.bases)
            references = written_references(resource)
        forms = Forms(resource, version, self._convert)
        whole = forms.of(self.version) or {}
        found = self._rows(forms, whole["resourceType"], most)
        url, named = whole.get("url"), whole.get("version")
        if isinstance(url, str):
            found[ReferenceRow(CANONICAL, "", "", key(url), key(named) if isinstance(named, str) else "")] = None
        pointing = () if whole["resourceType"] in EMBEDDING else found
        read = {row[1:3] for row in pointing if row.__class__ is ReferenceRow}
        for target in on_this_server(references if whole is resource else written_references(whole)):
            meant = str(target.type), str(target.id)
            if meant not in read:
                found[ReferenceRow(ANY, *meant, "", target.version or "")] = None
        bounded(found, most)
        rows: list[Indexed] = self._contained(forms, whole, found, most) if whole.get("contained") else [*found]
        concepts = large(resource)
        return rows if concepts is None else [*rows, concepts]

    def _contained(
        self, forms: Forms, whole: Mapping[str, Any], found: Mapping[IndexRow, None], most: int | None
    ) -> list[Indexed]:
        """The rows of a resource and of what it contains. A type that is not served is not searched either."""
        types = contained.local_types(whole)
        inside: list[ContainedRow] = []
        links: list[ReferenceRow] = []
        used = 0
        for local, one, its in zip(
            contained.local_ids(whole), whole["contained"], forms.contained(self.version), strict=True
        ):
            kind = one["resourceType"]
            if self.serves(kind):
                # What is left of the bound, of which the container has used up some.
                rows = self._rows(its, kind, None if most is None else most - len(found) - used)
                own = contained.pointed((*rows, TokenRow("_id", "", local)), types)
                used += len(rows) + 2
                inside.append(ContainedRow(kind, local, tuple(own)))
                links.append(ReferenceRow(contained.CONTAINS, types[f"#{local}"], f"#{local}", "", ""))
        if not inside:
            return list(found)
        return [*inside, *links, *contained.pointed(found, types)]

    def _rows(self, forms: Forms, kind: str, most: int | None) -> Rows:
        """The rows of one resource, without those that stand for its references whoever reads them."""
        found: Rows = {}
        for version, reading in self._reading(kind).items():
            form = forms.some(version, reading.elements)
            if form is not None:
                reading.add(found, form, self.systems, most)
        found.update(dict.fromkeys(_texts(found, self.names(kind))))
        return found


def _texts(rows: Iterable[IndexRow], names: Set[str]) -> Iterator[TextRow]:
    """Full text rows for what stands in the string rows of `names`: names of things, displays, titles."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        if row.__class__ is StringRow and (name := row[0]) in names:
            if name in texts:
                texts[name].append(row[3])
            else:
                texts[name] = [row[3]]
    for code, found in texts.items():
        for passage in passages(found):
            yield TextRow(code, *passage)
