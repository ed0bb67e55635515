"""How far an import is: a bar where somebody watches, a line now and then where nobody does."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import click

from apothecary.importers.report import Reading

# A line is written after so many resources, and the bar drawn anew.
EVERY, OFTEN = 20_000, 500


class Progress(AbstractContextManager["Progress"]):
    """Told of each resource; `total` is how many bytes there are to read."""

    def __init__(self, total: int, reading: Reading) -> None:
        self._total = total
        self._reading = reading
        # Of what is read before anything is made of it, nothing follows for the time that is left.
        self._first = 0
        self._begun = time.monotonic()
        self._count = 0
        self._shown = 0
        self._bar: Any = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(
                length=total, label="importing", file=sys.stderr, item_show_func=lambda _: self._rate()
            )

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def made(self) -> None:
        """A resource was made."""
        self._count += 1
        if self._count == 1:
            self._begun, self._first = time.monotonic(), self._reading.bytes
            self._total = max(self._total - self._first, 0)
            if self._bar is not None:
                self._bar.length = self._total
        if self._bar is not None:
            if self._count % OFTEN == 0:
                read = min(self._reading.bytes - self._first, self._total)
                self._bar.update(max(read - self._shown, 0), current_item=self._count)
                self._shown = max(read, self._shown)
        elif self._count % EVERY == 0:
            click.echo(f"importing: {self._rate()}{self._left()}", err=True)

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._begun, 0.001)
        return f"{self._count} resources, {self._count / seconds:.0f} a second"

    def _left(self) -> str:
        read = self._reading.bytes - self._first
        if not 0 < read < self._total:
            return ""
        left = (time.monotonic() - self._begun) * (self._total - read) / read
        time_left = f"{left / 60:.0f} minutes" if left > 120 else f"{left:.0f} seconds"
        return f", {read * 100 // self._total} %, {time_left} left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
