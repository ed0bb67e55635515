"""The name that was probably meant; worked out only when there is something to mend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_MOST = 5000
_LONGEST = 100


def nearest(written: Any, known: Iterable[str]) -> str | None:
    """The known name nearest to what was written, whatever the case; None when none is near.

    What is no text, or longer than any name, is near nothing; of more than 5,000 names only the first are looked at.
    """
    if not isinstance(written, str) or len(written) > _LONGEST:
        return None
    from difflib import get_close_matches

    names = [name for _, name in zip(range(_MOST), known, strict=False)]
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(written.casefold(), folded, n=1, cutoff=0.75)
    return folded[near[0]] if near else None


def did_you_mean(written: Any, known: Iterable[str]) -> str | None:
    """`Did you mean 'active'?` for the known name nearest to what was written, None when none is near."""
    name = nearest(written, known)
    return None if name is None else f"Did you mean {name!r}?"


def or_rather(written: Any, known: Iterable[str]) -> str:
    """` (did you mean 'active'?)` for the end of a sentence; empty when no known name is near."""
    name = nearest(written, known)
    return "" if name is None else f" (did you mean {name!r}?)"
