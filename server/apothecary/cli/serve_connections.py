"""Connections that a slow client would hold for ever are closed.

A client that is gone without a word is found by keep-alive, one that does not read its answer by the limit for data
that nobody acknowledges (https://man7.org/linux/man-pages/man7/tcp.7.html): both are set on the socket that listens,
and the system hands them on to each connection. A head that does not come is granian's to end, after 30 seconds; for a
body it has no limit, and a thread that waits for one cannot be woken. So the socket is closed for reading, which ends
the body, and the request is answered with 408. Where the system does not tell of each connection when it was last used,
as only Linux does, a thread may wait for as long as the client likes; it keeps nobody from being answered.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from apothecary.rest.gate import Gate

# A peer that says nothing is asked after so many seconds, so often, so many seconds apart; and so many seconds, here in
# milliseconds, may data go unacknowledged.
IDLE, PROBES, INTERVAL, UNACKNOWLEDGED = 60, 3, 10, 60_000

# Connections that a worker answers at the same time, where it may open so many files; more wait to be taken. Its other
# files are few: those of the database, and of the program.
CONNECTIONS, OTHER_FILES = 1024, 200

# How often it is looked whether a body is overdue, in seconds.
LOOK = 1.0

# Where struct tcp_info of linux/tcp.h has tcpi_last_data_sent, tcpi_last_ack_sent and tcpi_last_data_recv: how many
# milliseconds ago that was.
_AGES = struct.Struct("44x3I")


def most_connections() -> int:
    """How many connections a worker may have. The limit of open files is raised as far as the system allows that."""
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return CONNECTIONS
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if least != resource.RLIM_INFINITY and least < wanted:
        least = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
    return CONNECTIONS if least == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, least - OTHER_FILES))


def bound_in_time(listening: socket.socket) -> None:
    """Let the system give up connections whose peer is gone, or does not read. Where it knows no such limit there is
    none.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", IDLE),
        ("TCP_KEEPINTVL", INTERVAL),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED),
    ):
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):
                listening.setsockopt(socket.IPPROTO_TCP, option, value)


def end_overdue_bodies(gate: Gate, port: int, seconds: float) -> None:
    """Watch, in a thread of this process, the connections to `port` for bodies that take longer than `seconds`."""
    if Path("/proc/self/fd").exists() and hasattr(socket, "TCP_INFO"):
        given = (gate, port, seconds)
        threading.Thread(target=_watch, args=given, name="overdue bodies", daemon=True).start()


def _watch(gate: Gate, port: int, seconds: float) -> None:
    wait = threading.Event()
    while True:
        wait.wait(min(LOOK, seconds / 2))
        if gate.overdue():
            for connection in _connections(port):
                with connection, suppress(OSError):
                    if _is_overdue(connection, gate, seconds):
                        connection.shutdown(socket.SHUT_RD)


def _is_overdue(connection: socket.socket, gate: Gate, seconds: float) -> bool:
    """Whether nothing was answered on a connection for `seconds`, though nobody works on a request of it.

    One that waits for its next request has been answered on. A request that is worked on has come whole: something came
    in later only where another one is read. Which one it is cannot be told of those on which nothing came in since:
    they are looked at again when that work is done.
    """
    sent, _, received = _AGES.unpack_from(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
    working = gate.newest_work(seconds)
    return sent / 1000 > seconds and (working is None or received / 1000 < working)


def _connections(port: int) -> Iterator[socket.socket]:
    """The connections that this process took on `port`, each as a socket of our own beside the server's."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError, ValueError):
            # A number may belong to another file by now; what was duplicated is looked at, and stays the same.
            found = socket.socket(fileno=os.dup(int(name)))
            if found.type == socket.SOCK_STREAM and found.family in (socket.AF_INET, socket.AF_INET6):
                with suppress(OSError):
                    found.getpeername()
                    if found.getsockname()[1] == port:
                        yield found
                        continue
            found.close()
