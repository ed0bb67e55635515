"""What a wrong unit code probably meant: `mcg` is ug, `IU` is [iU], `mgs` is mg.

UCUM: https://ucum.org/ucum, whose codes differ from the abbreviations that people write.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from apothecary.fhir.ucum_table import table

# How alike two symbols must be (difflib's ratio) for one to pass for a slip of the other. A wrong guess about a dose is
# worse than none.
_LIKENESS: Final = 0.8

_WRITTEN: Final = {
    "mcg": "ug",
    "mcL": "uL",
    "cc": "mL",
    "gm": "g",
    "lb": "[lb_av]",
    "lbs": "[lb_av]",
    "oz": "[oz_av]",
    "in": "[in_i]",
    "ft": "[ft_i]",
    "units": "[iU]",
    "mIU": "m[iU]",
    "mcIU": "u[iU]",
    "MIU": "M[iU]",
    "kIU": "k[iU]",
    "mmHg": "mm[Hg]",
    "cmH2O": "cm[H2O]",
    "degC": "Cel",
    "°C": "Cel",
    "°F": "[degF]",
    "sec": "s",
    "minute": "min",
    "hr": "h",
    "hour": "h",
    "day": "d",
    "week": "wk",
    "month": "mo",
    "yr": "a",
    "year": "a",
    "tab": "{tbl}",
    "tbl": "{tbl}",
    "tablet": "{tbl}",
    "cap": "{capsule}",
    "capsule": "{capsule}",
    "dose": "{dose}",
    "puff": "{puff}",
    "actuation": "{actuat}",
}


def suggest(code: str, symbol: str, position: int) -> str | None:
    """Return `code` with the unknown `symbol` at `position` put right, or None when nothing is near."""
    if whole := _WRITTEN.get(code):  # such as cmH2O, in which the parser sees cmH with the exponent 2
        return whole
    better = _symbol(symbol)
    return f"{code[:position]}{better}{code[position + len(symbol) :]}" if better else None


def _symbol(symbol: str) -> str | None:
    for written in _spellings(symbol):
        if better := _WRITTEN.get(written):
            return better
        if table().find(written):
            return written
    folded = symbol.casefold().strip("[]")
    for known in _symbols():
        if known.casefold().replace("[", "").replace("]", "") == folded:
            return known
    return _alike(symbol)


def _spellings(symbol: str) -> Iterator[str]:
    """The symbol in the ways it may be written: the Greek or Latin-1 micro sign, a plural s."""
    plain = symbol.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    yield plain
    yield plain.removesuffix("s")
    yield plain.lower()
    yield plain.lower().removesuffix("s")


def _symbols() -> Iterator[str]:
    units = table()
    yield from units.atoms
    for atom in units.atoms.values():
        if atom.metric:
            for prefix in units.prefixes:
                yield prefix + atom.code


def _alike(symbol: str) -> str | None:
    units = table()
    if near := get_close_matches(symbol, units.atoms, n=1, cutoff=_LIKENESS):
        return near[0]
    metric = [atom.code for atom in units.atoms.values() if atom.metric]
    for length in (1, 2):
        prefix, rest = symbol[:length], symbol[length:]
        if prefix in units.prefixes and (near := get_close_matches(rest, metric, n=1, cutoff=_LIKENESS)):
            return prefix + near[0]
    return None
