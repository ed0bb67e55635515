"""What was told or made already, so that it is told or made once."""

from __future__ import annotations

from apothecary.importers.openfda.records import RESULTS
from apothecary.importers.report import Place, Report


class Told:
    """Remembers names, not what they stand for."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._files: list[str] = []
        self._seen: dict[str, int] = {}

    def field(self, place: Place, name: str) -> None:
        """Tell of a field that is not known here, once for a file."""
        if self.first(f"{_file(place)} {name}", place) is None:
            self._report.skipped(Place(_file(place), column=name), "the field is not known here")

    def elsewhere(self, place: Place, name: str, reason: str) -> None:
        """Tell of a field that says what stands in another one, once for a file."""
        if self.first(f"{_file(place)} {name}", place) is None:
            self._report.approximated(Place(_file(place), column=name), reason)

    def first(self, name: str, place: Place) -> str | None:
        """The file that had `name` first; None where it comes for the first time."""
        if name in self._seen:
            return self._files[self._seen[name]]
        if not self._files or self._files[-1] != _file(place):
            self._files.append(_file(place))
        self._seen[name] = len(self._files) - 1
        return None


def _file(place: Place) -> str:
    """The file that a record is in."""
    return place.file.rpartition(RESULTS)[0] or place.file
