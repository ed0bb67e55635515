"""What every interaction works with: the settings, the store, and the search parameters of each FHIR version served."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from apothecary.content import index_rules
from apothecary.content.definitions import changed, defines
from apothecary.content.live import Live
from apothecary.errors import BadRequest, Issue, NotFound, Unprocessable
from apothecary.fhir.caches import Weighed
from apothecary.fhir.definitions import definitions
from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.known import Known, Models
from apothecary.interactions.prepared import Cache
from apothecary.search.parameters import Registry
from apothecary.search.query import Search
from apothecary.settings import Settings
from apothecary.store.contract import Head, Reader, Replica, Store, Transaction
from apothecary.suggestions import or_rather
from apothecary.versions import where_instead

T = TypeVar("T")


class OfferedArgument(Protocol):
    """What is said of a parameter of an operation: its name, its FHIR type, and what it means."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def documentation(self) -> str: ...


class OfferedOperation(Protocol):
    """What the CapabilityStatement says of an operation; those of `apothecary.operations` are such.
    https://hl7.org/fhir/R5/operationdefinition.html
    """

    @property
    def definition(self) -> str: ...
    @property
    def levels(self) -> frozenset[str]: ...
    @property
    def types(self) -> frozenset[str]: ...
    @property
    def affects_state(self) -> bool: ...

    def answer(
        self,
        service: Service,
        version: FhirVersion,
        base: str,
        resource_type: str | None,
        resource_id: str | None,
        pairs: Sequence[tuple[str, str]],
        posted: Any,
    ) -> dict[str, Any]:
        """The resource that answers a call without headers of its own."""

    @property
    def arguments(self) -> Sequence[OfferedArgument]: ...


Finds = Literal["all", "some", "none"]


class Guards(Protocol):
    """Services in which what a client may not see is not there; those of `apothecary.access` are such."""

    def of(self, scopes: tuple[str, ...]) -> Service:
        """The service of whoever has these scopes."""


class Recorder(Protocol):
    """Who keeps a record of changes."""

    def changing(self, transaction: Transaction, touched: Mapping[tuple[str, str], Head]) -> None:
        """Called within a transaction, after its work, with what it wrote."""

    def changed(self, touched: Mapping[tuple[str, str], Head]) -> None:
        """Called once it is committed."""


class Closed(NamedTuple):
    """Why a request may not write, and what its sender or the operator can do about it."""

    reason: str
    remedy: str | None


# Who writes no more at once may be committed together with others, who wait for it.
BRIEF = 10

# Bytes of pages and their parts that one process keeps.
PAGES = 32 * 1024 * 1024
# And of what it read from the texts of drugs and of statements against them.
READINGS = 64 * 1024 * 1024

OPENING = (
    "Turn on APOTHECARY_AUTHORIZATION, listen on a loopback address, or open writes with APOTHECARY_OPEN_WRITES=true."
)


