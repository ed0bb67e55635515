"""Questions to PostgreSQL through libpq's own calls: one goes there and back while Python waits outside, and takes a
third of the processor time of a cursor, which waits in steps of its own; many are sent as one, and not one by one.

https://www.postgresql.org/docs/current/libpq-exec.html, https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
and https://www.psycopg.org/psycopg3/docs/api/pq.html
"""

from __future__ import annotations

import re
import select
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InvalidSqlStatementName
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

# So many statements are remembered for each connection. Each takes memory of the server's.
REMEMBERED = 128

_ANSWERED = ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.PIPELINE_SYNC
_PLACE = re.compile(r"%([s%])")


class Asked(NamedTuple):
    """A statement with the values of its `%s`. `kept`: from its second time on the server keeps it."""

    text: str
    bound: Sequence[Any] = ()
    kept: bool = True


SYNC = Asked("")
"""Ends what is a transaction by itself: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING"""


class Answer(NamedTuple):
    """The rows of a statement, and how many it found or changed; with the names that a cursor has for them."""

    rows: list[Any]
    rowcount: int

    def fetchall(self) -> list[Any]:
        return self.rows

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None


class Questions:
    """What is asked over one connection, and which statements the server keeps for it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._server = connection.pgconn
        # Psycopg is told so where there is no session to keep them.
        self._keeps = connection.prepare_threshold is not None
        self._adapting = Transformer(connection)
        self._names: OrderedDict[str, bytes] = OrderedDict()
        """The names of statements; empty for one that was asked once. Those asked longest ago are forgotten first."""
        self._numbers = count()
        self._socket = select.poll()
        self._socket.register(self._server.socket, select.POLLIN)

    def ask(self, asked: Asked) -> list[Any]:
        """The rows of a statement, asked outside of a transaction. Raises psycopg.Error."""
        self._forget()
        name, new = self._name(asked)
        if new:
            _checked(self._server.prepare(name, _numbered(asked.text)))
            self._names[asked.text] = name
        try:
            result = self._run(asked, name)
        except InvalidSqlStatementName:
            # Somebody let all go: psycopg does after a ROLLBACK of its own.
            self._names.clear()
            result = self._run(asked, b"")
        return self._answer(result).rows

    def ask_all(self, some: Sequence[Asked]) -> list[Answer]:
        """What `some` are answered, but for each `SYNC`: they take one way there and back, and what stands between two
        of these is one transaction, where none was begun. Raises psycopg.Error for the first that fails.
        """
        self._forget()
        # All before the first is sent: what cannot be is found out here.
        values = [self._dumped(one.bound) for one in some]
        self._server.enter_pipeline_mode()
        try:
            expected = [one for asked, given in zip(some, values, strict=True) for one in self._send(asked, *given)]
            results = self._results([*expected, *self._send(SYNC)])
        finally:
            # What is still under way where it cannot be left, the pool ends with the connection.
            with suppress(psycopg.Error):
                self._server.exit_pipeline_mode()
        return [self._answer(result) for result in results]

    # -- sending

    def _run(self, asked: Asked, name: bytes) -> PGresult:
        values, formats = self._dumped(asked.bound)
        if name:
            return _checked(self._server.exec_prepared(name, values, formats, Format.BINARY))
        return _checked(self._server.exec_params(_numbered(asked.text), values, None, formats, Format.BINARY))

    def _send(
        self, asked: Asked, values: Sequence[Any] = (), formats: Sequence[Format] = ()
    ) -> Iterable[tuple[str, bytes] | bool]:
        """Send a statement. Tells of each result that this will have whether it is an answer, or the statement that
        will have been prepared with it.
        """
        if asked is SYNC:
            self._server.pipeline_sync()
            return [False]
        name, new = self._name(asked)
        if new:
            self._server.send_prepare(name, _numbered(asked.text))
            # Until it is known to be kept, those of the same text that follow use it all the same.
            self._names[asked.text] = name
        if name:
            self._server.send_query_prepared(name, values, formats, Format.BINARY)
        else:
            self._server.send_query_params(_numbered(asked.text), values, None, formats, Format.BINARY)
        return [(asked.text, name), True] if new else [True]

    def _dumped(self, bound: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Format]]:
        """Values as they are sent. As texts they are of the type that the statement gives them, whatever a number's
        size; bytes would be twice as long.
        """
        formats = [PyFormat.BINARY if isinstance(one, bytes) else PyFormat.TEXT for one in bound]
        return self._adapting.dump_sequence(bound, formats), self._adapting.formats or ()

    # -- receiving

    def _results(self, expected: Sequence[tuple[str, bytes] | bool]) -> list[PGresult]:
        """The results of what was sent. Raises psycopg.Error."""
        self._flush()
        found: list[PGresult] = []
        failed: PGresult | None = None
        for one in expected:
            result = self._next()
            if result.status not in _ANSWERED:
                # Behind the first that fails, all up to the next sync are only skipped.
                failed = failed or result
                if isinstance(one, tuple):
                    self._names.pop(one[0], None)
            elif one is True:
                found.append(result)
        if failed is not None:
            try:
                _checked(failed)
            except InvalidSqlStatementName:
                self._names.clear()
                raise
        return found

    def _flush(self) -> None:
        """Send what lies here; it takes in what comes meanwhile, or both sides would wait for each other."""
        while self._server.flush():
            self._socket.modify(self._server.socket, select.POLLIN | select.POLLOUT)
            try:
                if any(events & select.POLLIN for _, events in self._socket.poll()):
                    self._server.consume_input()
            finally:
                self._socket.modify(self._server.socket, select.POLLIN)

    def _next(self) -> PGresult:
        """The next result; behind those of each statement comes nothing, once."""
        for _ in range(2):
            while self._server.is_busy():
                self._socket.poll()
                self._server.consume_input()
            result = self._server.get_result()
            if result is not None:
                return result
        raise psycopg.OperationalError(self._server.get_error_message())

    def _answer(self, result: PGresult) -> Answer:
        number = result.ntuples
        if not number:
            return Answer([], result.command_tuples or 0)
        self._adapting.set_pgresult(result)
        try:
            return Answer(self._adapting.load_rows(0, number, tuple), number)
        finally:
            self._adapting.set_pgresult(None)

    # -- what the server keeps

    def _name(self, asked: Asked) -> tuple[bytes, bool]:
        """The name under which the server keeps a statement, empty where it does not; and whether it is a new one."""
        if not (asked.kept and self._keeps):
            return b"", False
        name = self._names.get(asked.text)
        if name is None:
            self._names[asked.text] = b""
            return b"", False
        self._names.move_to_end(asked.text)
        return (name, False) if name else (b"question_%d" % next(self._numbers), True)

    def _forget(self) -> None:
        while len(self._names) > REMEMBERED:
            if old := self._names.popitem(last=False)[1]:
                _checked(self._server.exec_(b"DEALLOCATE " + old))


def _checked(result: PGresult) -> PGresult:
    """An answer that is none of an error."""
    if result.status in _ANSWERED:
        return result
    state = result.error_field(DiagnosticField.SQLSTATE)
    if state is None:
        # Not the server says so, but libpq: there is no connection any more.
        raise psycopg.OperationalError(result.get_error_message())
    raise psycopg.errors.error_from_result(result)


@lru_cache(maxsize=1000)
def _numbered(text: str) -> bytes:
    """A statement as libpq takes it: `$1` instead of the first `%s`."""
    numbers = count(1)
    return _PLACE.sub(lambda found: f"${next(numbers)}" if found[1] == "s" else "%", text).encode()
