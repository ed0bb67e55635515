"""How `apothecary serve` is stopped: one SIGINT, SIGTERM or SIGHUP is enough, whatever the server is doing.

The signals are blocked in every thread, so none is lost, and one thread takes them from the system. A handler would
have to wait until the main thread runs Python code again: that may be after a long statement, or inside the very lock
that the handler needs. https://docs.python.org/3/library/signal.html#signal.sigwait
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from apothecary.cli.serve_log import say

# How long after the limit for requests in flight the process itself is given up, in seconds.
GRACE = 5.0

# How often the workers' supervisor is told again: it may have been busy with replacing a worker.
AGAIN = 0.1


class Stop:
    """From its beginning to its end the signals end the process: at once and with status 0 while it starts, in order
    once `by` has said how.
    """

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long requests in flight may take to end."""
        self.asked = False
        """Whether a signal has come."""
        self._seconds = seconds
        self._signals = {signal.SIGINT, signal.SIGTERM}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Ignored by `nohup`, which wants the server to outlive its terminal.
            self._signals.add(signal.SIGHUP)
        self._before: set[signal.Signals] = set()
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="signals", daemon=True)

    def __enter__(self) -> Stop:
        self._before = {signal.Signals(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)}
        self._thread.start()
        return self

    def by(self, stop: Callable[[], None]) -> None:
        """From now on a signal calls `stop`, again and again until the end, from another thread. May be said anew."""
        with self._lock:
            self._stop = stop

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self.asked:
            # The process is about to end, and a second signal must not end it in another way.
            return
        with suppress(ProcessLookupError):
            signal.pthread_kill(self._thread.ident or 0, signal.SIGTERM)
        self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _wait(self) -> None:
        number = signal.sigwait(self._signals)
        if self._ended.is_set():
            return
        with self._lock:
            self.asked = True
            if self._stop is None:
                # What was written and not committed is undone by the database. Nothing has been acknowledged.
                say(f"stopped by {signal.Signals(number).name} before it served")
                os._exit(0)
        say(f"stopping on {signal.Signals(number).name}: requests in flight have {self._seconds:g} seconds to end")
        left = self._seconds + GRACE
        while left > 0 and not self._ended.wait(AGAIN):
            self._stop()
            left -= AGAIN
        if not self._ended.is_set():
            say("error: it could not be stopped in order, and was ended")
            os._exit(1)


def signal_name(status: int) -> str:
    """How a process with this exit status ended: `was killed by SIGKILL`, `ended with status 1`."""
    if status < 0:
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"
    return f"ended with status {status}"
