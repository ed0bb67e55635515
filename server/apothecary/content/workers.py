"""Processes that prepare documents beside the one that writes: reading, checking and indexing take most of the time of
a load, and need no database.

https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NamedTuple

from apothecary.content.collecting import seldom
from apothecary.content.definitions import Serving
from apothecary.content.items import Failure
from apothecary.content.preparing import Prepared, Preparing
from apothecary.content.stream import Input, read
from apothecary.errors import StartError
from apothecary.fhir.meta import Unstamped
from apothecary.search.defined import Defining
from apothecary.search.normalisation import Systems
from apothecary.search.registries import make_registries
from apothecary.store.shaping import Shaped

# No more processes than that: one that writes does not keep up with more.
MOST = 4

# So many chunks wait for each process, so that none is idle while others are written: a transaction alone takes twenty.
AHEAD = 16

Found = list[Prepared | Failure]

Packed = tuple[list[Failure], list[tuple[Any, ...]]]
"""The same on its way from another process: failures, and what is ready, column by column."""


class Given(NamedTuple):
    """What the store defines, as another process must know it."""

    generation: str
    parameters: Sequence[Defining]
    systems: Systems


def how_many() -> int:
    """How many processes to start: one for each processor that this one may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST)


class Workers(AbstractContextManager["Workers"]):
    """The processes of one load. They know what was defined when they began; when other things are defined, others
    begin.
    """

    def __init__(self, preparing: Preparing, count: int | None = None) -> None:
        self._preparing = preparing
        self._count = count or how_many()
        self._pools: list[ProcessPoolExecutor] = []
        self._begun: str | None = None
        """The generation of the definitions that the last of them were begun for."""

    def prepared(
        self, chunks: Iterable[list[Input]], generation: Callable[[], str], given: Callable[[], Given]
    ) -> Iterator[tuple[str, Found]]:
        """What stands in each of the chunks, in their order, with the generation of the definitions that it was
        prepared for. `generation` says which counts now, and `given` what that is. Raises StartError where a process
        was ended.
        """
        waiting: deque[tuple[str, Future[Packed]]] = deque()
        for chunk in chunks:
            begun = self._begun
            if begun is None or generation() != begun:
                begun = self.begin(given())
            waiting.append((begun, self._pools[-1].submit(_prepare, chunk)))
            if len(waiting) > AHEAD * self._count:
                yield self._next(waiting)
        while waiting:
            yield self._next(waiting)

    def begin(self, given: Given) -> str:
        """Start processes, as many as there will be: they take a second before they are ready."""
        # Those before have what they were given to do, and end then.
        for pool in self._pools:
            pool.shutdown(wait=False)
        # Started anew and not forked: this process has threads, and connections that are its own.
        context = multiprocessing.get_context("spawn")
        arguments = self._preparing, given
        self._pools = [ProcessPoolExecutor(self._count, context, initializer=_initialise, initargs=arguments)]
        for _ in range(self._count):
            self._pools[-1].submit(_nothing)
        self._begun = given.generation
        return given.generation

    @staticmethod
    def _next(waiting: deque[tuple[str, Future[Packed]]]) -> tuple[str, Found]:
        generation, future = waiting.popleft()
        try:
            return generation, _unpacked(*future.result())
        except BrokenProcessPool:
            raise StartError(
                "a process that prepared resources was ended, perhaps for want of memory; what was loaded stays, run "
                "it again for the rest"
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            pool.shutdown(wait=kind is None, cancel_futures=True)


# -- in such a process

_here: list[tuple[Preparing, Serving]] = []


def _initialise(preparing: Preparing, given: Given) -> None:
    # The one that writes is told to stop, and stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    registries = make_registries(preparing.settings, given.parameters, systems=given.systems)
    _here.append((preparing, Serving(given.generation, registries)))
    seldom()


def _nothing() -> None:
    """What a process is started for before there is something to do."""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # Whoever would take what is being prepared is gone.
        os._exit(1)


def _prepare(chunk: list[Input]) -> Packed:
    preparing, known = _here[-1]
    failed: list[Failure] = []
    ready: list[Prepared] = []
    for text in chunk:
        for item in preparing.items(read(text), known, failed.append):
            one = preparing.prepared(item, known, failed.append)
            if one is not None:
                ready.append(one)
    return failed, _packed(ready)


def _packed(ready: list[Prepared]) -> list[tuple[Any, ...]]:
    """By columns there are lists and tuples only: to pickle a thousand objects of our classes takes twice as long."""
    if not ready:
        return []
    *keys, texts, shaped = zip(*ready, strict=True)
    return [*keys, *zip(*texts, strict=True), *zip(*shaped, strict=True)]


def _unpacked(failed: list[Failure], columns: list[tuple[Any, ...]]) -> Found:
    if not columns:
        return [*failed]
    kinds, ids, versions, before, after, *shaped = columns
    return [*failed, *map(Prepared, kinds, ids, versions, map(Unstamped, before, after), map(Shaped, *shaped))]
