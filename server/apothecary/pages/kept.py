"""Pages, and parts of them, that were made before: each is given again as long as all that it was made of is the same.

What a page is made of is its request and the texts of the resources that it shows. They are read anew each time; what
is saved is to understand them and to write the HTML. So nothing that is kept is ever out of date, and nobody is shown
what was made of something that he may not read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from apothecary.pages.view import View

T = TypeVar("T")

# What Python needs for an entry besides its texts, in bytes, about.
OVERHEAD = 600


class Whole(NamedTuple):
    """A page with what it was made of. The texts themselves: to compare them takes a tenth of what a digest does."""

    made_of: Any
    page: bytes


def key_of(view: View) -> Hashable:
    """All of a request that a page hangs on."""
    return view.static, view.version, view.base, view.path, view.pairs, view.status


def page_of(view: View, name: str, body: bytes, make: Callable[[], bytes]) -> bytes:
    """The page that `make` makes of a request and the answer `body`, and of nothing else."""
    key = name, key_of(view)
    found: Whole | None = view.service.pages.get(key)
    if found is not None and found.made_of == body:
        return found.page
    page = make()
    view.service.pages.put(key, Whole(body, page), OVERHEAD + len(body) + len(page))
    return page


def digest(text: bytes) -> bytes:
    """What stands for a text in a key."""
    return sha256(text).digest()


def part_of(view: View, name: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
    """The part that `make` makes of what is in its `name`; `size` is about how many bytes it takes."""
    found: T | None = view.service.pages.get(name)
    if found is None:
        found = make()
        view.service.pages.put(name, found, OVERHEAD + size(found))
    return found
