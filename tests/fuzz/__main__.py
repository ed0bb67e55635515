"""`make fuzz`: requests by chance to real servers on both databases, half of them each.

`python -m tests.fuzz [--requests N] [--seed S] [--database sqlite|postgresql|both]`; with `--only N` it prints
request N of the seed as a line for a shell.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.fuzz.generate import request
from tests.fuzz.material import committed
from tests.fuzz.run import Result, Run
from tests.fuzz.servers import DATABASES, PARTS, official, process_of, server


def main() -> int:
    """The command line; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first request")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--only", type=int, help="print this request and send nothing")
    parser.add_argument("--committed", action="store_true", help="use only the examples that the repository holds")
    given = parser.parse_args()
    material = committed() if given.committed else official()
    if given.only is not None:
        print(request(material, given.seed, given.only).curl("http://127.0.0.1:8080"))
        return 0
    databases = DATABASES if given.database == "both" else [given.database]
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


def grew(result: Result) -> bool:
    """Whether the last quarter of a run took more memory than the one before, by more than chance. The first half is
    left out: definitions, converters and statements of 450 resource types are made when they are first asked for.
    """
    half, quarter = len(result.memory) // 2, len(result.memory) * 3 // 4
    before, after = max(result.memory[half:quarter]), max(result.memory[quarter:])
    print(f"memory: {before / 2**20:.0f} MB at most in the third quarter, {after / 2**20:.0f} MB in the last")
    return after > before * 1.1


if __name__ == "__main__":
    sys.exit(main())
