"""The benchmark of readers beside writers counts what was answered, and compares within a round."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from benchmarks import beside
from benchmarks.beside import Creates, Measured, parse_creates, summarize
from benchmarks.http import Sample
from tests.mass import on

REPORT = '{"created":%d,"refused":3,"errors":%d,"seconds":2.0,"p50":1.5,"p99":9.5,"longest":20.25}'
# What wrk says itself stands before it.
HEADING = "Running 2s test @ http://127.0.0.1:8080\n  Latency Distribution\n     50%  812.00us\n"


def test_creates_are_counted_by_their_answers() -> None:
    found = parse_creates(HEADING + REPORT % (100, 0))
    assert found == Creates(rate=50.0, p50=1.5, p99=9.5, longest=20.25, refused=3)


def test_a_broken_connection_is_no_rate() -> None:
    with pytest.raises(RuntimeError, match="creating failed"):
        parse_creates(REPORT % (100, 1))


def test_what_is_kept_is_compared_with_the_readers_of_the_same_round() -> None:
    def at_once(alone: float, among: float, longest: float) -> list[Measured]:
        return [
            Measured(8, 0, Sample(alone, 1, 2), None, 0.5),
            Measured(8, 32, Sample(among, 3, 4), Creates(10, 5, 6, longest), 1.5),
            Measured(0, 32, None, Creates(20, 5, 6, 7, refused=1), 1.0),
        ]

    alone, among, writers = summarize([at_once(1000, 500, 80), at_once(100, 60, 90), at_once(10, 1, 70)])
    assert (alone.kept, alone.creates, alone.longest) == (1.0, 0.0, 0.0)
    assert (among.kept, among.reads, among.creates, among.longest) == (0.5, 60, 10, 90)
    assert (writers.kept, writers.reads, writers.refused, writers.cpu) == (None, 0.0, 3, 1.0)


@pytest.mark.mass
@pytest.mark.slow
@on("sqlite")
def test_readers_and_writers_are_measured_on_a_real_server(database_url: str) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    arguments = ["--rounds", "1", "--seconds", "1", "--resources", "20", "--database", database_url, "--json"]
    result = CliRunner().invoke(beside.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(one["readers"], one["writers"]) for one in found] == [(8, 0), (8, 8), (8, 32), (0, 1), (0, 8), (0, 32)]
    assert all(one["reads"] > 0 for one in found if one["readers"])
    assert all(one["creates"] > 0 and one["refused"] == 0 for one in found if one["writers"])
