"""What EHRs tell of cards is counted, in bounded room, whichever server of a database is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from apothecary.settings import Settings
from apothecary.store.feedback import Counted, Feedback, Told
from apothecary.store.open import opened

SIGN = "order-sign"


def told(mark: str, code: str = "", outcome: str = "overridden", service: str = SIGN) -> Told:
    return Told(mark, service, outcome, "http://x" if code else "", code)


def test_what_is_told_is_counted_for_all_servers_of_a_database(database_url: str) -> None:
    settings = Settings(database=database_url)
    with ExitStack() as stack:
        servers = [Feedback(stack.enter_context(opened(settings)), most=4) for _ in range(2)]
        servers[0].add([Counted(told("a"), 2, 0, 10), Counted(told("a", "1"), 1, 1, 10)])
        servers[1].add([Counted(told("a", "1"), 1, 0, 20), Counted(told("b", service="patient-view"), 1, 0, 20)])
        assert servers[0].most(SIGN, 9) == [Counted(told("a"), 2, 0, 10), Counted(told("a", "1"), 2, 1, 20)]
        assert servers[1].total(SIGN) == (4, 2)
        assert servers[1].total("patient-view") == (1, 1)
        assert servers[1].total("none") == (0, 0)
        # At the same time, in whatever order.
        pair = [Counted(told("a"), 1, 0, 30), Counted(told("a", "1"), 1, 0, 30)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: servers[n % 2].add(pair if n % 3 else pair[::-1]), range(12)))
        assert [one.times for one in servers[0].most(SIGN, 9)] == [14, 14]
        # There is room for one more row; then the others add up, and those that are there go on.
        servers[0].add([Counted(told("c"), 1, 0, 40)])
        servers[1].add([Counted(told("d", str(code)), 1, 1, 50) for code in range(5)])
        servers[1].add([Counted(told("e", outcome="accepted"), 1, 0, 60), Counted(told("a"), 1, 0, 60)])
        assert servers[0].most(SIGN, 9) == [
            Counted(told("a"), 15, 0, 60),
            Counted(told("a", "1"), 14, 1, 30),
            Counted(told(""), 5, 5, 50),
            Counted(told("", outcome="accepted"), 1, 0, 60),
            Counted(told("c"), 1, 0, 40),
        ]
        assert servers[0].most(SIGN, 2) == servers[1].most(SIGN, 9)[:2]
