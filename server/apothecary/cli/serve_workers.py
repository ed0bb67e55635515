"""The worker processes of `apothecary serve`: granian answers HTTP in them and replaces those that end.

The only module that knows granian (https://github.com/emmett-framework/granian). What is added to its supervisor: a
port that is taken before and by one server (granian would have every other server of the same user share it), a reason
in the log for each worker that ends, and workers that do not outlive the supervisor.
"""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.net import SocketHolder
from granian.server import MPServer

from apothecary.app import Apothecary, create_app
from apothecary.cli.serve_connections import bound_in_time, end_overdue_bodies, most_connections
from apothecary.cli.serve_listen import BACKLOG, leave_to_others, listen, reachable, start_listening
from apothecary.cli.serve_log import logging_config, say
from apothecary.cli.serve_stop import signal_name
from apothecary.cli.serve_threads import THREADS, Followers, follow
from apothecary.errors import FhirError, StartError
from apothecary.settings import Settings

# How often a worker looks whether its supervisor lives, and, once it is to end, whether it listens itself; and the
# supervisor whether the port answers. In seconds.
WATCH, LEAVE, PROBE = 1.0, 0.05, 0.02

# A stop that is sent to all processes of a service may come to a worker first. So long its supervisor then waits for
# its own, in seconds, before it takes the worker's end for an accident.
SETTLE = 1.0

# A worker that takes the place of another and ends within STEADY seconds is replaced after a pause, which doubles each
# time from the first to the longest, in seconds.
STEADY, FIRST_PAUSE, LONGEST_PAUSE = 10.0, 0.5, 30.0

# How long one probe of the port waits for its answer: the first one waits for a worker to load the application.
PATIENCE = 60.0


class Workers(MPServer):  # type: ignore[misc] # granian has no types
    """The processes that answer on one socket."""

    def __init__(self, settings: Settings, bound: socket.socket, ready: Callable[[], None]) -> None:
        """`bound` is bound and does not listen yet; `ready` is called when the port has answered for the first time."""
        connections = most_connections()
        super().__init__(
            "apothecary.app:create_app",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.WSGI,
            workers=settings.workers,
            # Most wait, for a client or for their turn (`rest.gate`), and none for each other.
            blocking_threads=min(THREADS, connections),
            backpressure=connections,
            # HTTP/2 would let one connection ask for any number of threads, and granian would wait without limit for
            # the first byte, from which it tells the two apart.
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            log_level=LogLevels.info if settings.log_level == "debug" else LogLevels.warning,
            log_dictconfig=logging_config(settings.log_level),
            respawn_failed_workers=True,
            # Nothing would be no limit.
            workers_kill_timeout=max(settings.stop_seconds, 0.001),
            process_name=None,
        )
        self._settings = settings
        self._bound = bound
        self._reachable = reachable(bound)
        self._tell_ready = ready
        self._ready = False
        # By index: when a worker last took the place of another, and after what pause.
        self._started: dict[int, float] = {}
        self._pauses: dict[int, float] = {}
        self._over, self._stopping = threading.Event(), threading.Event()
        self.failed = False
        """Whether a worker ended before the port had answered."""

    def run(self) -> None:
        """Start the workers, and return when they have ended. `stop` ends them from another thread."""
        if multiprocessing.get_start_method() != "fork":
            # Starting this helper of multiprocessing unblocks signals that were blocked before.
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        try:
            self.serve(target_loader=partial(_application, self._settings), wrap_loader=False)
        except SystemExit:
            # granian's way to say that a worker ended; `failed` and the log say more.
            pass
        finally:
            self._over.set()

    def stop(self) -> None:
        """Let requests in flight end, then the workers. May be called again and from any thread."""
        self._stopping.set()
        self.signal_handler_interrupt()

    # -- what granian asks of a subclass

    def signal_handler_reload(self, *_: Any) -> None:
        """SIGHUP is taken as the other signals are, or ignored under `nohup`; granian would replace the workers."""

    def _init_shared_socket(self) -> None:
        # Each before it listens: a connection has what its socket had when it came.
        bound_in_time(self._bound)
        self._sockets = listen(self._bound, self.workers)
        for one in self._sockets[1:]:
            bound_in_time(one)
        self._give_socket(0)

    def _give_socket(self, index: int) -> None:
        """Have the worker that is started next take connections from the socket of this one."""
        one = self._sockets[index]
        self._ssp, self._sfd, self._sso = None, one.fileno(), one
        self._shd = SocketHolder(self._sfd, False, BACKLOG)

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Callable[..., Any]) -> Any:
        self._give_socket(idx)
        return super()._spawn_worker(idx, target, partial(callback_loader, self._sockets, idx))

    def _spawn_workers(self, *given: Any) -> None:
        if self._shd is None or self._shd.get_fd() != self._sockets[0].fileno():
            raise StartError("this version of granian opens sockets of its own; install one that pyproject.toml allows")
        super()._spawn_workers(*given)
        # Not sooner: a fork while another thread holds a lock leaves the lock held in the worker for ever.
        threading.Thread(target=self._probe, name="probe", daemon=True).start()

    def _serve_loop(self, *given: Any) -> None:
        """Replace workers that end, until the server is stopped. granian would overlook one that ends while it begins
        to replace another, and give up where one ends twice within seconds: any request that ends a process could so
        end the server.
        """
        due: dict[int, float] = {}
        while True:
            soonest = min(due.values(), default=None)
            self.main_loop_interrupt.wait(None if soonest is None else max(0.0, soonest - time.monotonic()))
            # Before it is looked what happened: what happens from here on is seen the next time.
            self.main_loop_interrupt.clear()
            while self.interrupt_children and not self._stopping.is_set():
                index = self.interrupt_children.pop(0)
                due[index] = time.monotonic() + self._pause_after(index)
            if self._stopping.is_set():
                return
            for index in [one for one, moment in due.items() if moment <= time.monotonic()]:
                del due[index]
                self._started[index] = time.monotonic()
                self._respawn_workers([index], *given)

    def _pause_after(self, index: int) -> float:
        """Say that a worker ended, and after how many seconds another is to take its place: at once, unless it lived
        for a short time only. Where the port has not answered yet, the server is stopped.
        """
        ended = self.wrks[index].inner
        ended.join()
        # Until another is there.
        leave_to_others(self._sockets[index], _others(self._sockets, index))
        if self._stopping.wait(SETTLE if ended.exitcode in (0, -signal.SIGTERM) else 0):
            return 0.0
        how = f"worker {index + 1} (process {ended.pid}) {signal_name(ended.exitcode or 0)}"
        if not self._ready:
            say(f"{how}: the server could not start")
            self.failed = True
            self.stop()
            return 0.0
        lived = time.monotonic() - self._started.get(index, -STEADY)
        before = self._pauses.get(index, 0.0)
        pause = self._pauses[index] = 0.0 if lived >= STEADY else min(max(2 * before, FIRST_PAUSE), LONGEST_PAUSE)
        say(f"{how}: another takes its place{f' in {pause:g} seconds, since it did not live long' if pause else ''}")
        return pause

    # -- whether the port answers

    def _probe(self) -> None:
        while not self._over.wait(PROBE):
            connection = HTTPConnection(*self._reachable, timeout=PATIENCE)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse()
            except (OSError, HTTPException):
                continue
            finally:
                connection.close()
            if not self._stopping.is_set():
                self._ready = True
                self._tell_ready()
            return


