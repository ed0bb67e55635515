"""The services of those who may not see all: one for each set of scopes, and whatever is remembered is its own.

Authorization is no check in a view or an interaction: who asks gets a service whose reader and transactions leave out
what his scopes do not grant. https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import partial
from typing import Any, TypeVar

from apothecary.access.criteria import usable
from apothecary.access.narrowing import left_out
from apothecary.access.reader import GuardedReader
from apothecary.access.scopes import PERMISSIONS, Permission, Scopes
from apothecary.access.sight import NOTHING, Sight
from apothecary.access.transaction import GuardedTransaction, forbidden
from apothecary.errors import Forbidden, Issue
from apothecary.fhir.caches import Weighed
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.known import Known
from apothecary.interactions.service import PAGES, Finds, Service
from apothecary.search.own import bases
from apothecary.search.query import Search
from apothecary.store.contract import Store, Transaction

T = TypeVar("T")

# So many services are kept; the one that was asked for longest ago goes first. Each has its own caches.
KEPT = 64
# Of what all may keep of pages, each has this share.
_SHARE = 16
# An answer names so many types of which resources were left out.
_NAMED = 5


class GuardedStore(GuardedReader, Store):
    """What `sight` allows in a store."""

    def __init__(self, inner: Store, sight: Sight) -> None:
        super().__init__(inner, sight)
        self._store = inner
        self.sqlite = inner.sqlite

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._store.transaction() as inner:
            yield GuardedTransaction(inner, self._sight)

    def write(self, work: Callable[[Transaction], T], *, brief: bool = False) -> T:
        return self._store.write(lambda inner: work(GuardedTransaction(inner, self._sight)), brief=brief)

    def filling(self) -> AbstractContextManager[bool]:
        raise Forbidden("a database is filled by the server itself only")

    def gather_statistics(self) -> None:
        self._store.gather_statistics()

    def changes(self) -> Hashable | None:
        return self._store.changes()

    @property
    def busy(self) -> bool:
        return self._store.busy

    def ready(self, *, writes: bool) -> None:
        self._store.ready(writes=writes)

    def close(self) -> None:
        raise Forbidden("a database is closed by the server itself only")


@dataclass
class GuardedService(Service):
    """What of a service those see who have some scopes."""

    sight: Sight = field(kw_only=True)
    behind: Service = field(kw_only=True)
    """The service itself: it keeps the definitions in step, which are everybody's."""

    def permit(self, types: Sequence[str], *permissions: str, whole: bool = False) -> None:
        # What there is no such type of is told by whoever looks for it.
        known = [one for one in types if one in self.sight.types] if types else sorted(self.sight.types)
        wanted: Sequence[Permission] = permissions  # type: ignore[assignment] # letters of it
        if types and not known:
            return
        if not any(self.sight.may(one, *wanted) for one in known):
            raise forbidden(known[0] if types and known else "*", "".join(p for p in PERMISSIONS if p in permissions))
        if whole and not any(self.sight.of(one, each) is None for one in known for each in wanted):
            raise forbidden(
                known[0], "".join(permissions), f"this is for those only who may see all resources of type {known[0]}"
            )

    def permit_all(self, permissions: str) -> None:
        if not self.sight.whole(permissions):
            raise forbidden("*", permissions, "this is for those only who may see everything")

    def finds(self, resource_type: str) -> Finds:
        seen = self.sight.searched(resource_type)
        return "all" if seen is None else "none" if seen == NOTHING else "some"

    def left_out(self, search: Search) -> Sequence[Issue]:
        if self.sight.whole("rs"):
            return ()
        kinds = left_out(self.sight, search.query, search.includes)
        return (Issue("information", "suppressed", _told(kinds)),) if kinds else ()

    def narrowed(self, types: Sequence[str] = ()) -> str | None:
        about = self.sight.types.intersection(types or self.sight.types)
        kinds = [] if self.sight.whole("s") else [one for one in sorted(about) if self.finds(one) != "all"]
        return _told(kinds) if kinds else None

    def begin(self) -> None:
        self.behind.begin()

    def within(self, transaction: Transaction) -> Service:
        return replace(self, reader=transaction, terminology=Known(), profiles=Known())

    def write(self, work: Callable[[Transaction], T], *, entries: int = 1) -> T:
        return self.behind.write(lambda inner: work(GuardedTransaction(inner, self.sight)), entries=entries)


def _told(kinds: Sequence[str]) -> str:
    named = f"{', '.join(kinds[:_NAMED])}{' and other types' if len(kinds) > _NAMED else ''}"
    return f"the scopes of this client leave out resources of {named}, which may or may not be here"


class Guards:
    """Makes the services of clients from the one of the server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._made: OrderedDict[Hashable, Service] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, scopes: tuple[str, ...]) -> Service:
        """The service of whoever has these scopes: of those of others, too, that are the same."""
        key: Hashable = scopes
        if any("?" in one for one in scopes):
            # What criteria ask hangs on the definitions of search parameters.
            self._service.begin()
            now = self._service.live.now
            key = scopes, now.generation, tuple((kind, *sorted(some)) for kind, some in sorted(now.incomplete.items()))
        found = self._made.get(key)
        if found is None:
            found = self._guarded(Scopes.known(scopes))
        with self._lock:
            self._made[key] = found
            self._made.move_to_end(key)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return found

    def _guarded(self, scopes: Scopes) -> Service:
        service = self._service
        registries = {version: service.registry(version) for version in FhirVersion if version in service.registries}
        meant = partial(usable, registries, bases(service.settings), service.live.now.incomplete)
        types = service.registries[FhirVersion.R5].types
        sight = Sight(scopes, types, meant)
        if sight.whole(PERMISSIONS):
            return service
        own: dict[str, Any] = {one.name: getattr(service, one.name) for one in fields(service)}
        # Whatever is remembered is remembered for those who may see as much.
        own |= {one.name: one.default_factory() for one in fields(service) if one.default_factory is not MISSING}
        whole = sight.whole("rs")
        own |= {
            "reader": service.reader if whole else GuardedReader(service.reader, sight),
            "store": GuardedStore(service.store, sight),
            "models": service.models,
            "readings": service.readings,
            "pages": Weighed(PAGES // _SHARE),
            "secret": hmac.digest(service.secret, str(scopes).encode(), hashlib.sha256),
            "guards": None,
        }
        return GuardedService(**own, sight=sight, behind=service)
