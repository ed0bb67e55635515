"""The stored definitions that decide what can be searched for, and how far the index follows them.

SearchParameter (https://hl7.org/fhir/R5/searchparameter.html) and OperationDefinition resources work from the moment
they are stored, in every process, and so does what a CodeSystem says of case. Three things that the database remembers
make that so. Its *generation* is another one after each write of a definition; whoever holds registries of an older one
makes them anew. What the index *holds* is noted for each parameter; what it should hold and does not is incomplete, and
never answered from in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from apothecary.content import case, index_rules
from apothecary.content.index_rules import GENERATION, remember_generation
from apothecary.content.synced import synced
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search.defined import Defining, Own
from apothecary.search.parameters import Registry
from apothecary.search.registries import make_registries
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Transaction

DEFINING = frozenset({"SearchParameter", "OperationDefinition"})

# Under this name the store remembers for each own parameter what its rows in the index were made by.
INDEXED = "index of definitions"

Names = Mapping[str, Mapping[str, str]]
"""By type and name in the index: what says how the rows are made; empty where the index holds rows of several kinds."""

_NAMES = msgspec.json.Decoder(dict[str, dict[str, str]])


class Serving(NamedTuple):
    """What can be searched for, as the store had it at one moment. It never changes."""

    generation: str
    registries: Mapping[FhirVersion, Registry]
    incomplete: Mapping[str, frozenset[str]] = {}
    """By type, the names in the index that do not hold what they should yet."""
    due: bool = False
    """Whether there are resources whose index rows an older version made."""
    behind: bool = False
    """Whether a newer version makes the index: then it is not this one's to mend."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Why some definitions are not served, by their `Type/id`."""
        return self.registries[FhirVersion.R5].own.refused


def held(reader: Reader, kind: str) -> list[Defining]:
    """The definitions of one kind: those of the content folder first, because of two with one code the first is
    served.
    """
    files = synced(reader).files
    found = [
        Defining(parse(one.body), FhirVersion(one.fhir_version), f"{kind}/{one.id}")
        for one in reader.all_of_type(kind)
        if one.body is not None
    ]
    return in_order(found, files)


def in_order(found: list[Defining], files: Mapping[str, Any]) -> list[Defining]:
    """Definitions in the order in which they count, wherever they are looked at."""
    return sorted(found, key=lambda one: (one.name not in files, one.label, one.name))


def registries_of(settings: Settings, reader: Reader) -> dict[FhirVersion, Registry]:
    """What can be searched for in each FHIR version, with what the store defines."""
    return make_registries(
        settings, held(reader, "SearchParameter"), held(reader, "OperationDefinition"), case.remembered(reader)
    )


def serving(settings: Settings, reader: Reader) -> Serving:
    """What can be searched for now."""
    # First: a definition that comes meanwhile must not pass for one that is known.
    generation = reader.state(GENERATION) or ""
    registries = registries_of(settings, reader)
    return seen(Serving(generation, registries), reader)


def seen(known: Serving, reader: Reader) -> Serving:
    """The same, with the state that the index is in now."""
    behind, due = index_rules.behind(reader), reader.state(index_rules.DUE)
    registry = known.registries[FhirVersion.R5]
    found = _all(registry) if due == index_rules.ALL and not behind else incomplete(registry.own, reader)
    return known._replace(incomplete=found, due=due == index_rules.SOME, behind=behind)


def _all(registry: Registry) -> dict[str, frozenset[str]]:
    """By type, every name in the index."""
    return {kind: frozenset(registry.names(kind)) for kind in registry.types}


def incomplete(own: Own, reader: Reader) -> dict[str, frozenset[str]]:
    """By type, the names in the index that do not hold what they should: not yet, or still."""
    wanted, there = own.wanted, indexed(reader)
    found = {
        kind: frozenset(
            name
            for name in {**wanted.get(kind, {}), **there.get(kind, {})}
            if wanted.get(kind, {}).get(name) != there.get(kind, {}).get(name)
        )
        for kind in {**wanted, **there}
    }
    return {kind: names for kind, names in found.items() if names}


def indexed(reader: Reader) -> Names:
    """What the index holds of own parameters."""
    return _NAMES.decode(reader.state(INDEXED) or "{}")


def remember_indexed(transaction: Transaction, names: Names) -> None:
    """Note that the index holds just that of own parameters."""
    transaction.set_state(INDEXED, msgspec.json.encode(names).decode())


def defines(transaction: Transaction) -> bool:
    """Whether a transaction wrote what decides what can be searched for, or how it stands in the index."""
    kinds = {kind for kind, _ in transaction.touched}
    if kinds & DEFINING:
        return True
    return "CodeSystem" in kinds and case.stored(transaction) != case.remembered(transaction)


def changed(settings: Settings, transaction: Transaction) -> Own:
    """Definitions were written in this transaction: let every process know. What they define now is given back.

    Rows of a parameter that is another now, or none, are not kept up from here on. So they are noted as mixed: should
    it come back, the index is still to be made anew. Codes stand in the index as their code systems want it: where
    these say another thing of case now, all of it is due.
    """
    systems = case.stored(transaction)
    if systems != case.remembered(transaction):
        if transaction.state(index_rules.INDEX) is not None and not index_rules.behind(transaction):
            rules = index_rules.rules(served_types(settings), settings.base_url, systems)
            index_rules.begin(transaction, rules, all_due=index_rules.are_others(transaction, rules, systems))
        case.remember(transaction, systems)
    own = registries_of(settings, transaction)[FhirVersion.R5].own
    wanted = own.wanted
    kept = {
        kind: {name: made if wanted.get(kind, {}).get(name) == made else "" for name, made in names.items()}
        for kind, names in indexed(transaction).items()
    }
    remember_indexed(transaction, kept)
    remember_generation(transaction)
    return own


def refusal(settings: Settings, reader: Reader, given: Defining) -> str | None:
    """Why `given` could not be served beside what the store holds; None where it could."""
    kind = given.resource.get("resourceType")
    others = {
        one: [
            each
            for each in held(reader, one)
            if one != kind or (each.name != given.name and each.resource.get("url") != given.resource.get("url"))
        ]
        for one in ("SearchParameter", "OperationDefinition")
    }
    others[str(kind)].append(given)
    registry = make_registries(settings, others["SearchParameter"], others["OperationDefinition"])[FhirVersion.R5]
    return registry.own.refused.get(given.name or given.label)


def served_types(settings: Settings) -> tuple[str, ...]:
    """The types that the index is made for."""
    return settings.served_types(definitions(FhirVersion.R5).resource_types())
