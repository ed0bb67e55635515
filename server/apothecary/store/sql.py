"""The store's methods, once for both databases; `sqlite.py` and `postgresql.py` add what only they need."""

from __future__ import annotations

import random
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Dialect

from apothecary.errors import Busy
from apothecary.store import reads, similar, tables
from apothecary.store.contract import Past, Stored, Transaction
from apothecary.store.searching import SqlSearcher
from apothecary.store.statements import Statement, Statements

# How often a transaction is tried before its client is told to try again.
ATTEMPTS = 12

T = TypeVar("T")


class SqlReader(SqlSearcher):
    """Reading, by the store itself or inside a transaction. See `contract.Reader` for what the methods promise."""

    def __init__(self, statements: Statements) -> None:
        super().__init__(statements)
        self._read = statements.get("read", reads.current)
        self._read_version = statements.get("read version", reads.version)

    # -- reading

    def read(self, resource_type: str, resource_id: str) -> Stored | None:
        found = self.rows(self._read, (resource_type, resource_id))
        return Stored(*found[0]) if found else None

    def read_version(self, resource_type: str, resource_id: str, version: int) -> Past | None:
        found = self.rows(self._read_version, (resource_type, resource_id, version))
        return Past(*found[0]) if found else None

    def read_many(self, keys: Sequence[tuple[str, str]]) -> list[Stored]:
        by_type: dict[str, list[str]] = {}
        for resource_type, resource_id in keys:
            by_type.setdefault(resource_type, []).append(resource_id)
        found = []
        for resource_type, ids in by_type.items():
            statement = self.statements.get("read many", lambda: reads.many(self.statements.dialect))
            found += [
                Stored(*row)
                for row in self.rows(statement, statement.bind({"type": resource_type, "ids": self.sequence(ids)}))
            ]
        return found

    def history(
        self,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        before: int | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> list[Past]:
        given = tuple(one is not None for one in (before, since, at))
        statement = self.statements.get(("history", *given), partial(reads.history, *given))
        bound = self._window(resource_type, None, since, at)
        bound |= {"id": resource_id, "before": before, "limit": count}
        return [Past(*row) for row in self.rows(statement, statement.bind(bound))]

    def history_total(
        self,
        resource_type: str,
        resource_id: str,
        *,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int:
        given = tuple(one is not None for one in (since, at))
        statement = self.statements.get(("history total", *given), partial(reads.history_total, *given))
        bound = self._window(resource_type, None, since, at) | {"id": resource_id}
        return int(self.rows(statement, statement.bind(bound))[0][0])

    def history_of(
        self,
        resource_type: str | None,
        *,
        count: int,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        before: tuple[int, str, str, int] | None = None,
    ) -> list[Past]:
        given = tuple(one is not None for one in (resource_type, types, since, at, before))
        statement = self.statements.get(
            ("history of", *given), partial(reads.history_of, self.statements.dialect, *given)
        )
        bound = self._window(resource_type, types, since, at) | {"limit": count}
        if before is not None:
            bound |= dict(zip(("before_updated", "before_type", "before_id", "before_version"), before, strict=True))
        return [Past(*row) for row in self.rows(statement, statement.bind(bound))]

    def history_of_total(
        self,
        resource_type: str | None,
        *,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int:
        given = tuple(one is not None for one in (resource_type, types, since, at))
        statement = self.statements.get(
            ("history of total", *given), partial(reads.history_of_total, self.statements.dialect, *given)
        )
        bound = self._window(resource_type, types, since, at)
        return int(self.rows(statement, statement.bind(bound))[0][0])

    def _window(
        self, resource_type: str | None, types: Sequence[str] | None, since: int | None, at: tuple[int, int] | None
    ) -> dict[str, Any]:
        """The values of a history's window; a statement takes those that its shape has."""
        bound = {"type": resource_type, "types": self.sequence(types or ()), "since": since}
        return bound | dict(zip(("at_low", "at_high"), at or (), strict=False))

    def referrers(self, resource_type: str, resource_id: str, limit: int) -> list[tuple[str, str]]:
        statement = self.statements.get("referrers", reads.referrers)
        bound = {"target_type": resource_type, "target_id": resource_id, "limit": limit}
        return [(row[0], row[1]) for row in self.rows(statement, statement.bind(bound))]

    def existing(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        by_type: dict[str, list[str]] = {}
        for kind, identity in keys:
            by_type.setdefault(kind, []).append(identity)
        found: set[tuple[str, str]] = set()
        for kind, ids in by_type.items():
            statement = self.statements.get("existing", lambda: reads.existing(self.statements.dialect))
            found.update(
                (kind, row[0])
                for row in self.rows(statement, statement.bind({"type": kind, "ids": self.sequence(ids)}))
            )
        return found

    def all_of_type(self, resource_type: str) -> Iterator[Stored]:
        return self._pages(self.statements.get("all of type", reads.all_of_type), resource_type)

    def sent(self, resource_type: str) -> Iterator[Stored]:
        return self._pages(self.statements.get("sent", reads.sent), resource_type)

    def _pages(self, statement: Statement, resource_type: str) -> Iterator[Stored]:
        """What `statement` gives of a type, some hundred at a time."""
        last = ""
        while batch := self.rows(statement, statement.bind({"type": resource_type, "after": last, "limit": 500})):
            yield from (Stored(*row) for row in batch)
            last = batch[-1][1]
            if len(batch) < 500:
                # What is written at the end meanwhile is not waited for: there might be no end of it.
                return

    def types(self) -> list[str]:
        """The types of which there is any resource."""
        statement = self.statements.get("types", reads.types)
        return [row[0] for row in self.rows(statement, statement.bind({}))]

    def state(self, name: str) -> str | None:
        statement = self.statements.get(
            "state", lambda: select(tables.state.c.value).where(tables.state.c.name == bindparam("name"))
        )
        found = self.rows(statement, statement.bind({"name": name}))
        return str(found[0][0]) if found else None

    # -- references between resources

    def referenced(
        self, source_type: str, parameter: str | None, target_type: str | None, sources: Sequence[str], limit: int
    ) -> list[tuple[str, str]]:
        statement = self.statements.get(
            ("referenced", parameter is None, target_type is None),
            lambda: reads.referenced(self.statements.dialect, parameter is not None, target_type is not None),
        )
        bound = {
            "type": source_type,
            "parameter": parameter,
            "target_type": target_type,
            "ids": self.sequence(sources),
            "limit": limit,
        }
        return [(row[0], row[1]) for row in self.rows(statement, statement.bind(bound))]

    def referring(
        self, source_type: str, parameter: str | None, targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        statement = self.statements.get(
            ("referring", parameter is None), lambda: reads.referring(self.statements.dialect, parameter is not None)
        )
        return self._to(statement, {"type": source_type, "parameter": parameter, "limit": limit}, targets)

    def named(
        self,
        source_type: str,
        parameters: Sequence[str] | None,
        target_types: Sequence[str],
        sources: Sequence[str],
        limit: int,
    ) -> list[tuple[str, str]]:
        statement = self.statements.get(
            ("named", parameters is None), lambda: reads.named(self.statements.dialect, parameters is not None)
        )
        bound = {
            "type": source_type,
            "parameters": self.sequence(parameters or ()),
            "types": self.sequence(target_types),
            "ids": self.sequence(sources),
            "limit": limit,
        }
        return [(row[0], row[1]) for row in self.rows(statement, statement.bind(bound))]

    def naming(
        self, source_type: str, parameters: Sequence[str], targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        statement = self.statements.get("naming", lambda: reads.naming(self.statements.dialect))
        bound = {"type": source_type, "parameters": self.sequence(parameters), "limit": limit}
        return self._to(statement, bound, targets)

    def _to(
        self, statement: Statement, bound: Mapping[str, Any], targets: Sequence[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Keys of what a statement finds for targets, which takes those of one type at a time."""
        by_type: dict[str, list[str]] = {}
        for target_type, target_id in targets:
            by_type.setdefault(target_type, []).append(target_id)
        found: dict[tuple[str, str], None] = {}
        for target_type, ids in by_type.items():
            every = {**bound, "target_type": target_type, "ids": self.sequence(ids)}
            found.update(dict.fromkeys((bound["type"], row[0]) for row in self.rows(statement, statement.bind(every))))
        return list(found)

    # -- searching

    def similar(self, resource_type: str, parameter: str, word: str) -> Sequence[tuple[str, int]]:
        statement = self.statements.get(
            ("similar", resource_type, parameter),
            lambda: similar.words(self.statements.dialect, resource_type, parameter),
        )
        bound = similar.values(word, self.sequence)
        return [(found, int(likeness)) for found, likeness in self.rows(statement, statement.bind(bound))]


class SqlStore(SqlReader):
    """A store over one database: what each database does its own way."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(Statements(dialect))

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]: ...

    @abstractmethod
    def prepare(self) -> None:
        """Make the tables in an empty database; raise SchemaError for tables of another version. Any number of
        processes may do so at once.
        """

    @abstractmethod
    def retryable(self, error: Exception) -> bool:
        """Whether a transaction that failed with `error` may be tried again: somebody else's came between."""

    @abstractmethod
    def close(self) -> None: ...

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and commit it; run it again, a bounded number of times, where another came
        between.

        `work` must have no effect but through its transaction. Raises Busy when no try succeeds.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except Exception as error:
                if not self.retryable(error):
                    raise
                # Apart in time, or the same writers meet again.
                time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 (no secret)
        raise Busy("the database is busy with other writes; try again", headers={"Retry-After": "1"})


def too_long(seconds: float) -> Busy:
    """What a statement is answered with that reached the limit of time."""
    return Busy(
        f"the search ran longer than the limit of {seconds:g} seconds",
        code="timeout",
        remedy="Ask for less: more parameters, fewer chains, a smaller _count.",
        headers={"Retry-After": "10"},
    )
