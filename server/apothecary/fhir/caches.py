"""Caches of what comes from outside: bounded in number, and each entry in length."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def short_cache(maxsize: int, longest: int = 1_000) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`functools.lru_cache` for calls whose texts have at most `longest` characters each; what is longer is worked out
    every time.

    A cache of a thousand entries is small until somebody sends a thousand texts of a megabyte.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        cached = lru_cache(maxsize)(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for one in args:
                if isinstance(one, str) and len(one) > longest:
                    return function(*args, **kwargs)
            return cached(*args, **kwargs)  # type: ignore[arg-type] # lru_cache asks for Hashable, which ParamSpec cannot say

        return call

    return decorate
