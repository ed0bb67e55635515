"""The store's methods, once for both databases; `sqlite.py` and `postgresql.py` add what only they need."""

from __future__ import annotations

import logging
import random
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Executable
from sqlalchemy.engine import Dialect

from apothecary.errors import InsufficientStorage, Unreachable
from apothecary.fhir.temporal import instant, now
from apothecary.search.text import key
from apothecary.store import concept_statements, filling, history, reads, similar
from apothecary.store.concepts import SqlConcepts
from apothecary.store.contract import Head, Past, Reader, Store, Stored, Transaction
from apothecary.store.limited import held
from apothecary.store.statements import Statement, Statements
from apothecary.store.systems import short
from apothecary.store.writers import busy
from apothecary.terminology.stored import said

# How often a transaction is tried before its client is told to try again.
ATTEMPTS = 20

# How far, in microseconds, a clock may be behind the database before the log says so.
BEHIND = 10_000_000

T = TypeVar("T")

# No more than that, in bytes, is read ahead of who goes through all resources of a type.
BATCH_BYTES = 16 * 1024 * 1024

# How many bytes there must be room for, so that a database that had none is written again.
ROOM = 128 * 1024

log = logging.getLogger("apothecary")


class SqlReader(SqlConcepts, Reader):
    """Reading, by the store itself or inside a transaction."""

    def __init__(self, statements: Statements) -> None:
        super().__init__(statements)
        self._read = statements.get("read", reads.current)
        self._state = statements.get("state", reads.state)

    def _fetch(
        self, key: Hashable, build: Callable[[], Executable], most: int | None = None, **named: Any
    ) -> list[Any]:
        """All rows of a statement, or with `most` those that `limited` keeps; `key` and `build` as in
        `Statements.get`.
        """
        statement = self.statements.get(key, build)
        return self.rows(statement, statement.bind(named), most)

    def all_rows(self, asked: Sequence[tuple[Statement, Sequence[Any]]]) -> list[list[Any]]:
        """The rows of several statements."""
        return [self.rows(statement, bound) for statement, bound in asked]

    # -- reading

    def read(self, resource_type: str, resource_id: str) -> Stored | None:
        found = self.rows(self._read, (resource_type, resource_id))
        return Stored(*found[0]) if found else None

    def read_version(self, resource_type: str, resource_id: str, version: int) -> Past | None:
        found = self._fetch("read version", history.version, type=resource_type, id=resource_id, version=version)
        return Past(*found[0]) if found else None

    def read_many(self, keys: Sequence[tuple[str, str]], most: int | None = None) -> list[Stored]:
        build = partial(reads.many, self.statements.dialect)
        found: list[Stored] = []
        left = most
        for kind, ids in _by_type(keys):
            rows = self._fetch("read many", build, left, type=kind, ids=self.sequence(ids))
            found += [Stored(*row) for row in rows]
            if left is not None and (left := left - sum(map(held, rows))) < 0:
                break
        return found

    def heads(self, keys: Sequence[tuple[str, str]]) -> list[Head]:
        found = self._of_types("heads", partial(reads.heads, self.statements.dialect), keys, "type")
        return [Head(*row) for _, rows in found for row in rows]

    def existing(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        found = self._of_types("existing", partial(reads.existing, self.statements.dialect), keys, "type")
        return {(kind, row[0]) for kind, rows in found for row in rows}

    def history(
        self,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        before: int | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        most: int | None = None,
    ) -> list[Past]:
        given = tuple(one is not None for one in (before, since, at))
        bound = self._window(resource_type, None, since, at)
        bound |= {"id": resource_id, "before": before, "limit": count}
        found = self._fetch(("history", *given), partial(history.history, *given), most, **bound)
        return [Past(*row) for row in found]

    def history_total(
        self,
        resource_type: str,
        resource_id: str,
        *,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int:
        given = tuple(one is not None for one in (since, at))
        bound = self._window(resource_type, None, since, at) | {"id": resource_id}
        found = self._fetch(("history total", *given), partial(history.history_total, *given), **bound)
        return int(found[0][0])

    def history_of(
        self,
        resource_type: str | None,
        *,
        count: int,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        before: tuple[int, str, str, int] | None = None,
        most: int | None = None,
    ) -> list[Past]:
        given = tuple(one is not None for one in (resource_type, types, since, at, before))
        bound = self._window(resource_type, types, since, at) | {"limit": count}
        if before is not None:
            bound |= dict(zip(("before_updated", "before_type", "before_id"), before[:3], strict=True))
        build = partial(history.history_of, self.statements.dialect, *given)
        return [Past(*row) for row in self._fetch(("history of", *given), build, most, **bound)]

    def history_of_total(
        self,
        resource_type: str | None,
        *,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int:
        given = tuple(one is not None for one in (resource_type, types, since, at))
        build = partial(history.history_of_total, self.statements.dialect, *given)
        bound = self._window(resource_type, types, since, at)
        return int(self._fetch(("history of total", *given), build, **bound)[0][0])

    def _window(
        self, resource_type: str | None, types: Sequence[str] | None, since: int | None, at: tuple[int, int] | None
    ) -> dict[str, Any]:
        """The values of a history's window; a statement takes those that its shape has."""
        bound = {"type": resource_type, "types": self.sequence(types or ()), "since": since}
        return bound | dict(zip(("at_low", "at_high"), at or (), strict=False))

    def all_of_type(self, resource_type: str, after: str = "", page: int = 500) -> Iterator[Stored]:
        return self._pages("all of type", reads.all_of_type, resource_type, after, page)

    def code_system_heads(self, page: int = 500) -> Iterator[Stored]:
        for row in self._paged("code system heads", concept_statements.heads, "CodeSystem", page=page):
            kind, identity, version, updated, fhir_version, body, apart = row
            yield Stored(kind, identity, version, updated, fhir_version, said(apart) if body is None else body)

    def sent(self, resource_type: str) -> Iterator[Stored]:
        return self._pages("sent", reads.sent, resource_type)

    def _pages(
        self, name: str, build: Callable[[], Executable], resource_type: str, after: str = "", page: int = 500
    ) -> Iterator[Stored]:
        """What the statement `name` gives of a type, some hundred at a time."""
        return (Stored(*row) for row in self._paged(name, build, resource_type, after, page))

    def _paged(
        self, name: str, build: Callable[[], Executable], resource_type: str, after: str = "", page: int = 500
    ) -> Iterator[Any]:
        last = after
        while batch := self._fetch(name, build, BATCH_BYTES, type=resource_type, after=last, limit=page):
            yield from batch
            last = batch[-1][1]
            if len(batch) < page and sum(map(held, batch)) <= BATCH_BYTES:
                # What is written at the end meanwhile is not waited for: there might be no end of it.
                return

    def has_codes(self, systems: Collection[str]) -> bool:
        build = partial(reads.coded, self.statements.dialect)
        wanted = [short(key(one)) for one in systems]
        return bool(wanted) and bool(self._fetch("coded", build, systems=self.sequence(wanted)))

    def types(self) -> list[str]:
        return [row[0] for row in self._fetch("types", reads.types)]

    def state(self, name: str) -> str | None:
        found = self.rows(self._state, (name,))
        return str(found[0][0]) if found else None

    def states(self, prefix: str, limit: int) -> list[str]:
        after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return [row[0] for row in self._fetch("states", reads.states, low=prefix, high=after, limit=limit)]

    # -- references between resources

    def referrers(self, resource_type: str, resource_id: str, limit: int) -> list[tuple[str, str]]:
        return _keys(
            self._fetch("referrers", reads.referrers, target_type=resource_type, target_id=resource_id, limit=limit)
        )

    def referenced(
        self, source_type: str, parameter: str | None, target_type: str | None, sources: Sequence[str], limit: int
    ) -> list[tuple[str, str]]:
        given = parameter is not None, target_type is not None
        return _keys(
            self._fetch(
                ("referenced", *given),
                partial(reads.referenced, self.statements.dialect, *given),
                type=source_type,
                parameter=parameter,
                target_type=target_type,
                ids=self.sequence(sources),
                limit=limit,
            )
        )

    def referring(
        self, source_type: str, parameter: str | None, targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        given = parameter is not None
        build = partial(reads.referring, self.statements.dialect, given)
        return self._to(targets, ("referring", given), build, type=source_type, parameter=parameter, limit=limit)

    def named(
        self,
        source_type: str,
        parameters: Sequence[str] | None,
        target_types: Sequence[str],
        sources: Sequence[str],
        limit: int,
    ) -> list[tuple[str, str]]:
        given = parameters is not None
        return _keys(
            self._fetch(
                ("named", given),
                partial(reads.named, self.statements.dialect, given),
                type=source_type,
                parameters=self.sequence(parameters or ()),
                types=self.sequence(target_types),
                ids=self.sequence(sources),
                limit=limit,
            )
        )

    def naming(
        self, source_type: str, parameters: Sequence[str], targets: Sequence[tuple[str, str]], limit: int
    ) -> list[tuple[str, str]]:
        build = partial(reads.naming, self.statements.dialect)
        given = self.sequence(parameters)
        return self._to(targets, "naming", build, type=source_type, parameters=given, limit=limit)

    def _to(
        self, targets: Sequence[tuple[str, str]], key: Hashable, build: Callable[[], Executable], **named: Any
    ) -> list[tuple[str, str]]:
        """Keys of what a statement finds for targets, which takes those of one type at a time."""
        found = self._of_types(key, build, targets, "target_type", **named)
        return list(dict.fromkeys((named["type"], row[0]) for _, rows in found for row in rows))

    def _of_types(
        self, key: Hashable, build: Callable[[], Executable], keys: Iterable[tuple[str, str]], by: str, **named: Any
    ) -> Iterable[tuple[str, list[Any]]]:
        """What a statement finds for `keys`, type by type: it takes the ids of one type, which it calls `by`. All are
        asked at once.
        """
        statement = self.statements.get(key, build)
        by_type = _by_type(keys)
        asked = [(statement, statement.bind(named | {by: kind, "ids": self.sequence(ids)})) for kind, ids in by_type]
        return zip((kind for kind, _ in by_type), self.all_rows(asked), strict=True)

    # -- searching

    def similar(self, resource_type: str, parameter: str, word: str) -> Sequence[tuple[str, int]]:
        return similar.likest(self, resource_type, parameter, word)


def _by_type(keys: Iterable[tuple[str, str]]) -> Collection[tuple[str, list[str]]]:
    """Each type with its ids: a statement takes many ids of one type."""
    found: dict[str, list[str]] = {}
    for resource_type, resource_id in keys:
        found.setdefault(resource_type, []).append(resource_id)
    return found.items()


def _keys(rows: Iterable[Any]) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in rows]


class SqlStore(SqlReader, Store):
    """A store over one database: what each database does its own way."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(Statements(dialect))
        self.sqlite = dialect.name == "sqlite"
        self.left_out = False  # whether there are no indexes for now: see `filling`
        self.clock: Callable[[], int] = now
        """Gives this instant in microseconds since 1970."""
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Around the wait of a thread that writes: what it would keep from others is theirs meanwhile."""
        self._told = False
        # Whether the last write failed for what the database is, and not for what was written.
        self._failing = False

    def instant(self, newest: int) -> int:
        """The time of a write to a database whose last one is of `newest`."""
        here = self.clock()
        if newest - here > BEHIND and not self._told:
            self._told = True
            log.warning(
                "the clock here says %s and the newest change in the database is of %s: until the clock gets there, "
                "changes bear that time",
                instant(here),
                instant(newest),
            )
        return max(here, newest)

    @abstractmethod
    def prepare(self, *, make: bool = True) -> None:
        """Make the tables in an empty database; raise SchemaError for tables of another version, and for none where
        they are not to be made. Any number of processes may do so at once.
        """

    def filling(self) -> AbstractContextManager[bool]:
        return filling.filling(self)

    @abstractmethod
    def alone(self) -> AbstractContextManager[bool]:
        """Keep everybody else out, until the block ends, where nobody is in; whether that is so."""

    @abstractmethod
    def make_up(self) -> None:
        """Make what was left out."""

    @abstractmethod
    def retryable(self, error: Exception) -> bool:
        """Whether a transaction that failed with `error` may be tried again: somebody else's came between."""

    def ready(self, *, writes: bool) -> None:
        self.state("secret")
        if writes and self._failing:
            # Nobody sends a write to a server that is not ready, so it makes one itself: large enough to need new room.
            room = secrets.token_hex(ROOM // 2)
            self.write(lambda transaction: transaction.set_state("room", room))
            self.write(lambda transaction: transaction.forget_state("room"))

    def write(self, work: Callable[[Transaction], T], *, brief: bool = False) -> T:
        with self.aside():
            return self._write(work, brief=brief)

    def _write(self, work: Callable[[Transaction], T], *, brief: bool) -> T:
        for attempt in range(ATTEMPTS):
            try:
                result = self._attempt(work, brief=brief)
            except (InsufficientStorage, Unreachable):
                self._failing = True
                raise
            except Exception as error:
                if not self.retryable(error):
                    raise
                # Apart in time, or the same writers meet again.
                time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 (no secret)
            else:
                self._failing = False
                return result
        raise busy()

    def _attempt(self, work: Callable[[Transaction], T], *, brief: bool) -> T:
        """Do it once. Only some stores commit what is `brief` together with others."""
        with self.transaction() as transaction:
            return work(transaction)
