"""Whether the memory of a server stays flat: judged for each process, the rest of a run against its warm-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WARM_UP = 0.4
"""The part of a run in which definitions, converters and statements of 450 types are made, and caches filled."""

MOST = 0.15
"""How much more a process may hold than at the end of its warm-up, as a part of that: bounded caches that are not yet
full, and chance.
"""

AT_WORK = 1.1
"""So many times what it held at first a process holds that has answered something."""

AT_LEAST = 10
"""Of how many looks one can judge."""


def grown(looks: Sequence[Mapping[int, int]]) -> list[str]:
    """What is wrong with the memory of the processes: nothing, or a sentence for each that went on growing. `looks` are
    what was seen by and by, in equal numbers of requests: the bytes of each process by its id.

    Two things must come together: more memory than at the end of the warm-up, and growth that goes on. A process whose
    last third lies no higher than the third before it has found its size, and one that grows without end has not,
    however slowly.
    """
    found = []
    for process in dict.fromkeys(one for look in looks for one in look):
        sizes = [look[process] for look in looks if process in look]
        # Connections are kept: a process may stand by for a while, and its warm-up begins with its work.
        idle = next((at for at, one in enumerate(sizes) if one > sizes[0] * AT_WORK), 0)
        sizes = sizes[max(idle - 1, 0) :]
        rest = sizes[int(len(sizes) * WARM_UP) :]
        if len(sizes) < AT_LEAST:
            continue
        third = len(rest) // 3
        begin, middle, end = rest[:third], rest[third : 2 * third], rest[2 * third :]
        allowed = _middle(begin) * (1 + MOST)
        if _middle(end) > allowed and _middle(end) > _middle(middle) * (1 + MOST / 4):
            shown = " ".join(f"{one / 2**20:.0f}" for one in sizes)
            found.append(f"the memory of process {process} went on growing after the warm-up, in MB: {shown}")
    return found


def _middle(sizes: Sequence[int]) -> int:
    return sorted(sizes)[len(sizes) // 2]
