"""DailyMed's mapping of labels to RxNorm: https://dailymed.nlm.nih.gov/dailymed/app-support-mapping-files.cfm

It says of a label which drugs are in it, not which of them a product of the label is: so only a label of one drug has
an RxCUI for its products.
"""

from __future__ import annotations

from collections.abc import Iterable

from apothecary.importers.delimited import Row

# By these columns the file is known, whatever its name.
COLUMNS = frozenset({"SETID", "RXCUI"})


def rxcuis(rows: Iterable[Row]) -> dict[str, set[str]]:
    """The RxCUIs of each label, by its set id in small letters. A drug comes several times, with each of its names."""
    found: dict[str, set[str]] = {}
    for row in rows:
        fields = {column.upper(): value.strip() for column, value in row.fields.items()}
        if fields["RXCUI"]:
            found.setdefault(fields["SETID"].lower(), set()).add(fields["RXCUI"])
    return found