def _application(settings: Settings, sockets: Sequence[socket.socket] = (), index: int = 0) -> Apothecary:
    """The application, made in a worker that takes connections from the socket with this index. A fault that a user can
    mend ends it with one line.
    """
    # Until granian takes SIGTERM nothing has been asked of this worker, so the signal just ends it. The others that
    # the supervisor blocked stay blocked: they come to all processes of a terminal, and the supervisor speaks for all.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_supervisor, args=(settings.stop_seconds,), name="supervisor", daemon=True).start()
    # A worker that is ended by a fault of a library's says in the log where it was.
    faulthandler.enable()
    try:
        app = create_app(settings)
    except StartError as error:
        say(f"Error: {error}")
        sys.exit(2)
    except FhirError as error:
        # A database that is down or damaged: another attempt may find it as it was.
        say(f"Error: {error}")
        sys.exit(1)
    if _reads_wait_for_nothing(settings):
        followers = Followers(app.gate.reads)
        app.gate.hand_on = followers.hand_on
        follow(followers)
    end_overdue_bodies(app.gate, settings.port, settings.body_seconds)
    # All this stays as long as the worker does. To look for circles in it takes 50 ms, and some request waits for that:
    # https://docs.python.org/3/library/gc.html#gc.freeze
    gc.freeze()
    if sockets:
        start_listening(sockets[index])
        asked, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        threading.Thread(target=_end_in_order, args=(sockets, index, asked), name="ending", daemon=True).start()
    return app


def _end_in_order(sockets: Sequence[socket.socket], index: int, asked: int) -> None:
    """Wait in a worker until it is asked to end, have granian end it, and leave who connects to the others.

    Python takes a signal in the main thread alone, which granian lets wait for an event: a signal that comes when that
    has begun to wait, but does not sleep yet, would be seen with the next one only. So there is a next one, until
    granian closes its socket. The supervisor keeps that open, and who connects would be given to it for as long as the
    requests in flight take.
    """
    taken, own = sockets[index].fileno(), sockets[index].dup()
    # Each signal that Python takes writes its number, a hangup that is ignored as well.
    while os.read(asked, 1) != bytes([signal.SIGTERM]):
        pass
    with suppress(OSError):
        while os.path.sameopenfile(taken, own.fileno()):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            time.sleep(LEAVE)
    leave_to_others(own, _others(sockets, index))


def _others(sockets: Sequence[socket.socket], index: int) -> list[socket.socket]:
    """The sockets that are not that of a worker; none where all share one."""
    return [one for one in sockets if one is not sockets[index]]


def _reads_wait_for_nothing(settings: Settings) -> bool:
    """Whether a read asks nothing but a file of this machine: no database server, no disk for its record, no Redis."""
    counted = settings.rate_limit_storage if settings.rate_limit.strip() else "memory://"
    return settings.database.startswith("sqlite") and settings.audit == "off" and counted.startswith("memory:")


def _end_with_supervisor(seconds: float) -> None:
    """Wait in a worker until its supervisor is gone, killed perhaps; then stop as it would have asked."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    # The pipe tells at once, but a worker that was forked later holds its other end, too.
    while os.getppid() == parent.pid and not wait([parent.sentinel], WATCH):
        pass
    say(f"worker (process {os.getpid()}): its supervisor (process {parent.pid}) is gone, so it stops, too")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(seconds)
    os._exit(1)
