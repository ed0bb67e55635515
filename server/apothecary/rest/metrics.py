"""What the server counts of its requests, as Prometheus reads it.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

Measured: all of it costs a request 0.9 microseconds; with prometheus-client it is about fifteen times that, of the 100
that a read takes. Each thread counts in a dict of its own, which needs no lock, and each process writes its sums to a
file once a second, where all processes of a server find them.
"""

from __future__ import annotations

import secrets
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from apothecary import __version__

# Upper bounds in seconds: from a read by id to the limit of time.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = 1.0
"""How often a process publishes its sums."""

GONE = 60.0
"""So many seconds after it published last, a process has ended."""


# What requests are told apart by: the interaction, the resource type (or nothing), the status.
Labels = tuple[str, str, int]
# What the processes have done besides, by name.
Counts = dict[str, int]
# For each: how many requests, how long they took in seconds, and how many ended in each bucket and above the last.
Sums = dict[Labels, list[float]]

_PUBLISHED = msgspec.json.Decoder(tuple[list[tuple[Labels, list[float]]], Counts])

# The lines of what is told besides requests: name, type, meaning, and the name of the count for each label.
_OTHERS = (
    (
        "apothecary_cache_requests_total",
        "counter",
        "Requests whose answer may be kept: given again, or computed.",
        {'{result="hit"}': "hits", '{result="miss"}': "misses"},
    ),
    ("apothecary_cache_bytes", "gauge", "Bytes of answers that are kept.", {"": "bytes"}),
    ("apothecary_writes", "gauge", "Writes that are worked on or wait for others.", {"": "writes"}),
)
# What a process does not leave behind when it ends.
_PASSING = frozenset({"bytes", "writes"})


class Metrics:
    """The counts of one process, and of all that share its folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where the processes of one server publish their sums; None where there is only one process."""
        self._threads: list[Sums] = []
        self._counts: Callable[[], Counts] = dict
        self._local = threading.local()
        self._lock = threading.Lock()
        self._file = folder / f"{secrets.token_hex(8)}.json" if folder is not None else None
        if self._file is not None:
            threading.Thread(target=self._publish_always, name="metrics", daemon=True).start()

    def watch(self, counts: Callable[[], Counts]) -> None:
        """`counts` gives what else this process did so far."""
        self._counts = counts

    def count(self, labels: Labels, seconds: float) -> None:
        """One more request that was answered."""
        try:
            sums: Sums = self._local.sums
        except AttributeError:
            sums = self._local.sums = {}
            with self._lock:
                self._threads.append(sums)
        found = sums.get(labels)
        if found is None:
            found = sums[labels] = [0, 0.0, *[0] * (len(BUCKETS) + 1)]
        found[0] += 1
        found[1] += seconds
        found[2 + bisect_left(BUCKETS, seconds)] += 1

    def text(self) -> str:
        """All counts, in Prometheus' text format. Of other processes they may be a second old."""
        others = list(self._others())
        counts = Counter(self._counts())
        for _, more in others:
            counts.update(more)
        return _text(added([self.sums(), *(sums for sums, _ in others)]), counts)

    def sums(self) -> Sums:
        """The counts of this process."""
        with self._lock:
            # A thread may meet a new label meanwhile, so each dict is copied in one step.
            return added([dict(one) for one in self._threads])

    def _others(self) -> Iterable[tuple[Sums, Counts]]:
        """What the other processes published. A process that ended leaves its sums: counters never go back."""
        for path in self._file.parent.glob("*.json") if self._file is not None else ():
            if path != self._file:
                with suppress(FileNotFoundError, msgspec.DecodeError):
                    sums, counts = _PUBLISHED.decode(path.read_bytes())
                    if time.time() - path.stat().st_mtime > GONE:
                        counts = {name: count for name, count in counts.items() if name not in _PASSING}
                    yield dict(sums), counts

    def publish(self) -> None:
        """Let the other processes see the counts of this one."""
        if self._file is not None:
            new = self._file.with_suffix(".new")
            new.write_bytes(msgspec.json.encode((list(self.sums().items()), self._counts())))
            new.replace(self._file)

    def _publish_always(self) -> None:
        wait = threading.Event()
        while True:
            wait.wait(SECONDS)
            # The folder goes when the server stops; a process that is still answering then counts on for itself.
            with suppress(OSError):
                self.publish()


def added(parts: Iterable[Mapping[Labels, list[float]]]) -> Sums:
    """The sum of several counts."""
    result: Sums = {}
    for part in parts:
        for labels, values in part.items():
            known = result.get(labels)
            result[labels] = list(values) if known is None else [a + b for a, b in zip(known, values, strict=True)]
    return result


def _text(sums: Sums, counts: Mapping[str, int]) -> str:
    requests: dict[tuple[str, str, str], int] = {}
    durations: dict[str, list[float]] = {}
    for (interaction, kind, status), values in sums.items():
        key = interaction, kind, f"{status // 100}xx"
        requests[key] = requests.get(key, 0) + int(values[0])
        known = durations.setdefault(interaction, [0.0] * len(values))
        durations[interaction] = [a + b for a, b in zip(known, values, strict=True)]
    lines = [
        "# HELP apothecary_info The version that runs.",
        "# TYPE apothecary_info gauge",
        f'apothecary_info{{version="{__version__}"}} 1',
        "# HELP apothecary_requests_total Requests answered.",
        "# TYPE apothecary_requests_total counter",
    ]
    for (interaction, kind, family), answered in sorted(requests.items()):
        shown = f'interaction="{interaction}",type="{kind}",status="{family}"'
        lines.append(f"apothecary_requests_total{{{shown}}} {answered}")
    for name, kind, meaning, labels in _OTHERS:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{label} {counts[one]}" for label, one in labels.items()]
    lines += [
        "# HELP apothecary_request_duration_seconds Time from the request to its answer.",
        "# TYPE apothecary_request_duration_seconds histogram",
    ]
    for interaction, (count, seconds, *buckets) in sorted(durations.items()):
        name, label = "apothecary_request_duration_seconds", f'interaction="{interaction}"'
        below = 0
        for bound, more in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
            below += int(more)
            lines.append(f'{name}_bucket{{{label},le="{bound}"}} {below}')
        lines += [f"{name}_sum{{{label}}} {seconds:.6f}", f"{name}_count{{{label}}} {int(count)}"]
    return "\n".join(lines) + "\n"
