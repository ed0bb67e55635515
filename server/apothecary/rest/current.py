"""The request that a thread answers, as the WSGI server handed it over: https://peps.python.org/pep-3333/

Flask has the same in its request context. To make that takes a third of the time of a read, and nothing here needs the
rest of it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

# Not a thread's own: what a request writes may be written by the thread of another (`apothecary.store.writers`).
_environ: ContextVar[dict[str, Any]] = ContextVar("environ")


def begin(environ: dict[str, Any]) -> None:
    """A request begins in this thread."""
    _environ.set(environ)


def environ() -> dict[str, Any]:
    """What is known of the request in hand. Only what answers requests may ask."""
    return _environ.get()


def path() -> str:
    """The path of the request in hand, as text: WSGI has its bytes as characters."""
    found: str = environ()["PATH_INFO"]
    return found if found.isascii() else found.encode("latin-1").decode(errors="replace")
