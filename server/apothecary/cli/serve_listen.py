"""The sockets that a server listens on: one is opened before anything is changed, and each further worker has its own.

A port belongs to one server: who comes later is refused it, unless both allow it by SO_REUSEPORT, with which the system
divides connections among all who listen (https://man7.org/linux/man-pages/man7/socket.7.html). A server of several
workers sets it for them once it listens, and before that only where the setting asks for it.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address

from apothecary.errors import StartError
from apothecary.settings import Settings

# Connections that wait for a worker to take them.
BACKLOG = 1024

_ANY = ("0.0.0.0", "::")  # noqa: S104 (compared with)
_HINTS = {
    errno.EADDRINUSE: "it is in use by another program; name another with --port, or see --share-port",
    errno.EACCES: "it is not permitted; ports below 1024 need a privilege, name another with --port",
    errno.EADDRNOTAVAIL: "that is no address of this machine",
    errno.EAFNOSUPPORT: "this machine does not speak that version of the internet protocol",
}

_Address = tuple[socket.AddressFamily, tuple[str, int]]


def bind(settings: Settings) -> socket.socket:
    """A socket that holds the address and port of the settings, and does not listen yet.

    Of a name with several addresses the first IPv4 address is taken, as clients do that cannot speak both. Raises
    StartError with the reason where the address cannot be had, or where another program would answer at one of the
    name's other addresses.
    """
    (family, address), *others = _addresses(settings)
    if settings.loopback and not ip_address(address[0]).is_loopback:
        raise StartError(
            f"--host {settings.host}: it means {address[0]} here, which is not a loopback address; name an address"
        )
    bound = _bound(settings, family, address)
    for other_family, other in others if settings.port else ():
        try:
            _bound(settings, other_family, other).close()
        except StartError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
                bound.close()
                raise
    return bound


def listen(bound: socket.socket, count: int = 1) -> list[socket.socket]:
    """Let clients connect; a socket for each of so many workers, `bound` among them. Raises StartError where another
    program was quicker.

    Of workers that share a socket mostly the same one takes all connections that come at a time, and the others have
    nothing to do. So the system divides them where it can, which is on Linux, among those that listen: `bound` does,
    and each of the others when its worker is there to answer. Elsewhere the socket is shared.
    """
    start_listening(bound)
    if count == 1 or sys.platform != "linux":
        return [bound] * count
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return [bound, *(_same(bound) for _ in range(count - 1))]


def start_listening(bound: socket.socket) -> None:
    """Let clients connect to a socket. Raises StartError."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise _refused(bound.getsockname(), error) from error
    bound.setblocking(False)
    # Workers that are not forked inherit it by its number.
    bound.set_inheritable(True)


def leave_to_others(one: socket.socket, others: Iterable[socket.socket]) -> None:
    """Let other sockets have all who connect; nothing where none of them listens: there they wait."""
    if _listens(one) and any(map(_listens, others)):
        one.shutdown(socket.SHUT_RDWR)


def _listens(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _same(bound: socket.socket) -> socket.socket:
    """Another socket at the address of one."""
    made = socket.socket(bound.family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.set_inheritable(True)
    options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_REUSEPORT)]
    options += [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)] if bound.family == socket.AF_INET6 else []
    for level, option in options:
        made.setsockopt(level, option, bound.getsockopt(level, option))
    try:
        made.bind(bound.getsockname())
    except OSError as error:
        made.close()
        raise _refused(bound.getsockname(), error) from error
    return made


def url(host: str, port: int) -> str:
    """The address of a server as it is written: `http://[::1]:8080`."""
    name = host.strip("[]")
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def reachable(bound: socket.socket) -> tuple[str, int]:
    """Where a client on this machine reaches the socket."""
    host, port = bound.getsockname()[:2]
    if host in _ANY:
        host = "::1" if bound.family == socket.AF_INET6 else "127.0.0.1"
    return host, port


def _addresses(settings: Settings) -> list[_Address]:
    """What the host means, IPv4 first. Raises StartError where it means nothing."""
    name = settings.host.strip("[]")
    if not name:
        raise StartError("--host is empty; 127.0.0.1 is this machine only, 0.0.0.0 every network")
    try:
        found = socket.getaddrinfo(name, settings.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StartError(f"--host {settings.host}: {getattr(error, 'strerror', None) or 'not a host name'}") from error
    addresses: dict[_Address, None] = {
        (family, address): None  # type: ignore[misc]  # of IPv4 or IPv6
        for family, *_, address in found
    }
    return sorted(addresses, key=lambda one: one[0] != socket.AF_INET)


def _bound(settings: Settings, family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    """A socket bound to an address. Raises StartError."""
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _refused(address, error) from error
    try:
        # So that a port is free again as soon as the server that had it is gone.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.share_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                # `::` is every network, whatever the system's default says.
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] not in _ANY))
        made.bind(address)
    except OSError as error:
        made.close()
        raise _refused(address, error) from error
    return made


def _refused(address: tuple[str, int], error: OSError) -> StartError:
    place = url(*address[:2]).removeprefix("http://")
    reason = _HINTS.get(error.errno or 0) or os.strerror(error.errno or 0)
    return StartError(f"cannot listen on {place}: {reason}")
