"""Loads documents into a store: many, in any order, again and again without harm.

A document is a resource, or a Bundle that carries resources (https://hl7.org/fhir/R5/bundle.html): of those every entry
is loaded by itself. A resource that the store has already, just as it is, keeps its version; so a load that was
interrupted is taken up by running it again. References are not followed: what they point to may come later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from apothecary.content import case, index_rules
from apothecary.content.collecting import seldom_collecting
from apothecary.content.definitions import (
    DEFINING,
    Serving,
    changed,
    defines,
    held,
    remember_indexed,
    served_types,
)
from apothecary.content.items import Failure, Item
from apothecary.content.live import Live
from apothecary.content.preparing import Prepared, Preparing
from apothecary.content.stream import Input, read, size
from apothecary.content.workers import Given, Workers
from apothecary.fhir.meta import stamp
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.contract import LOADED, Store, Stored, Transaction
from apothecary.store.limited import in_pieces

# A transaction holds so many resources, or so many characters of text: large enough that committing costs little,
# small enough that other writers need not wait long. Where there are no others, it may hold more.
RESOURCES, CHARACTERS = 1000, 8_000_000
ALONE = 10

# A load of no more documents is not worth starting other processes for; with more, each prepares so many at a time.
FEW, CHUNK = 2000, 250

# What decides how others are indexed is stored before what follows it.
_DECIDING = DEFINING | {"CodeSystem"}


@dataclass(slots=True)
class Loaded:
    """What a load did, in numbers of resources."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"{self.created} created, {self.updated} updated, {self.unchanged} unchanged, {self.failed} failed"


class Loader:
    """One load. `failed` is told each resource that cannot be loaded, as soon as that is known.

    A resource is kept in the FHIR version that it claims, or its package does, or else in `version`.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        failed: Callable[[Failure], None],
        *,
        version: FhirVersion = FhirVersion.R5,
        validation: bool = True,
        distinct: bool = False,
    ) -> None:
        """`distinct` promises that no resource comes twice: what an empty database gets is not looked for in it."""
        self.loaded = Loaded()
        self._store = store
        self._settings = settings
        self.was_empty = not store.types() and store.write(self._begin)
        self._live = Live(settings, store, quiet=True)
        self._preparing = Preparing(settings, version, validation, store.sqlite)
        self._tell = failed
        self._distinct = distinct
        self._fresh = False
        self._batch: dict[tuple[str, str], Item] = {}
        self._waiting: list[frozenset[tuple[str, str]]] = []
        """The keys of what other processes prepare, or is ready, chunk by chunk."""
        self._characters = 0

    def _begin(self, transaction: Transaction) -> bool:
        """Note by which rules the index of an empty database is made; whether it is empty."""
        if transaction.types():
            return False
        rules = index_rules.rules(served_types(self._settings), self._settings.base_url, case.stored(transaction))
        if index_rules.begin_empty(transaction, rules):
            remember_indexed(transaction, {})
        return True

    def add(self, given: Input) -> None:
        """Take in a document; it is written with others, when there are enough."""
        self._characters += size(given)
        for item in self._preparing.items(read(given), self._live.now, self._fail):
            if item.key in self._batch:
                # Twice the same resource: the second one is the next version.
                self.flush()
            self._batch[item.key] = item
            if len(self._batch) >= RESOURCES:
                self.flush()
        if self._characters >= CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Write what was taken in; the end of a load."""
        items, self._batch, self._characters = list(self._batch.values()), {}, 0
        known = self._live.look(self._store)
        by_key = {item.key: item for item in items}
        same = {(one.type, one.id) for one in in_pieces(self._store, by_key) if _is_in(by_key[one.type, one.id], one)}
        ready = []
        for item in items:
            if item.key in same:
                self.loaded.unchanged += 1
            elif (one := self._preparing.prepared(item, known, self._fail)) is not None:
                ready.append(one)
        self._put(ready, known.generation)

    def load(self, texts: Iterable[Input], *, many: bool = False) -> None:
        """Load all of `texts`. Many are prepared by several processes, as far as they are not there already; and the
        indexes of an empty database that nobody else uses are made when all of them are there. Where it is known that
        they are `many`, these processes begin before the first is there.
        """
        waiting = iter(texts)
        begun, over = ([], False) if many else _beginning(waiting)
        every = chain(begun, waiting)
        if over:
            for text in every:
                self.add(text)
            self.flush()
            return
        if not self.was_empty:
            with seldom_collecting():
                self._load_many(self._news(every), RESOURCES)
            return
        with seldom_collecting(), self._store.filling() as alone:
            # Of what was deleted, versions are left.
            self._fresh = self._distinct and alone and not self._store.history_of(None, count=1)
            self._load_many(_chunks(every), RESOURCES * ALONE if alone else RESOURCES, at_once=True)
            self._fresh = False
        self._store.gather_statistics()

    def _news(self, texts: Iterable[Input]) -> Iterator[list[Input]]:
        """Those of `texts` that hold something which is not in the store as it is. What is handed out and not written
        yet counts as such: when it is written, it is looked at again.
        """
        for chunk in _chunks(texts):
            failed: list[list[Failure]] = [[] for _ in chunk]
            known = self._live.now
            held = [
                list(self._preparing.items(read(text), known, fails.append))
                for text, fails in zip(chunk, failed, strict=True)
            ]
            times = Counter(item.key for items in held for item in items)
            by_key = {item.key: item for items in held for item in items}
            asked = [key for key in by_key if times[key] == 1 and not any(key in keys for keys in self._waiting)]
            pieces = (asked[start : start + RESOURCES] for start in range(0, len(asked), RESOURCES))
            here = (one for piece in pieces for one in in_pieces(self._store, piece))
            same = {(one.type, one.id) for one in here if _is_in(by_key[one.type, one.id], one)}
            news = []
            for text, items, fails in zip(chunk, held, failed, strict=True):
                if not items or any(item.key not in same for item in items):
                    # Who prepares it tells what fails.
                    news.append(text)
                    continue
                self.loaded.unchanged += len(items)
                for one in fails:
                    self._fail(one)
            if news:
                self._waiting.append(frozenset(by_key.keys() - same))
                yield news

    def _load_many(self, chunks: Iterator[list[Input]], most: int, *, at_once: bool = False) -> None:
        ready: list[Prepared] = []
        generation, characters, done = "", 0, 0
        with Workers(self._preparing) as workers:
            if at_once:
                workers.begin(self._given())
            for made_for, found in workers.prepared(chunks, lambda: self._live.now.generation, self._given):
                if ready and (made_for != generation or len(ready) >= most or characters >= CHARACTERS):
                    self._put(ready, generation)
                    del self._waiting[:done]
                    ready, characters, done = [], 0, 0
                generation, done = made_for, done + 1
                for one in found:
                    if isinstance(one, Failure):
                        self._fail(one)
                    else:
                        ready.append(one)
                        characters += len(one.text.before) + len(one.text.after)
            self._put(ready, generation)

    def _given(self) -> Given:
        """What the processes beside this one must know of what the store defines."""
        known = self._live.now
        return Given(known.generation, held(self._store, "SearchParameter"), known.registries[FhirVersion.R5].systems)

    @property
    def definitions(self) -> Serving:
        """What can be searched for after what was loaded, and what of it cannot be served."""
        return self._live.look(self._store)

    # -- writing

    def _put(self, ready: Sequence[Prepared], generation: str) -> None:
        """Write what is ready, with rows made for the definitions of `generation`; each piece in one transaction."""
        for piece in _pieces(ready):
            created, updated, unchanged = self._store.write(partial(self._write, piece, generation))
            self.loaded.created += created
            self.loaded.updated += updated
            self.loaded.unchanged += unchanged
        self._live.look(self._store)

    def _write(self, ready: Sequence[Prepared], generation: str, transaction: Transaction) -> tuple[int, int, int]:
        """How many were created, updated, and there already."""
        known = self._live.look(transaction)
        if known.generation != generation:
            # Another parameter was defined since the rows were made.
            ready = [self._preparing.remade(one, known.registries[FhirVersion.R5]) for one in ready]
        done = _write(ready, transaction, fresh=self._fresh)
        if known.behind:
            index_rules.note(transaction, transaction.touched)
        if defines(transaction):
            own = changed(self._settings, transaction)
            if self.was_empty and not set(transaction.types()) - _DECIDING and not any(map(_contains, ready)):
                # What there is already has no rows of what was defined: for all that follows they are made.
                remember_indexed(transaction, {k: names for k, names in own.wanted.items() if k not in _DECIDING})
        return done

    def _fail(self, failure: Failure) -> None:
        self.loaded.failed += 1
        self._tell(failure)


