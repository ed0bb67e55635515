"""Asks a server's `/healthz` ten times a second, from a process of its own, beside whatever a test does to the server.

    with always_healthy(server.port):
        ...  # afterwards each question has been answered within a second

A machine that is busy with other things must not fail a test. Linux counts for each thread how long it was ready to run
and had to wait for a processor (https://docs.kernel.org/scheduler/sched-stats.html): that time of the server's threads,
and of the one who asks, is given to an answer in addition. A server that stands still waits for no processor, and gets
none of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from select import select

EVERY, WITHIN = 0.1, 1.0
"""Seconds between two questions, and until the answer must be there."""

LOOK = 1.0
"""How often it is looked which processes the server has."""

MOST = 5
"""How many faults a message names."""

STANDSTILL = 60.0
"""How long an answer may take at the very most, in seconds, whatever else the machine does."""

_OWN = Path("/proc/self")


@dataclass
class Health:
    """What the answers were, complete after the block."""

    asked: int = 0
    slowest: float = 0.0
    """The longest time from a question to its answer, in seconds, without the time that the server had to wait for a
    processor.
    """
    faults: list[str] = field(default_factory=list)


@contextmanager
def always_healthy(port: int, *, gaps: bool = False) -> Iterator[Health]:
    """Ask the server at `port` of this machine until the end of the block. Raises AssertionError there if an answer did
    not come, was another one than 200, or came late.

    With `gaps`, for tests that end whole processes, a connection that is refused or reset is no fault: there was nobody
    to answer. A late answer is one even so.
    """
    health = Health()
    watcher = subprocess.Popen(
        [sys.executable, __file__, str(port), str(int(gaps))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    try:
        # It has asked once: what the block does is watched from its beginning.
        assert watcher.stdout.readline() == "begun\n"
        yield health
    except BaseException:
        watcher.kill()
        watcher.communicate()
        raise
    told, _ = watcher.communicate("end\n", timeout=2 * STANDSTILL)
    found = json.loads(told)
    health.asked, health.slowest, health.faults = found["asked"], found["slowest"], found["faults"]
    if health.faults:
        shown = "; ".join(health.faults[:MOST])
        raise AssertionError(f"/healthz: {len(health.faults)} of {health.asked} answers at fault: {shown}")


def _watch(port: int, gaps: bool) -> None:
    """Ask until standard input ends or says something; then write what was found to standard output."""
    health = Health()
    servers, looked = listening(port), time.monotonic()
    while True:
        began = time.monotonic()
        if began - looked > LOOK:
            servers, looked = listening(port), began
        _ask(port, gaps, servers, health)
        if health.asked == 1:
            print("begun", flush=True)
        left = max(0.0, EVERY - (time.monotonic() - began))
        if select([sys.stdin], [], [], left)[0]:
            break
    print(json.dumps(vars(health)))


def _ask(port: int, gaps: bool, servers: list[Path], health: Health) -> None:
    """One question on a connection of its own."""
    before, began = {one: _waited(one) for one in (*servers, _OWN)}, time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=STANDSTILL)
    said = ""
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        said = f"status {status}" if status != 200 else ""
    except TimeoutError:
        said = "no answer"
    except (OSError, HTTPException) as error:
        said = "" if gaps else repr(error)
    finally:
        connection.close()
    took = time.monotonic() - began
    if took > WITHIN / 2:
        # Looked at again only here: it costs as much as the question. A process that is new has waited since it began.
        took -= min(took, sum(_waited(one) - before.get(one, 0.0) for one in {*servers, *listening(port), _OWN}))
    health.asked += 1
    health.slowest = max(health.slowest, took)
    if not said and took > WITHIN:
        said = f"answered after {took:.2f} seconds in which it did not wait for a processor"
    if said:
        health.faults.append(said)


def listening(port: int) -> list[Path]:
    """The processes that have the listening socket of `port` open: the server's. Nothing where there is no /proc."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                # The address in hexadecimal, and state 0A: https://docs.kernel.org/networking/proc_net_tcp.html
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{words[9]}]")
    return [process for process in _ours() if inodes & _open_files(process)] if inodes else []


def _ours() -> list[Path]:
    """The processes of Python's: few, so that looking for a socket in them costs little."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if "python" in (process / "comm").read_text():
                found.append(process)
    return found


def _open_files(process: Path) -> set[str]:
    found = set()
    with suppress(OSError):
        for one in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(one))
    return found


def _waited(process: Path) -> float:
    """How long all threads of a process have waited for a processor since they began, in seconds."""
    nanoseconds = 0
    with suppress(OSError):
        for thread in (process / "task").iterdir():
            with suppress(OSError, IndexError, ValueError):
                nanoseconds += int((thread / "schedstat").read_text().split()[1])
    return nanoseconds / 1e9


if __name__ == "__main__":
    _watch(int(sys.argv[1]), sys.argv[2] == "1")
