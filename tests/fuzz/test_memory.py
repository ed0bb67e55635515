"""The judge of memory sees a leak in one of the processes, and takes caches that fill for none."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from apothecary.testing import ServerProcess
from tests.fuzz.memory import grown
from tests.fuzz.run import Run, resident
from tests.fuzz.servers import process_of

LOOKS, MB = 41, 2**20

# What a run of 25,000 requests showed of two processes together, once.
SEEN = [187, 345, 388, 423, 439, 453, 460, 477, 486, 505, 516, 534, 545, 551, 561, 569, 583, 593, 606, 611, 619]


def filling(number: int, most: float = 250, after: float = 0.3) -> float:
    """Memory that grows until its caches are full."""
    return 90 + (most - 90) * min(1.0, number / (LOOKS * after))


def leaking(number: int, each: float) -> float:
    """Memory that goes on growing, after the warm-up too."""
    return filling(number) + each * number


def uneven(number: int) -> float:
    """Memory that goes up and down."""
    return filling(number) * random.Random(number).uniform(0.93, 1.07)


def looks(*processes: tuple[int, list[float]]) -> list[dict[int, int]]:
    return [{process: int(sizes[at] * MB) for process, sizes in processes} for at in range(LOOKS)]


def of(shape: Callable[..., float], *given: float) -> list[float]:
    return [shape(number, *given) for number in range(LOOKS)]


@pytest.mark.parametrize(
    ("sizes", "wrong"),
    [
        ([250.0] * LOOKS, False),
        (of(filling), False),
        (of(filling, 400), False),
        (of(uneven), False),
        # Full only after half of the run, and flat from then on.
        (of(filling, 250, 0.55), False),
        # A process that has nothing to do in the beginning.
        ([62.0] * 20 + of(filling)[::2], False),
        ([62.0] * 20 + of(leaking, 5)[::2], True),
        # One question that takes much, once, and gives it back.
        ([250.0] * 30 + [600.0] + [250.0] * 10, False),
        # One that takes much and keeps it: seen where it is more than chance, growing no further.
        ([250.0] * 20 + [280.0] * 21, False),
        (of(leaking, 5), True),
        (of(leaking, 3), True),
        ([100 * 1.02**number for number in range(LOOKS)], True),
        (SEEN, True),
    ],
)
def test_growth_that_goes_on_is_told(sizes: list[float], wrong: bool) -> None:
    seen = [{1: int(one * MB)} for one in sizes]
    assert bool(grown(seen)) is wrong, sizes


def test_each_process_is_judged_by_itself() -> None:
    falling = [400.0 - 6 * number for number in range(LOOKS)]
    (told,) = grown(looks((7, falling), (8, of(leaking, 4)), (9, of(filling))))
    assert "process 8" in told
    assert grown(looks((7, falling), (9, of(filling)))) == []


def test_a_process_in_place_of_another_is_judged_from_its_own_beginning() -> None:
    seen = looks((7, of(filling)))
    for number in range(20, LOOKS):
        seen[number] = {8: int(filling((number - 20) * 2) * MB)}
    assert grown(seen) == []


def test_too_few_looks_say_nothing() -> None:
    assert grown([{1: 100 * MB * number} for number in range(1, 6)]) == []


def test_every_process_of_a_server_is_looked_at(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"workers": 2}) as server:
        found = resident(process_of(server))
    assert len(found) >= 3 or not found
    assert all(size > MB for size in found.values())


def test_a_run_whose_client_fails_does_not_pass_for_one_that_ended() -> None:
    class Broken(Exception):
        pass

    class Nothing:
        def __getattr__(self, name: str) -> None:
            raise Broken(name)

    with pytest.raises(Broken):
        Run(Nothing(), 1, 0, 10, 1, 1)()  # type: ignore[arg-type] # nothing of a server
