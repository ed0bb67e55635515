"""Which resources a client's scopes let it see and change, as what a search asks of the index.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from apothecary.access.scopes import Pairs, Permission, Scopes
from apothecary.search.predicates import Nothing, Predicate, any_of

NOTHING = Nothing()

Seen = Predicate | None
"""What resources of a type must meet: None for all of them, `NOTHING` for none."""


class Sight:
    """What one set of scopes leaves of each type."""

    def __init__(self, scopes: Scopes, types: Iterable[str], meant: Callable[[str, Pairs], Predicate]) -> None:
        """`types` are all that may be stored; `meant` says what criteria ask of a type, `NOTHING` where they cannot be
        asked of it: then they are met by none.
        """
        self.scopes = scopes
        self.types = frozenset(types)
        self._meant = meant
        self._known: dict[tuple[str, str], Seen] = {}
        self.met: dict[tuple[Hashable, ...], bool] = {}
        """What was found out of single resources: whether they meet what is asked of them."""

    def of(self, resource_type: str, permission: Permission) -> Seen:
        """What may be done that with, of a type."""
        key = resource_type, permission
        if key not in self._known:
            # The first one stays, whichever thread made it: what was found out of resources is kept by its identity.
            self._known.setdefault(key, self._of(resource_type, permission))
        return self._known[key]

    def _of(self, resource_type: str, permission: Permission) -> Seen:
        # What no release has, and no scope could name, nobody has stored.
        if resource_type not in self.types:
            return NOTHING
        allowed = self.scopes.criteria(resource_type, permission)
        if allowed is None:
            return NOTHING
        return union(*(self._meant(resource_type, one) for one in allowed)) if allowed else None

    def searched(self, resource_type: str) -> Seen:
        """What searches find."""
        return self.of(resource_type, "s")

    def addressed(self, resource_type: str) -> Seen:
        """What is read at its address."""
        return self.of(resource_type, "r")

    def shown(self, resource_type: str) -> Seen:
        """What can be had in either way."""
        key = resource_type, "rs"
        if key not in self._known:
            self._known.setdefault(key, union(self.addressed(resource_type), self.searched(resource_type)))
        return self._known[key]

    def replaced(self, resource_type: str, *, deleting: bool = False) -> Seen:
        """What an update or deletion takes for there: what can be read; where nothing can, what may be changed so."""
        found = self.addressed(resource_type)
        return found if found != NOTHING else self.of(resource_type, "d" if deleting else "u")

    def may(self, resource_type: str, *permissions: Permission) -> bool:
        """Whether any of these may be done with some resources of a type."""
        return any(self.of(resource_type, one) != NOTHING for one in permissions)

    def whole(self, permissions: str) -> bool:
        """Whether all of these may be done with all there is."""
        return all(
            self.of(kind, one) is None  # type: ignore[arg-type]  # each letter is a Permission
            for kind in self.types
            for one in permissions
        )


def union(*seen: Seen) -> Seen:
    """What meets one of these."""
    if not seen or None in seen:
        return None if seen else NOTHING
    some = list(dict.fromkeys(one for one in seen if one is not None and one != NOTHING))
    return any_of(some) if some else NOTHING
