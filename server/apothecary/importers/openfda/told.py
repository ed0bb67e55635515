"""What was told or made already, so that it is told or made once."""

from __future__ import annotations

from apothecary.importers.report import Place, Report


class Told:
    """Remembers names, not what they stand for."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._files: list[str] = []
        self._seen: dict[str, int] = {}

    def once(self, place: Place, reason: str) -> None:
        """Tell of a field that no record of a file has a place for, once for the file."""
        if self.first(f"{place.file} {reason}", place) is None:
            self._report.skipped(Place(place.file), reason)

    def first(self, name: str, place: Place) -> str | None:
        """The file that had `name` first; None where it comes for the first time."""
        if name in self._seen:
            return self._files[self._seen[name]]
        if not self._files or self._files[-1] != place.file:
            self._files.append(place.file)
        self._seen[name] = len(self._files) - 1
        return None
