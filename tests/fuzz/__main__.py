"""`make fuzz`: requests by chance to real servers on both databases, half of them each.

`python -m tests.fuzz [--requests N] [--seed S] [--database sqlite|postgresql|both]`; with `--only N` it prints
request N of the seed as a line for a shell.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from apothecary.fhir.releases import FhirVersion
from apothecary.testing import ServerProcess
from scripts.fetch_examples import examples
from tests.databases import fresh_database, running_cluster
from tests.fuzz.generate import request
from tests.fuzz.material import Material, committed
from tests.fuzz.run import Result, Run
from tests.versions.corpus import ROOT

# Each part of a run has a server of its own: one that takes any reference, and one that asks whether it leads anywhere.
PARTS: tuple[dict[str, Any], ...] = (
    {"references": "allowed", "delete_referenced": "allowed", "conditional_delete": "multiple"},
    {"references": "enforced"},
)


def main() -> int:
    """The command line; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first request")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--only", type=int, help="print this request and send nothing")
    parser.add_argument("--committed", action="store_true", help="use only the examples that the repository holds")
    given = parser.parse_args()
    material = committed() if given.committed else official()
    if given.only is not None:
        print(request(material, given.seed, given.only).curl("http://127.0.0.1:8080"))
        return 0
    databases = ["sqlite", "postgresql"] if given.database == "both" else [given.database]
    share = given.requests // (len(databases) * len(PARTS))
    wrong, first = 0, given.first
    for database in databases:
        for settings in PARTS:
            begin = time.monotonic()
            with server(database, settings) as running:
                run = Run(material, given.seed, first, share, running.port, process_of(running))
                result = run(lambda line: print(line, flush=True))
            wrong += len(result.faults) + grew(result)
            first += share
            print(f"== {database}, {settings}: {time.monotonic() - begin:.0f} s\n{result.text()}\n", flush=True)
    return 1 if wrong else 0


def official() -> Material:
    """The official examples of every release, beside what the repository holds."""
    found = committed()
    for version in FhirVersion:
        for _, text in examples(version, ROOT / ".cache"):
            found.add(version, text)
    return found


def grew(result: Result) -> bool:
    """Whether the second half of a run took more memory than the first, by more than chance."""
    half = len(result.memory) // 2
    before, after = max(result.memory[:half]), max(result.memory[half:])
    flat = after <= before * 1.15
    print(f"memory: {before / 2**20:.0f} MB at most in the first half, {after / 2**20:.0f} MB in the second")
    return not flat


@contextmanager
def server(database: str, settings: dict[str, Any], **more: Any) -> Iterator[ServerProcess]:
    """A server of two processes on a new database, for all resource types."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="apothecary-fuzz-")))
        given = {"workers": 2, "resource_types": "*", **settings, **more}
        if database == "postgresql":
            cluster = stack.enter_context(running_cluster())
            given["database"] = stack.enter_context(fresh_database(cluster.url))
        yield stack.enter_context(ServerProcess(folder, given))


def process_of(running: ServerProcess) -> int:
    """The id of a server's first process."""
    process = running._process
    assert process is not None
    return process.pid


if __name__ == "__main__":
    sys.exit(main())
