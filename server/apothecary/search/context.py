"""What a search may know of its request: https://hl7.org/fhir/R5/search.html#searchcontexts"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from apothecary.fhir import temporal
from apothecary.search.inexact import Vocabulary
from apothecary.search.parameters import Registry
from apothecary.search.terminology import Terminology


class Context(NamedTuple):
    """One request's view of the server. It never changes: a request takes the registry once, and keeps it."""

    registry: Registry
    types: tuple[str, ...]
    """The types to search: one for a type search, all served ones for a search over the system, in order."""
    bases: tuple[str, ...] = ()
    """The base URLs under which this server's own resources are written."""
    now: Callable[[], int] = temporal.now
    """Gives the time of the request, in microseconds since 1970: a `Clock`, where it matters whether it was asked."""
    strict: bool = False
    """Whether the client wants an error for what is not understood (`Prefer: handling=strict`)."""
    page_size: int = 20
    page_size_limit: int = 1000
    clause_limit: int = 100
    vocabulary: Vocabulary | None = None
    """Where words that look like one are found; None where only exact answers will do."""
    terminology: Terminology | None = None
    """The value sets and code systems; None where there are none to look into."""
