"""Values that were found sound before, and need not be walked again: a catalogue has the same dose form, unit and
status thousands of times (https://hl7.org/fhir/R5/datatypes.html).

A value is known by all that it says, by the property that it stands in, and by how deep. It is kept where nothing was
found in it, and where nothing else was looked at: whoever looks at what is around a value, such as the resource that it
stands in, says so (`Run.alone`).
"""

from __future__ import annotations

from itertools import count
from typing import Any

from apothecary.fhir.caches import Repeats
from apothecary.validation.properties import Walk
from apothecary.validation.run import At, Run

# So many values are kept.
_MOST = 16_384

_numbers = count()
_sound: set[tuple[int, int, bool, bytes]] = set()


def sparing(walk: Walk) -> Walk:
    """`walk` for the values of one property, without those that it found sound before."""
    number, repeats = next(_numbers), Repeats()

    def spare(value: Any, at: At, depth: int, run: Run) -> None:
        text = repeats.key(value) if run.sparing else None
        if text is None:
            walk(value, at, depth, run)
            return
        key = number, depth, run.options.errors_only, text
        if key in _sound:
            repeats.known += 1
            return
        outer, before = run.alone, len(run.findings) + len(run.unjudged)
        run.alone = True
        walk(value, at, depth, run)
        if run.alone and len(run.findings) + len(run.unjudged) == before:
            if len(_sound) >= _MOST:
                # What comes again and again is soon there again.
                _sound.clear()
            _sound.add(key)
        run.alone = run.alone and outer

    return spare


def forget() -> None:
    """Know no value, as in a process that has begun."""
    _sound.clear()
