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
from tests.fuzz.memory import grown
from tests.fuzz.run import Run, warm_up
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
                warm_up(material, running.port)
                warm_up(material, running.port)
                run = Run(material, given.seed, first, share, running.port, process_of(running))
                result = run(lambda line: print(line, flush=True))
            grew = grown(result.memory)
            wrong += len(result.faults) + len(grew) + (result.sent < share)
            first += share
            print(f"== {database}, {settings}: {time.monotonic() - begin:.0f} s\n{result.text()}", flush=True)
            print("\n".join(grew) or "memory: flat after the warm-up", "\n", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
