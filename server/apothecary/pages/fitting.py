"""What a page has room for: a page stays below 100 kB whatever it is of, and says where the rest is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from markupsafe import Markup, escape

K = TypeVar("K")
T = TypeVar("T")

# A value has so many characters at most.
VALUE = 3_000

_ITEM = "</li>"


def fitting(keys: Sequence[K], make: Callable[[K], T], most: int, size: Callable[[T], int]) -> tuple[list[T], int]:
    """What is made of the first of `keys`, as many as together have no more than `most` characters; and how many keys
    are left. Nothing is made of these.
    """
    made: list[T] = []
    for number, key in enumerate(keys):
        one = make(key)
        most -= size(one)
        if most < 0:
            return made, len(keys) - number
        made.append(one)
    return made, 0


def short(value: Markup, most: int = VALUE) -> Markup:
    """A value that is text, or a list, with what is beyond `most` characters left out, which it says."""
    if len(value) <= most:
        return value
    text = str(value)
    if text.startswith("<ul>"):
        kept = text[: text.rfind(_ITEM, 0, most) + len(_ITEM)] if _ITEM in text[:most] else "<ul>"
        left = text.count(_ITEM) - kept.count(_ITEM)
        return Markup(f'{kept}<li class="told">and {left} more</li></ul>')  # noqa: S704 (it was HTML before)
    cut = text[:most]
    # Not in the midst of an entity.
    if cut.rfind("&") > cut.rfind(";"):
        cut = cut[: cut.rfind("&")]
    return Markup(f"{cut}…")  # noqa: S704


def width(*texts: str) -> int:
    """How many characters some texts have in a page."""
    return sum(len(escape(text)) for text in texts)
