"""Statements that were compiled already: building one takes ten times as long as running it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors

# All statements together may have so many characters. A database takes some ten times as much for one that it prepared.
REMEMBERED = 8_000_000

# A longer one is not for a database to keep: whoever asks for five hundred shapes of it would fill the memory.
LONG = 4_000


class Statement(NamedTuple):
    """The text of a statement, the names of its values in order, and the values that are part of its shape."""

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    for_words: bool = False
    """Whether it asks PostgreSQL for words. It is planned for the words: a plan for any
    (https://www.postgresql.org/docs/current/sql-prepare.html) takes them for common, and walks along 400,000 rows for
    the three that have a rare one.
    """

    @property
    def is_long(self) -> bool:
        """Whether it is too long to be kept by each connection."""
        return len(self.text) > LONG

    @property
    def prepared(self) -> bool | None:
        """Whether a connection keeps it: None for as the driver decides."""
        return False if self.is_long or self.for_words else None

    def bind(self, bound: Mapping[str, Any]) -> tuple[Any, ...]:
        constants = self.constants
        return tuple([constants[name] if name in constants else bound[name] for name in self.names])


class Statements:
    """Compiled statements by shape; the ones used longest ago are forgotten first."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._known: OrderedDict[Hashable, Statement] = OrderedDict()
        self._lock = threading.Lock()
        self._size = 0

    def get(self, key: Hashable, build: Callable[[], Executable]) -> Statement:
        """The statement of shape `key`; `build` makes it when it is not known."""
        found = self._known.get(key)
        if found is None:
            built = build()
            compiled = built.compile(dialect=self.dialect)  # type: ignore[attr-defined] # a select or an insert has it
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            for_words = self.dialect.name == "postgresql" and _asks_for_words(built)
            found = Statement(str(compiled), tuple(compiled.positiontup or ()), constants, for_words)
            with self._lock:
                self._size += len(found.text) - len(self._known[key].text if key in self._known else "")
                self._known[key] = found
                while self._size > REMEMBERED:
                    self._size -= len(self._known.popitem(last=False)[1].text)
        return found


def _asks_for_words(statement: Executable) -> bool:
    """https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY"""
    return any(isinstance(getattr(one, "type", None), TSQUERY) for one in visitors.iterate(statement))  # type: ignore[arg-type] # what is executed is made of such parts
