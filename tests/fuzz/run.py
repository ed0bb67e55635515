"""A run: requests by chance to a server in processes of its own, several at a time, and what came of them."""

from __future__ import annotations

import heapq
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

from apothecary.fhir.releases import FhirVersion
from tests.fuzz.dice import dice_for
from tests.fuzz.generate import request
from tests.fuzz.judge import fault
from tests.fuzz.material import Material
from tests.fuzz.wire import Connection, NoAnswer, Request

LOOKS = 40
# A connection stays with the process that took it, and each process is to have its share of the work.
_ON_ONE_CONNECTION = 20
_SLOWEST = 10
_MOST_FAULTS = 50
_FHIR = (("Content-Type", "application/fhir+json"),)


@dataclass
class Result:
    """What was seen."""

    sent: int = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often what was asked was answered with which status."""
    faults: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    memory: list[dict[int, int]] = field(default_factory=list)
    """The memory of each of the server's processes in bytes, by and by."""

    def took(self, seconds: float, what: str) -> None:
        heapq.heappush(self.slowest, (seconds, what))
        if len(self.slowest) > _SLOWEST:
            heapq.heappop(self.slowest)

    def _answers(self, about: str) -> str:
        return ", ".join(f"{status} {count}" for (one, status), count in sorted(self.statuses.items()) if one == about)

    def text(self) -> str:
        """The result as a person reads it."""
        about = sorted({one for one, _ in self.statuses})
        statuses = "\n".join(f"  {one}: {self._answers(one)}" for one in about)
        memory = " ".join("+".join(f"{one / 2**20:.0f}" for one in look.values()) for look in self.memory)
        slow = "\n".join(f"  {seconds:.2f} s {what}" for seconds, what in sorted(self.slowest, reverse=True))
        lines = [f"{self.sent} requests, {len(self.faults)} faults", f"answers by what was asked:\n{statuses}"]
        lines += [f"memory of the server's processes in MB, by and by: {memory}", f"the slowest:\n{slow}", *self.faults]
        return "\n".join(lines)


@dataclass(frozen=True)
class Run:
    """Requests `first` to `first + count` of a seed, for the server on `port` whose first process is `process`."""

    material: Material
    seed: int
    first: int
    count: int
    port: int
    process: int
    clients: int = 3

    def __call__(self, tell: Callable[[str], None] = lambda line: None) -> Result:
        """Send them all; `tell` hears of each fault at once."""
        result, lock, numbers = Result(), threading.Lock(), iter(range(self.first, self.first + self.count))
        every = max(1, self.count // LOOKS)

        def client() -> None:
            while True:
                with closing(Connection(self.port)) as connection:
                    for _ in range(_ON_ONE_CONNECTION):
                        with lock:
                            number = next(numbers, None)
                            if number is None or len(result.faults) >= _MOST_FAULTS:
                                return
                            if (number - self.first) % every == 0:
                                result.memory.append(resident(self.process))
                        made = request(self.material, self.seed, number)
                        self._one(connection, number, made, result, lock, tell)

        with ThreadPoolExecutor(self.clients) as pool:
            # What a client fails of ends the run: fewer requests than were promised show nothing.
            for one in [pool.submit(client) for _ in range(self.clients)]:
                one.result()
        result.memory.append(resident(self.process))
        return result

    def _one(
        self,
        connection: Connection,
        number: int,
        made: Request,
        result: Result,
        lock: threading.Lock,
        tell: Callable[[str], None],
    ) -> None:
        begin = time.monotonic()
        status = 0
        try:
            answer = connection.send(made)
            status, wrong = answer.status, fault(made, answer)
            said = answer.body[:600].decode("utf-8", "replace")
        except NoAnswer as error:
            wrong, said = f"no answer: {error}", ""
        seconds = time.monotonic() - begin
        with lock:
            result.sent += 1
            result.statuses[made.about, status] += 1
            result.took(seconds, f"({status}) request {number}: {made.method} {made.target[:150]}")
            if wrong is not None:
                repeated = made.curl(f"http://127.0.0.1:{self.port}")
                line = f"request {number} of seed {self.seed}: {wrong}\n  {repeated}\n  {said}"
                result.faults.append(line)
                tell(line)


def warm_up(material: Material, port: int, rounds: int = 2) -> None:
    """Let the processes of a server make what they keep of each type of each release: tables, checks, conversions.
    Chance would ask for the rare ones hours later, and what they take could not be told from what is lost.
    """
    for number in range(rounds):
        for version, other in permutations(FhirVersion, 2):
            for kind in material.types[version]:
                resource = material.resource(dice_for(number, 0, kind), version, kind) | {"id": "warm"}
                body = json.dumps(resource, default=float).encode()
                base, elsewhere = (f"/fhir/{one.name.lower()}/{kind}" for one in (version, other))
                with closing(Connection(port)) as connection:
                    for method, target, sent in (
                        ("POST", f"{base}/$validate", body),
                        ("PUT", f"{base}/warm", body),
                        ("GET", f"{elsewhere}/warm", b""),
                        ("GET", f"{base}?_id=warm&_elements=id&_text=x", b""),
                    ):
                        with suppress(NoAnswer):
                            connection.send(Request(method, target, _FHIR, sent))


def resident(process: int) -> dict[int, int]:
    """The memory in use by a process and by each below it, in bytes; nothing where the system does not tell."""
    return {one: size for one in family(process) if (size := _resident(one))}


def family(process: int) -> Iterator[int]:
    """A process and those that it started, and theirs."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for one in children:
        yield from family(int(one))


def _resident(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
