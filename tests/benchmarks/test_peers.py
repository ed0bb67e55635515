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
    [([], False), ([1, 1], False), ([5, 9, 10, 10], True), ([9, 10, 12], False), ([0, 0, 0], False)],
)
def test_a_rate_is_steady_when_the_last_three_are_alike(rates: list[float], wanted: bool) -> None:
    assert peers.steady(rates) is wanted


def test_what_is_written_is_not_what_is_searched() -> None:
    """So that a second run finds the same."""
    asked = peers.requests(120)
    found = {one.path for name in ("token", "string", "_include") for one in asked[name]}
    codes = {path.partition("%7C")[2].partition("&")[0] for path in found} - {""}
    assert codes == {f"c{number}" for number in range(120 // peers.SHARING)}
    written = [one.body for name in ("create", "update", "transaction of 20") for one in asked[name]]
    assert written
    assert all(f'"c{peers.WRITTEN}"' in body for body in written)
    assert f"c{peers.WRITTEN}" not in codes


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        # The rate moves by other work, the cost of a request does not.
        ([Sample(90, 1, 2, 500), Sample(20, 1, 2, 510), Sample(50, 1, 2, 490)], "steady after 3 samples"),
        # Compiled code costs less, at whatever rate.
        ([Sample(50, 1, 2, 9000), Sample(50, 1, 2, 700), Sample(50, 1, 2, 500)], "not steady after 3 samples"),
        ([Sample(50, 1, 2), Sample(51, 1, 2), Sample(50, 1, 2)], "steady after 3 samples"),
        ([Sample(90, 1, 2), Sample(20, 1, 2), Sample(50, 1, 2)], "not steady after 3 samples"),
        # Its first answers may take longer than a sample.
        ([Sample(0, 0, 0), Sample(50, 1, 2, 500), Sample(50, 1, 2, 500)], "not steady after 3 samples"),
    ],
)
def test_a_server_is_warm_by_its_processor_time_where_it_is_known(
    samples: list[Sample], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = peers.Load(peers.Server("x", "http://127.0.0.1:1/fhir"), peers.requests(10)["read"], 1, tmp_path)
    monkeypatch.setattr(load, "sample", lambda seconds: samples.pop(0))
    assert load.warm_up(1, 3) == wanted


def test_a_server_that_answers_nothing_while_it_is_measured_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = peers.Load(peers.Server("slow", "http://127.0.0.1:1/fhir"), peers.requests(10)["read"], 1, tmp_path)
    monkeypatch.setattr(load, "sample", lambda seconds: Sample(0, 0, 0))
    with pytest.raises(click.ClickException, match=r"slow, GET Medication/bench-m\d: answered nothing within 3 s"):
        load.measure(3)


def test_the_ratios_are_taken_within_a_round() -> None:
    rounds = [
        {"us": Sample(100, 1, 2, 5), "x": Sample(50, 2, 4, 50)},
        {"us": Sample(10, 1, 2, 8), "x": Sample(5, 2, 4, 80)},
    ]
    rows = peers.summarize("read", rounds, "us")
    assert [(row.ratio, row.cpu_ratio) for row in rows] == [(1, 1), (2, 10)]


def test_processor_time_that_is_not_known_is_no_ratio() -> None:
    rows = peers.summarize("read", [{"us": Sample(9, 1, 2), "x": Sample(3, 1, 2)}], "us")
    assert [row.cpu_ratio for row in rows] == [0, 0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--pid=1", "--pid=1"], "more of them than URLs"),
        (["--pid=4194305"], "no process of this machine"),
        (["--database-pid=4194305"], "no process of this machine"),
    ],
)
def test_a_process_that_is_not_there_is_told(options: list[str], told: str) -> None:
    result = CliRunner().invoke(peers.main, ["http://127.0.0.1:1/fhir", *options])
    assert result.exit_code == 2
    assert told in result.output


@pytest.mark.long
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
        # The processor time of the other is not asked for.
        assert all((row["cpu"] > 0) == (row["server"] == "apothecary") for row in rows)
        # What was written is not in the way of a second run.
        peers.check(peers.Server("other", other.r4), 60)
        with pytest.raises(click.ClickException, match="has 0 entries and not"):
            peers.check(peers.Server("other", other.r4), 10_000)
