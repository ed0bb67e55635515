"""Caches of what comes from outside: bounded in number and each entry in length, or bounded in weight."""

from __future__ import annotations

import marshal
import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, Generic, ParamSpec, TypeVar, cast

import msgspec

from apothecary.fhir.json import FhirDecimal

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)


def short_cache(maxsize: int, longest: int = 1_000) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`functools.lru_cache` for calls whose texts have at most `longest` characters each; what is longer is worked out
    every time.

    A cache of a thousand entries is small until somebody sends a thousand texts of a megabyte.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        cached: Callable[..., R] = lru_cache(maxsize)(function)
        asked: Callable[..., R] = function

        @wraps(function)
        def call_one(one: Any) -> R:
            return asked(one) if one.__class__ is str and len(one) > longest else cached(one)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for one in args:
                if one.__class__ is str and len(one) > longest:
                    return function(*args, **kwargs)
            return cached(*args, **kwargs)

        # Most are asked for one text, some of them a hundred thousand times a second.
        return cast("Callable[P, R]", call_one) if len(signature(function).parameters) == 1 else call

    return decorate


def memory_of(value: Any) -> int:
    """What JSON in memory takes, in bytes: objects, arrays and all that is in them. A name or a word that stands in it
    again and again counts each time, so that it is rather too much.
    """
    total, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        total += sys.getsizeof(one)
        if isinstance(one, Mapping):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
    return total


class Weighed(Generic[K, R]):
    """A cache whose entries together weigh no more than `most`; the weights are bytes, as near as who puts something
    in can tell. What was not asked for lately goes first. Threads may share it.

    There are two halves. When the younger one is full it takes the place of the older one, which is forgotten; what is
    found in the older one moves to the younger. So asking, which is done far more often than putting, is one look into
    a dictionary.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._young: dict[K, tuple[R, int]] = {}
        self._old: dict[K, tuple[R, int]] = {}
        self._weight = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        # A lock is for this process: another one makes its own.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def get(self, key: K) -> R | None:
        """What was put in under `key`; None where it is not there any more."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                return None
            self.put(key, *found)
        return found[0]

    def put(self, key: K, value: R, weight: int) -> None:
        """Keep `value`, unless it alone weighs more than half of what all may."""
        if weight > self._half:
            return
        with self._lock:
            known = self._young.pop(key, None)
            self._weight += weight - (known[1] if known is not None else 0)
            if self._weight > self._half:
                self._old, self._young, self._weight = self._young, {}, weight
            self._young[key] = value, weight

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._old, self._young, self._weight = {}, {}, 0

    @property
    def weight(self) -> int:
        """What all entries weigh."""
        with self._lock:
            both = self._old | self._young
        return sum(weight for _, weight in both.values())


# What marshal begins with in no case.
_WRITTEN = b"="


def _literal(value: Any) -> msgspec.Raw:
    if isinstance(value, FhirDecimal):
        # Not as the encoder writes decimals of other classes.
        return msgspec.Raw(b"=" + value.literal.encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


_literals = msgspec.json.Encoder(enc_hook=_literal)


class Repeats:
    """Whether the values of one kind, such as those of one property, come again often enough that it is worth looking
    up what is known of them. A catalogue has the same dose forms and units thousands of times, and each code once.
    """

    __slots__ = ("_asked", "_rest", "_resting", "known")

    # Of so many values one in _WORTH must be known. Else so many are not looked up, and each time that it is so again
    # four times as many.
    _TRIED, _WORTH, _RESTING, _LONGEST_REST = 200, 5, 1_000, 64_000
    # A longer value hardly comes again.
    _LONGEST = 600

    def __init__(self) -> None:
        self._asked = self._resting = 0
        self._rest = self._RESTING
        self.known = 0
        """How many values were known lately; who finds one counts it."""

    def key(self, value: Any) -> bytes | None:
        """What `value`, of parsed JSON, is known by; None where it is not to be looked up. It tells apart whatever
        Python does: 1, True and "1", an array and a tuple.
        """
        if self._resting > 0:
            self._resting -= 1
            return None
        self._asked += 1
        if self._asked > self._TRIED:
            if self.known * self._WORTH > self._asked:
                self._rest = self._RESTING
            else:
                self._resting, self._rest = self._rest, min(self._rest * 4, self._LONGEST_REST)
            self._asked = self.known = 0
        try:
            found = marshal.dumps(value, 0)
        except ValueError:
            # It knows no decimals. What Python writes tells all else apart, and JSON has their literals.
            try:
                found = _WRITTEN + repr(value).encode() + _literals.encode(value)
            except (TypeError, ValueError):
                return None
        return found if len(found) <= self._LONGEST else None
