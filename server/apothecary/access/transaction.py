"""A transaction in which only what a client may change is changed, and what it may not see is not there.

What a scope says by criteria holds before a write and after it: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apothecary.access.reader import GuardedReader, Key
from apothecary.access.scopes import Permission
from apothecary.access.sight import NOTHING, Seen, Sight
from apothecary.errors import Forbidden
from apothecary.search.rows import Indexed
from apothecary.store.contract import Head, Stored, Transaction
from apothecary.store.shaping import Shaped

_OF: dict[str, Permission] = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


def forbidden(resource_type: str, permission: str, why: str = "") -> Forbidden:
    """What is answered where the scopes do not allow something: https://www.rfc-editor.org/rfc/rfc6750#section-3.1"""
    wanted = f"system/{resource_type}.{permission}"
    return Forbidden(
        why or f"the scopes of this client do not allow this; {wanted} would",
        remedy="Ask the operator of the server for more scopes.",
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{wanted}"'},
    )


class GuardedTransaction(GuardedReader, Transaction):
    """What `sight` allows in another transaction."""

    def __init__(self, inner: Transaction, sight: Sight) -> None:
        super().__init__(inner, sight)
        self._writing = inner

    @property
    def touched(self) -> dict[Key, Head]:  # type: ignore[override] # nobody sets it
        return self._writing.touched

    def existing(self, keys: Sequence[Key]) -> set[Key]:
        own = self.touched.keys() & set(keys)
        return super().existing(keys) | (self._inner.existing(list(own)) if own else set())

    def replaced(self, resource_type: str, resource_id: str, *, deleting: bool = False) -> Stored | None:
        return self._current(resource_type, resource_id, self._sight.replaced(resource_type, deleting=deleting))

    def moment(self, current: Stored | Head | None = None) -> int:
        return self._writing.moment(current)

    def foresee(self, keys: Iterable[Key]) -> None:
        self._writing.foresee(keys)

    def write(self, stored: Stored, method: str, rows: Iterable[Indexed] | Shaped, *, absent: bool = False) -> None:
        current = None if stored.version == 1 else self._inner.read(stored.type, stored.id)
        there = current is not None and not current.deleted
        permission = _OF[method] if there or method != "PUT" else "c"
        if method == "PUT" and stored.version == 1 and self._sight.replaced(stored.type) is not None:
            # Whether the id is free only those may know who could see what has it.
            raise forbidden(
                stored.type, "r", f"the id of a new {stored.type} is chosen by those only who may read all of this type"
            )
        wanted = self._sight.of(stored.type, permission)
        if there and permission != "c":
            self._hold(stored, permission, wanted)
        self._writing.write(stored, method, rows, absent=absent)
        if not stored.deleted:
            self._hold(stored, permission, wanted)
        elif wanted == NOTHING:
            raise forbidden(stored.type, permission)

    def amend(self, stored: Stored, rows: Iterable[Indexed]) -> None:
        own = (stored.type, stored.id) in self.touched
        wanted = self._sight.of(stored.type, "u") if not own else self._made(stored)
        if not own:
            self._hold(stored, "u", wanted)
        self._writing.amend(stored, rows)
        self._hold(stored, "c" if own and stored.version == 1 else "u", wanted)

    def _made(self, stored: Stored) -> Seen:
        """What a version that this transaction wrote must meet."""
        return self._sight.of(stored.type, "c" if stored.version == 1 else "u")

    def _hold(self, stored: Stored, permission: Permission, wanted: Seen) -> None:
        """Raises Forbidden where the resource, as it is in the transaction now, is none that this is allowed with."""
        if wanted == NOTHING:
            raise forbidden(stored.type, permission)
        if wanted is not None and not any(self._meeting(stored.type, (stored.id,), wanted)):
            raise forbidden(
                stored.type,
                permission,
                f"the scopes of this client allow this only with some resources of type {stored.type}, before and after"
                " the change",
            )

    # -- what no interaction does

    def index(self, stored: Stored, rows: Iterable[Indexed] | Shaped, *, fresh: bool) -> None:
        raise forbidden(stored.type, "u")

    def run_all(self, statements: Iterable[str]) -> None:
        raise Forbidden("statements are run by the server itself only")

    # -- what the server remembers for itself

    def set_state(self, name: str, value: str) -> None:
        self._writing.set_state(name, value)

    def forget_state(self, name: str) -> None:
        self._writing.forget_state(name)
