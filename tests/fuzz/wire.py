"""Requests as bytes on a connection: whatever can be sent, and what came back."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse

from tests.conformance.harness import Answer
from tests.waiting import PATIENCE

Headers = tuple[tuple[str, str], ...]
_ONE_CHUNK = 700


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` and the values of `headers` are Latin-1 text, so that any byte can stand in them."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""
    chunked: bool = False
    """Whether the body comes in chunks, so that nothing says beforehand how long it is."""
    about: str = field(default="", compare=False)
    """What it was made for."""

    def wire(self) -> bytes:
        """The bytes of the request."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in self.headers):
            lines.append("Host: localhost")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.method not in ("GET", "HEAD", "OPTIONS"):
            lines.append(f"Content-Length: {len(self.body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head + (b"".join(self._chunks()) if self.chunked else self.body)

    def _chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.body), _ONE_CHUNK):
            piece = self.body[start : start + _ONE_CHUNK]
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        yield b"0\r\n\r\n"

    def curl(self, address: str) -> str:
        """A line for a shell that sends the same request to `address`."""
        words = ["curl", "-sS", "-g", "--path-as-is", "-i"]
        words += ["-I"] if self.method == "HEAD" else ["-X", self.method]
        for name, value in self.headers:
            words += ["-H", f"{name}: {value}" if value else f"{name};"]
        if self.chunked:
            words += ["-H", "Transfer-Encoding: chunked"]
        if self.body:
            words += ["--data-binary", "@-"]
        line = " ".join(_quoted(one) for one in [*words, f"{address}{self.target}"])
        return f"printf %b {_quoted(_escaped(self.body))} | {line}" if self.body else line


def _quoted(text: str) -> str:
    """A word for bash, whatever bytes it has."""
    if text.isascii() and text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(_in_dollars(one) for one in text.encode("latin-1", "replace")) + "'"


def _in_dollars(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}"


def _escaped(body: bytes) -> str:
    return "".join(chr(one) if 32 <= one < 127 and one != 92 else f"\\0{one:03o}" for one in body)


class NoAnswer(Exception):
    """The connection ended, or stayed silent, before there was an answer."""


class Connection:
    """A connection that is kept open as long as the server lets it."""

    def __init__(self, port: int, patience: float = PATIENCE) -> None:
        self._port = port
        self._patience = patience
        self._socket: socket.socket | None = None

    def send(self, request: Request) -> Answer:
        """Raises NoAnswer, after a second attempt where the connection was an old one."""
        old = self._socket is not None
        try:
            return self._send(request)
        except NoAnswer:
            # What was kept open may have been closed meanwhile.
            if not old:
                raise
            return self._send(request)

    def _send(self, request: Request) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), self._patience)
        try:
            # What is refused before all of it was sent has its answer all the same.
            with suppress(OSError):
                self._socket.sendall(request.wire())
            response = HTTPResponse(self._socket, method=request.method)
            try:
                response.begin()
                body = response.read()
            finally:
                response.close()
        except (OSError, HTTPException) as error:
            self.close()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if response.will_close:
            self.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
