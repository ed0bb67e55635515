"""A format of a few lines, to try the frame of imports with: `code<TAB>name<TAB>form`, one Medication a line. As a
program it is `apothecary`, with this format beside the others; a line `!9` ends it by signal 9 there, where
`PLAIN_SIGNALS` is set, and a load of some hundred resources is a large one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType

from apothecary.cli import main
from apothecary.content import load, workers
from apothecary.importers import formats
from apothecary.importers.formats import Format, Given, Made
from apothecary.importers.report import Place
from apothecary.importers.sources import Torn, members

PAGE, CATALOGUE = "https://example.org/plain", "https://example.org/#plain"
PLAIN = Format("plain", "Plain", "Lines.", "Nobody", PAGE, CATALOGUE, whole=True, dated=True)


def resources(given: Given) -> Iterator[Made]:
    """A Medication for each line; `code` alone is no row, and the fourth cell is the day of its change."""
    for member in members(given.paths, given.report):
        try:
            for number, line in member.lines():
                cells = line.decode("utf-8", "replace").split("\t")
                place = Place(member.name, number)
                if line.startswith(b"!"):
                    if "PLAIN_SIGNALS" in os.environ:
                        os.kill(os.getpid(), int(line[1:]))
                    continue
                if len(cells) < 3:
                    given.report.skipped(place, f"has {len(cells)} cells, not 3")
                    continue
                made = {"resourceType": "Medication", "id": f"plain-{cells[0]}", "status": "active"}
                made |= {"code": {"text": cells[1]}, "doseForm": {"text": cells[2]}}
                yield Made(made, place, cells[3] if len(cells) > 3 else "")
        except Torn as error:
            given.report.skipped(Place(member.name), str(error))


def register() -> None:
    """Let `apothecary import` know the format."""
    module = ModuleType("apothecary.importers.plain")
    module.__dict__["resources"] = resources
    sys.modules[module.__name__] = module
    formats.FORMATS = {**formats.FORMATS, "plain": PLAIN}
    command = sys.modules.get("apothecary.cli.import_")
    if command is not None:
        command.__dict__["FORMATS"] = formats.FORMATS


if __name__ == "__main__":
    register()
    load.FEW, load.CHUNK, load.RESOURCES, load.ALONE = 50, 20, 40, 1
    workers.how_many, workers.AHEAD = lambda: 1, 2
    main()