@dataclass
class Service:
    """One server's parts. `live` has a registry for each FHIR version that has a base, `operations` an entry for each
    code that is offered.

    `reader` is what reads and searches go to: the store itself, a replica of it, or an open transaction.
    """

    settings: Settings
    store: Store
    reader: Reader
    live: Live
    secret: bytes
    operations: Mapping[str, OfferedOperation]
    replica: Replica | None = None
    """The reader once more, where it may lag behind the store: it must be told what a request has to see."""
    searches: Cache = field(default_factory=Cache)
    terminology: Known = field(default_factory=Known)
    """What `reader` told of value sets and code systems."""
    profiles: Known = field(default_factory=Known)
    """What `reader` told of profiles."""
    supported: Known = field(default_factory=Known)
    """And of which there are, for the CapabilityStatement."""
    models: Models = field(default_factory=Models)
    """Code systems and value sets as they were read from their texts."""
    readings: Weighed[Any, Any] = field(default_factory=lambda: Weighed(READINGS))
    """Drugs and statements against them as they were read from their texts, whoever may see these."""
    statements: dict[tuple[FhirVersion, str, str, Closed | None, int], tuple[bytes, str]] = field(default_factory=dict)
    """CapabilityStatements that were computed, with their ETags, by version, base, generation of the definitions, what
    stands against writes, and how many versions of profiles there are.
    """
    pages: Weighed[Any, Any] = field(default_factory=lambda: Weighed(PAGES))
    """Pages and parts of pages, with what they were made of (`apothecary.pages.kept`)."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    recorder: Recorder | None = None
    """Who is told of what is written, where that is asked for."""
    closed_here: Closed | None = None
    """What stands against writes of the request in hand, where the settings allow them."""
    guards: Guards | None = None
    """What each client may see of all this; None where all may see all."""

    @property
    def registries(self) -> Mapping[FhirVersion, Registry]:
        """A registry for each version, for what the settings decide: the versions and their types."""
        return self.live.latest.registries

    @cached_property
    def versions(self) -> frozenset[FhirVersion]:
        """The versions that are served."""
        return frozenset(self.registries)

    @property
    def closed(self) -> Closed | None:
        """What stands against writes, by the settings or for the request in hand; None where nothing does."""
        reason = self.settings.why_read_only
        if reason is None:
            return self.closed_here
        return Closed(reason, None if self.settings.read_only else OPENING)

    # -- what those may do who ask, and see. Here they may do all: `apothecary.access.guard` has what others may.

    def permit(self, types: Sequence[str], *permissions: str, whole: bool = False) -> None:
        """Raises Forbidden where who asks may do none of `permissions` (letters of `cruds`) with resources of any of
        `types`, or of any at all where none is named; with `whole`, where he may do none with all of them.
        """

    def permit_all(self, permissions: str) -> None:
        """Raises Forbidden where there is any resource with which who asks may not do all of `permissions`."""

    def finds(self, resource_type: str) -> Finds:
        """How much of a type who asks may find."""
        return "all"

    def left_out(self, search: Search) -> Sequence[Issue]:
        """What is told of resources that a search does not look at because who asks may not see them."""
        return ()

    def narrowed(self, types: Sequence[str] = ()) -> str | None:
        """What is told where an answer is about `types`, or without any about all, and who asks may not find all of
        them.
        """
        return None

    def begin(self) -> None:
        """A request begins in this thread."""
        self.live.begin(self.reader)

    def within(self, transaction: Transaction) -> Service:
        """This service where reads, too, see what an open transaction wrote."""
        return replace(self, reader=transaction, terminology=Known(), profiles=Known())

    def write(self, work: Callable[[Transaction], T], *, entries: int = 1) -> T:
        """Run `work`, which writes some `entries`, in a transaction with what can be searched for then, and commit it;
        again where another came between. Raises Unprocessable where it writes a definition that could not be served.
        """

        defining = False
        touched: Mapping[tuple[str, str], Head] = {}

        def whole(transaction: Transaction) -> T:
            nonlocal defining, touched
            self.live.look(transaction)
            result = work(transaction)
            defining = defines(transaction)
            if self.live.now.behind:
                index_rules.note(transaction, transaction.touched)
            if defining:
                self._define(transaction)
            if self.recorder is not None:
                touched = dict(transaction.touched)
                self.recorder.changing(transaction, touched)
            return result

        done = self.store.write(whole, brief=entries <= BRIEF)
        if self.recorder is not None:
            self.recorder.changed(touched)
        if defining:
            self.live.look(self.store)
        return done

    def _define(self, transaction: Transaction) -> None:
        refused = changed(self.settings, transaction).refused
        issues = [
            Issue("error", "business-rule", reason, (name.partition("/")[0],), rule="unservable-definition")
            for name, reason in sorted(refused.items())
            if (*name.split("/"),) in transaction.touched
        ]
        if issues:
            raise Unprocessable("a definition could not be served", issues=issues)

    @cached_property
    def open_world(self) -> frozenset[str]:
        """The types of which the content may lack what exists: an empty search for them says so."""
        return frozenset(name.strip() for name in self.settings.open_world_types.split(",") if name.strip())

    def registry(self, version: FhirVersion) -> Registry:
        """What can be searched for, as this request sees it."""
        return self.live.now.registries[version]

    def check_type(self, version: FhirVersion, resource_type: str) -> None:
        """Raises NotFound with a hint where this server has no such type in `version`."""
        if self.registries[version].serves(resource_type):
            return
        raise NotFound(
            f"{resource_type}: {self._why_not(version, resource_type)}",
            code="not-supported",
            remedy="GET [base]/metadata lists the resource types.",
        )

    def _why_not(self, version: FhirVersion, resource_type: str) -> str:
        types = self.registries[version].types
        same = [one for one in types if one.lower() == resource_type.lower()]
        if same:
            return f"names of resource types are case-sensitive; write {same[0]}"
        instead = where_instead(resource_type, version)
        if instead is not None:
            return instead
        if definitions(version).is_resource_type(resource_type):
            return f"a resource type of FHIR {version} that this server does not serve (see APOTHECARY_RESOURCE_TYPES)"
        return f"not a resource type of FHIR {version}{or_rather(resource_type, types)}"


def check_id(resource_id: str) -> None:
    """Raises BadRequest for what cannot be a resource's id: https://hl7.org/fhir/R5/datatypes.html#id"""
    if not is_id(resource_id):
        raise BadRequest(
            f"{resource_id!r} is not an id",
            remedy="An id has 1 to 64 letters, digits, - and . (no other characters).",
            code="value",
        )
