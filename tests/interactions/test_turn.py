"""A bundle has so much time of a processor, whichever threads do its work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import pytest

from apothecary.errors import Busy
from apothecary.interactions.turn import Turn


def test_the_time_of_each_thread_counts_and_what_their_clocks_differ_by_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, clocks = get_ident(), {"own": 100.0, "other": 5000.0}
    monkeypatch.setattr("apothecary.interactions.turn.clock", lambda: clocks["own" if get_ident() == own else "other"])
    turn = Turn(10)
    with ThreadPoolExecutor(1) as pool:
        clocks["own"] += 4
        assert not turn.over
        assert not pool.submit(lambda: turn.over).result()
        clocks["other"] += 4
        assert not pool.submit(lambda: turn.over).result()
        assert not turn.over
        clocks["own"] += 1.9
        turn.go_on()
        clocks["own"] += 0.2
        with pytest.raises(Busy, match="10 seconds"):
            turn.go_on()
        assert pool.submit(lambda: turn.over).result()
