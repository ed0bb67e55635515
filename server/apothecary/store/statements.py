"""Statements that were compiled already: building one takes ten times as long as running it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Executable, LargeBinary
from sqlalchemy.engine import Dialect

# All statements together may have so many characters. A database takes some ten times as much for one that it prepared.
REMEMBERED = 8_000_000

# How a statement asks PostgreSQL for words: https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY
_WORDS = " AS TSQUERY)"

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
    width: int = 0
    """How many columns its rows have; 0 where it is no question of ours."""
    heavy: tuple[int, ...] = ()
    """Which of these are columns of bytes."""

    @property
    def is_long(self) -> bool:
        """Whether it is too long to be kept by each connection."""
        return len(self.text) > LONG

    @property
    def prepared(self) -> bool | None:
        """Whether a connection keeps it: None for as the driver decides."""
        return False if self.is_long or self.for_words else None

    @property
    def limited(self) -> str:
        """The text with one more value at its end: how many bytes PostgreSQL gives in columns of bytes. It stops at the
        second row behind those that have more; what comes of that is a superset of what `limited.limited` keeps.
        """
        return _limited(self.text, self.width, self.heavy) if self.heavy else self.text

    def bind(self, bound: Mapping[str, Any]) -> tuple[Any, ...]:
        constants = self.constants
        return tuple([constants[name] if name in constants else bound[name] for name in self.names])


class Statements:
    """Compiled statements by shape; the ones used longest ago are forgotten first."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.sizes: dict[str, tuple[int, float]] = {}
        """How many resources of a type there were, and until when, by the clock that never goes back, that will do."""
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
            columns = list(getattr(built, "selected_columns", ()))
            heavy = tuple(number for number, one in enumerate(columns) if isinstance(one.type, LargeBinary))
            names = tuple(compiled.positiontup or ())
            text = str(compiled)
            # Of the text: a walk through the parts of a long chain meets some of them a hundred thousand times.
            found = Statement(text, names, constants, _WORDS in text, len(columns), heavy)
            with self._lock:
                self._size += len(found.text) - len(self._known[key].text if key in self._known else "")
                self._known[key] = found
                while self._size > REMEMBERED:
                    self._size -= len(self._known.popitem(last=False)[1].text)
        return found


@lru_cache(maxsize=1000)
def _limited(text: str, width: int, heavy: tuple[int, ...]) -> str:
    """A window over the rows as they come: https://www.postgresql.org/docs/current/functions-window.html

    The length of bytes is known without reading them.
    """
    names = ", ".join(f"c{number}" for number in range(width))
    size = " + ".join(f"coalesce(octet_length(c{number}), 0)" for number in heavy)
    before = f"sum({size}) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before"
    inner = f"SELECT {names}, {before} FROM ({text}) AS page ({names})"  # noqa: S608 (a statement of ours)
    return f"SELECT {names} FROM ({inner}) AS page WHERE coalesce(before, 0) <= %s"  # noqa: S608 (the same)
