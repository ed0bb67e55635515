"""Clients of bulk data that others wrote, against a server of its own process: smart-fetch, and DuckDB on its files.

https://pypi.org/project/smart-fetch/, https://duckdb.org/docs/stable/data/json/loading_json. `make test-clients`
installs them in an environment of their own. smart-fetch asks for what patients have, so it takes the documents of a
catalogue; the files of everything else are `apothecary export`'s.
"""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from tests.bulk.exporting import FHIR, medication, organization
from tests.conformance.harness import OverHttp, served
from tests.missing import missing

pytestmark = pytest.mark.clients

BIN = Path(__file__).parents[2] / ".venv-clients" / "bin"
DOCUMENTS = 2500


def document(number: int) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": f"d{number:05}",
        "status": "current" if number % 5 else "superseded",
        "type": {"text": "Generated label ü"},
        "content": [{"attachment": {"title": f"Label {number}"}}],
    }


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[OverHttp]:
    if not (BIN / "smart-fetch").exists():
        missing("smart-fetch and DuckDB are not installed: make test-clients")
    resources = [*map(document, range(DOCUMENTS)), *(medication(f"m{number}") for number in range(50))]
    path = tmp_path / "all.ndjson"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in [*resources, organization("o")]))
    result = CliRunner().invoke(main, ["load", str(path), "--database", database_url])
    assert result.exit_code == 0, result.output
    # Small files, so that there are several of a type.
    with served({"database": database_url, "content": "", "export_file_bytes": "100000"}) as one:
        yield one


def fetched(server: OverHttp, folder: Path, *options: str) -> list[dict[str, Any]]:
    """What smart-fetch brings along: every line of its files."""
    command = [str(BIN / "smart-fetch"), "bulk", "--fhir-url", f"{server.address}/fhir/r4", *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted(folder.glob("*.ndjson.gz"))
    return [json.loads(line) for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]


def ask(sql: str) -> list[Any]:
    """The rows that DuckDB answers with."""
    program = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall()))"
    command = [str(BIN / "python"), "-c", program, sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_smart_fetch_takes_all_what_a_filter_selects_and_what_changed_since(server: OverHttp, tmp_path: Path) -> None:
    whole = fetched(server, tmp_path / "whole")
    assert [one["id"] for one in whole] == [f"d{number:05}" for number in range(DOCUMENTS)]
    assert len(list((tmp_path / "whole").glob("DocumentReference.*"))) > 1
    one = server.ask("GET", "/fhir/r4/DocumentReference/d00007")
    assert whole[7] == one.json
    filtered = fetched(
        server, tmp_path / "some", "--type=DocumentReference", "--type-filter=DocumentReference?status=superseded"
    )
    assert [one["id"] for one in filtered] == [f"d{number:05}" for number in range(0, DOCUMENTS, 5)]
    changed = document(3) | {"description": "changed"}
    assert server.ask("PUT", "/fhir/r4/DocumentReference/d00003", FHIR, json.dumps(changed)).status == 200
    since = max(one["meta"]["lastUpdated"] for one in whole)
    later = fetched(server, tmp_path / "later", "--type=DocumentReference", "--since-mode=updated", f"--since={since}")
    assert [(one["id"], one["description"]) for one in later] == [("d00003", "changed")]
    files = tmp_path / "whole" / "*.ndjson.gz"
    rows = ask(
        "SELECT status, count(*), min(content[1].attachment.title) FROM "
        f"read_json('{files}', format = 'newline_delimited') GROUP BY status ORDER BY status"
    )
    assert rows == [["current", 2000, "Label 1"], ["superseded", 500, "Label 0"]]


def test_duckdb_reads_the_files_of_every_type(server: OverHttp, database_url: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["export", "--database", database_url, "--output", str(out)])
    assert result.exit_code == 0, result.output
    rows = ask(
        "SELECT resourceType, count(*), count(DISTINCT id) FROM "
        f"read_json('{out}/*.ndjson', format = 'newline_delimited', union_by_name = true) GROUP BY ALL ORDER BY ALL"
    )
    assert rows == [["DocumentReference", DOCUMENTS, DOCUMENTS], ["Medication", 50, 50], ["Organization", 1, 1]]