def _is_in(item: Item, current: Stored) -> bool:
    """Whether `current` holds just the text of `item`: then it would be written again byte for byte."""
    if current.fhir_version != item.version:
        return False
    return stamp(item.resource, item.id, current.version, current.updated) == current.body


def _contains(one: Prepared) -> bool:
    return bool(one.rows.contained)


def load(loader: Loader, documents: Iterable[Input]) -> Loaded:
    """Load all of `documents`, and tell what was done."""
    loader.load(documents)
    return loader.loaded


def _beginning(texts: Iterator[Input]) -> tuple[list[Input], bool]:
    """The first of them, and whether they are all."""
    begun: list[Input] = []
    characters = 0
    for text in texts:
        begun.append(text)
        characters += size(text)
        if len(begun) >= FEW or characters >= CHARACTERS:
            return begun, False
    return begun, True


def _chunks(texts: Iterable[Input]) -> Iterator[list[Input]]:
    """What one process prepares at a time: enough that handing it over costs little."""
    chunk: list[Input] = []
    characters = 0
    for text in texts:
        chunk.append(text)
        characters += size(text)
        if len(chunk) >= CHUNK or characters >= CHARACTERS // 8:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _pieces(ready: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    """What one transaction writes: the same resource a second time is its next version, and what decides how others
    are indexed counts for those that follow.
    """
    piece: dict[tuple[str, str], Prepared] = {}
    deciding = False
    for one in ready:
        if one.key in piece or (deciding and one.type not in _DECIDING):
            yield list(piece.values())
            piece = {}
        piece[one.key] = one
        deciding = one.type in _DECIDING
    if piece:
        yield list(piece.values())


def _write(ready: Sequence[Prepared], transaction: Transaction, *, fresh: bool) -> tuple[int, int, int]:
    """How many were created, updated, and there already; `fresh` says that none is there."""
    by_key = {one.key: one for one in ready}
    heads = {} if fresh else {(one.type, one.id): one for one in transaction.heads(list(by_key))}
    there = [key for key, head in heads.items() if not head.deleted]
    same = {(one.type, one.id) for one in in_pieces(transaction, there) if by_key[one.type, one.id].is_in(one)}
    created, moment = 0, transaction.moment()
    for key, one in by_key.items():
        head = heads.get(key)
        if head is None:
            stored = Stored(one.type, one.id, 1, moment, one.version, one.text.stamped(1, moment))
            transaction.write(stored, LOADED, one.rows, absent=True)
        elif key not in same:
            version, after = head.version + 1, transaction.moment(head)
            stored = Stored(one.type, one.id, version, after, one.version, one.text.stamped(version, after))
            transaction.write(stored, LOADED, one.rows)
        created += head is None or head.deleted
    return created, len(ready) - created - len(same), len(same)
