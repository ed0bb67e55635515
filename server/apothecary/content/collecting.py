"""Python's garbage collector, in a load: https://docs.python.org/3/library/gc.html

It looks for circles after each 700 objects that were made and not let go, and through older ones now and then. A load
makes many thousands at a time that are in no circle, and lets them go: looking at them takes longer than reading them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# So many more objects than were let go: a load holds fewer, what errors leave behind is found all the same.
MADE = 500_000


def seldom() -> None:
    """From now on look seldom, and never at what is there already."""
    gc.freeze()
    gc.set_threshold(MADE, 10, 10)


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """The same for the block."""
    before = gc.get_threshold()
    seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
