"""How often EHRs told what became of a card: counted, in so many rows and no more.

https://cds-hooks.hl7.org/2.0/#feedback
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from apothecary.store.contract import Transaction
from apothecary.store.feedback_tables import cds_feedback
from apothecary.store.sql import SqlStore
from apothecary.store.tables import resource
from apothecary.store.write import SqlTransaction

# So many rows; what would need another one counts among the others of its service and outcome, so that no sender can
# fill the disk with reasons that he makes up, and no count is lost.
MOST = 50_000

_COLUMNS = cds_feedback.c
_KEY = tuple(cds_feedback.primary_key)


class Told(NamedTuple):
    """What became of a card. `mark` is that of its statement, empty where that is none of this server's."""

    mark: str
    service: str
    outcome: str
    system: str
    code: str

    @property
    def others(self) -> Told:
        """Where it counts when there is no more room."""
        return Told("", self.service, self.outcome, "", "")


class Counted(NamedTuple):
    """The same with how often it was told, how often with a comment, and when last, in microseconds since 1970."""

    told: Told
    times: int
    commented: int
    latest: int


class Feedback:
    """The part of a store that counts it."""

    def __init__(self, store: SqlStore, most: int = MOST) -> None:
        self._store, self._most = store, most

    def add(self, counted: Collection[Counted]) -> None:
        """Count all of it, or nothing. Raises as writes do."""
        # In one order, so that of two servers that count the same none waits for the other.
        ordered = sorted(counted)

        def note(transaction: Transaction) -> None:
            within = cast(SqlTransaction, transaction)
            for one in ordered:
                if not self._count(within, "add to", _add, one):
                    room = self._rows(within, "size", _size, {})[0][0] < self._most
                    put = partial(_put, self._store.statements.dialect)
                    self._count(within, "put", put, one if room else one._replace(told=one.told.others))

        self._store.write(note, brief=True)

    def _count(self, within: SqlTransaction, name: str, build: Callable[[], Any], one: Counted) -> bool:
        named = {"at_" + key: value for key, value in one.told._asdict().items()}
        return bool(
            self._rows(within, name, build, named | {"more": one.times, "said": one.commented, "now": one.latest})
        )

    def _rows(self, within: SqlTransaction, name: str, build: Callable[[], Any], named: Mapping[str, Any]) -> list[Any]:
        statement = self._store.statements.get(f"feedback {name}", build)
        return within.rows(statement, statement.bind(named))

    def most(self, service: str, limit: int) -> list[Counted]:
        """What was told most often of a service's cards, at most `limit`."""
        statement = self._store.statements.get("feedback most", _most)
        found = self._store.rows(statement, statement.bind({"service": service, "limit": limit}))
        return [Counted(Told(*row[:5]), *row[5:]) for row in found]

    def total(self, service: str) -> tuple[int, int]:
        """How much was told of a service's cards, and how many rows it is in."""
        statement = self._store.statements.get("feedback total", _total)
        ((told, rows),) = self._store.rows(statement, statement.bind({"service": service}))
        return int(told or 0), rows

    def ids(self, kind: str) -> list[str]:
        """Of every resource of a type, without its body: marks are made of them."""
        statement = self._store.statements.get("feedback ids", _ids)
        return [row[0] for row in self._store.rows(statement, statement.bind({"type": kind}))]


def _named(name: str) -> Any:
    return bindparam(name, type_=BigInteger())


def _values() -> dict[str, Any]:
    return {column.name: bindparam(f"at_{column.name}", type_=Text()) for column in _KEY}


def _sums() -> dict[str, Any]:
    return {
        "count": _COLUMNS["count"] + _named("more"),
        "commented": _COLUMNS.commented + _named("said"),
        "latest": _named("now"),
    }


def _add() -> Any:
    here = [column == value for column, value in zip(_KEY, _values().values(), strict=True)]
    return update(cds_feedback).where(*here).values(_sums()).returning(_COLUMNS.mark)


def _put(dialect: Dialect) -> Any:
    into = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    made = into(cds_feedback).values(
        _values() | {"count": _named("more"), "commented": _named("said"), "latest": _named("now")}
    )
    return made.on_conflict_do_update(index_elements=_KEY, set_=_sums()).returning(_COLUMNS.mark)


def _size() -> Any:
    return select(func.count()).select_from(cds_feedback)


def _most() -> Any:
    found = select(*_KEY, _COLUMNS["count"], _COLUMNS.commented, _COLUMNS.latest)
    here = found.where(_COLUMNS.service == bindparam("service", type_=Text()))
    return here.order_by(_COLUMNS["count"].desc(), *_KEY).limit(bindparam("limit", type_=Integer()))


def _total() -> Any:
    found = select(func.sum(_COLUMNS["count"]), func.count()).select_from(cds_feedback)
    return found.where(_COLUMNS.service == bindparam("service", type_=Text()))


def _ids() -> Any:
    return select(resource.c.id).where(resource.c.type == bindparam("type", type_=Text()), not_(resource.c.deleted))
