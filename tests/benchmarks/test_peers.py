"""Other servers are measured on what they were given, and only where they answer it rightly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from apothecary.testing import ServerProcess
from benchmarks import peers
from benchmarks.http import Sample
from tests.missing import missing


def test_every_request_means_something_in_the_data_set() -> None:
    every = list(peers.entries(120))
    ids = {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in every}
    assert len(ids) == len(every) == 123
    assert {one["resource"]["manufacturer"]["reference"] for one in every if "manufacturer" in one["resource"]} <= ids
    reads = {one.path for one in peers.requests(120)["read"]}
    assert reads <= ids
    assert len(reads) == 120


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [([], False), ([1, 1], False), ([5, 9, 10, 10], True), ([9, 10, 12], False), ([0, 0, 0], True)],
)
def test_a_rate_is_steady_when_the_last_three_are_alike(rates: list[float], wanted: bool) -> None:
    assert peers.steady(rates) is wanted


def test_the_ratio_is_taken_within_a_round() -> None:
    rounds = [{"us": Sample(100, 1, 2), "x": Sample(50, 2, 4)}, {"us": Sample(10, 1, 2), "x": Sample(5, 2, 4)}]
    assert [row.ratio for row in peers.summarize("read", rounds, "us")] == [1, 2]


@pytest.mark.slow
def test_a_second_server_is_loaded_and_measured_beside_the_first(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        missing("wrk is not installed (Debian: apt-get install wrk)")
    chosen = ("token", "update", "transaction of 20")
    options = [
        "--rounds=1",
        "--seconds=1",
        "--warmings=1",
        "--resources=60",
        "--workers=1",
        "--connections=1",
        "--json",
    ]
    options += [f"--only={one}" for one in chosen]
    with ServerProcess(tmp_path) as other:
        result = CliRunner().invoke(peers.main, [other.r4, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        rows = json.loads(result.stdout)
        assert {row["request"] for row in rows} == set(chosen)
        assert all(row["rate"] > 0 and row["p99"] >= row["p50"] > 0 for row in rows)
        with pytest.raises(click.ClickException, match="has 0 entries and not"):
            peers.check(peers.Server("other", other.r4), 10_000)
