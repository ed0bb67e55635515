"""Questions to PostgreSQL, one way there and back each, through libpq's own call: it waits outside of Python, and takes
a third of the processor time of a cursor, which waits in steps of its own.

https://www.postgresql.org/docs/current/libpq-exec.html and https://www.psycopg.org/psycopg3/docs/api/pq.html
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InvalidSqlStatementName
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

# So many statements are remembered for each connection. Each takes memory of the server's.
REMEMBERED = 128

_ANSWERED = ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK
_PLACE = re.compile(r"%([s%])")


class Questions:
    """What is asked over one connection that is in no transaction, and which statements the server keeps for it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._server = connection.pgconn
        self._adapting = Transformer(connection)
        self._names: OrderedDict[str, bytes] = OrderedDict()
        """The names of statements; empty for one that was asked once. Those asked longest ago are forgotten first."""
        self._numbers = count()

    def ask(self, text: str, bound: Sequence[Any], *, kept: bool) -> list[Any]:
        """The rows of a statement with the values of its `%s`. `kept`: from its second time on the server keeps it.
        Raises psycopg.Error.
        """
        # As texts they are of the type that the statement gives them, whatever a number's size.
        values = self._adapting.dump_sequence(bound, [PyFormat.TEXT] * len(bound))
        name = self._name(text) if kept else b""
        try:
            result = self._run(name, text, values)
        except InvalidSqlStatementName:
            # Psycopg lets all go after a ROLLBACK.
            self._names.clear()
            result = self._run(b"", text, values)
        self._adapting.set_pgresult(result)
        try:
            return self._adapting.load_rows(0, result.ntuples, tuple)
        finally:
            self._adapting.set_pgresult(None)

    def _run(self, name: bytes, text: str, values: Sequence[Any]) -> PGresult:
        if name:
            return _checked(self._server.exec_prepared(name, values, None, Format.BINARY))
        return _checked(self._server.exec_params(_numbered(text), values, None, None, Format.BINARY))

    def _name(self, text: str) -> bytes:
        """The name under which the server keeps a statement; empty where it does not yet."""
        name = self._names.get(text)
        if name is None:
            if len(self._names) >= REMEMBERED and (old := self._names.popitem(last=False)[1]):
                _checked(self._server.exec_(b"DEALLOCATE " + old))
            self._names[text] = b""
            return b""
        if not name:
            name = b"question_%d" % next(self._numbers)
            _checked(self._server.prepare(name, _numbered(text)))
            self._names[text] = name
        self._names.move_to_end(text)
        return name


def _checked(result: PGresult) -> PGresult:
    """An answer that is none of an error."""
    if result.status in _ANSWERED:
        return result
    state = result.error_field(DiagnosticField.SQLSTATE)
    if state is None:
        # Not the server says so, but libpq: there is no connection any more.
        raise psycopg.OperationalError(result.get_error_message())
    raise psycopg.errors.lookup(state.decode())(result.get_error_message(), info=result)


@lru_cache(maxsize=1000)
def _numbered(text: str) -> bytes:
    """A statement as libpq takes it: `$1` instead of the first `%s`."""
    numbers = count(1)
    return _PLACE.sub(lambda found: f"${next(numbers)}" if found[1] == "s" else "%", text).encode()
