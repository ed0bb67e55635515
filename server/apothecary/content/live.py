"""What one process serves, kept in step with the database: https://hl7.org/fhir/R5/searchparameter.html"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Set

from apothecary.content.definitions import Serving, seen, serving
from apothecary.content.index_rules import GENERATION
from apothecary.settings import Settings
from apothecary.store.contract import Reader

log = logging.getLogger("apothecary")


class Live:
    """The registries of one process. Each thread keeps what it saw last, so a request has one view from its beginning
    to its end.
    """

    def __init__(
        self, settings: Settings, reader: Reader, due: Callable[[], None] = lambda: None, *, quiet: bool = False
    ) -> None:
        """`due` is called whenever the index is seen to be incomplete; `quiet` writes no log."""
        self._settings = settings
        self._due = due
        self._quiet = quiet
        self._told = False
        self._latest = serving(settings, reader)
        self._here = threading.local()
        self._tell(self._latest)

    @property
    def latest(self) -> Serving:
        """What any thread saw last: enough for what the settings decide, such as the types."""
        return self._latest

    @property
    def now(self) -> Serving:
        """What this thread saw last; where a request began since, it looks again."""
        reader: Reader | None = getattr(self._here, "due", None)
        if reader is not None:
            return self.look(reader)
        found: Serving | None = getattr(self._here, "serving", None)
        return found or self._latest

    @property
    def presumed(self) -> Serving | None:
        """What this thread will most likely see when it looks, for `confirms`; None where only a look can tell."""
        known = self._latest
        if getattr(self._here, "due", None) is None:
            return self.now
        return None if known.incomplete or known.due else known

    def confirms(self, known: Serving, told: Set[str | None]) -> bool:
        """Whether `known`, which was presumed, is what this thread sees. `told` is what the reader of this request said
        of the definitions in force with whatever it read, if anything: then it need not be asked for that by itself.
        """
        reader: Reader | None = getattr(self._here, "due", None)
        if reader is None or not told or told != {known.generation or None}:
            return self.now is known
        self._here.serving, self._here.due = known, None
        return True

    def begin(self, reader: Reader) -> None:
        """A request begins in this thread. What asks for nothing that a definition decides costs no look."""
        self._here.due = reader

    def look(self, reader: Reader) -> Serving:
        """Bring this thread's view in step with `reader`: one look at one key, where nothing changed."""
        known = self._latest
        if (reader.state(GENERATION) or "") != known.generation:
            known = self._latest = serving(self._settings, reader)
            self._tell(known)
        elif known.incomplete or known.due:
            known = self._latest = seen(known, reader)
        if (known.incomplete or known.due) and not known.behind:
            self._due()
        self._here.serving, self._here.due = known, None
        return known

    def _tell(self, known: Serving) -> None:
        if not self._quiet:
            if known.behind and not self._told:
                self._told = True
                log.warning(
                    "a newer version of Apothecary makes the search index of this database: this one goes on, and "
                    "leaves the index to it"
                )
            for name, reason in known.refused.items():
                log.warning("%s is not served: %s", name, reason)
