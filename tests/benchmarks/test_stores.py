"""Both stores are asked the same, and their costs are compared within a round."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import content, stores
from benchmarks.stores import Cost
from tests.databases import fresh_database
from tests.missing import missing


def test_every_request_means_something_in_the_data_set(tmp_path: Path) -> None:
    stores.write(tmp_path, 120)
    ids = {f"{path.parent.name}/{path.stem}" for path in tmp_path.glob("*/*.json")}
    assert len(ids) == 123
    asked = stores.requests(120)
    assert {one.path for one in asked["read"]} <= ids
    assert {one.path for name in ("update", "delete and create") for one in asked[name]} <= ids
    for one in asked["update"]:
        there = json.loads((tmp_path / f"{one.path}.json").read_text())
        put = json.loads(one.body)
        assert put != there
        assert [put[name] for name in ("id", "code", "marketingAuthorizationHolder")] == [
            there[name] for name in ("id", "code", "marketingAuthorizationHolder")
        ]
    assert {len(some) for some in asked.values() if some[0].path.startswith("Medication?code")} == {120}
    assert stores.CODE + content.code_of(7) in {one.path.partition("?")[2] for one in asked["token search"]}


def test_the_ratio_is_taken_within_a_round_and_counts_the_database() -> None:
    rounds = [(Cost(100), Cost(120, 30)), (Cost(1000), Cost(1200, 600)), (Cost(10), Cost(20, 20))]
    assert stores.summarize("read", rounds) == ("read", 100, 120, 30, 1.8)


@pytest.mark.long
def test_both_stores_are_measured_in_one_run(postgresql_url: str) -> None:
    if shutil.which("wrk") is None:
        missing("wrk is not installed (Debian: apt-get install wrk)")
    chosen = ("token search", "conditional create", "delete and create")
    options = ["--rounds=1", "--seconds=1", "--resources=60", "--json", *(f"--only={one}" for one in chosen)]
    with fresh_database(postgresql_url) as url:
        result = CliRunner().invoke(stores.main, [url, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {row["request"] for row in rows} == set(chosen)
    assert all(row["sqlite"] > 0 and row["own"] > 0 for row in rows)
