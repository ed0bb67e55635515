"""Requests as no library sends them."""

from __future__ import annotations

import socket

from tests.waiting import PATIENCE


def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request that is sent as it stands, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
