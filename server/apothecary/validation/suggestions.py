"""The name that was probably meant; worked out only when there is something to mend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_MOST = 5000


def did_you_mean(written: Any, known: Iterable[str]) -> str | None:
    """`Did you mean 'active'?` for the known name nearest to what was written, None when none is near."""
    if not isinstance(written, str) or len(written) > 100:
        return None
    from difflib import get_close_matches

    names = [name for _, name in zip(range(_MOST), known, strict=False)]
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(written.casefold(), folded, n=1, cutoff=0.75)
    return f"Did you mean {folded[near[0]]!r}?" if near else None
