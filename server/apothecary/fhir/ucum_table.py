"""The prefixes and unit atoms of UCUM, read on first use from the table that UCUM publishes.

UCUM: https://ucum.org/ucum, tables 1 to 30, as `ucum-essence.xml`. The licence of that file asks for it to be passed on
unchanged, so it is read as published (about 2 ms, once a process, and only when something asks for a unit).
"""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from xml.parsers import expat

_ESSENCE: Final = Path(__file__).with_name("data") / "ucum-essence.xml"


class Atom(NamedTuple):
    """One unit atom as UCUM defines it: `value` times the unit term `unit`, or one of the seven base units.

    `function` names the conversion of a special unit (UCUM section 21, "Special Units on non-ratio Scales"), of which
    `value` and `unit` then are the corresponding proper unit.
    """

    code: str
    metric: bool
    arbitrary: bool = False
    value: Fraction = Fraction(1)
    unit: str | None = None
    function: str | None = None


class Table(NamedTuple):
    """All prefixes (code to factor) and all atoms (code to definition), case-sensitive."""

    prefixes: dict[str, Fraction]
    atoms: dict[str, Atom]

    def find(self, symbol: str) -> tuple[Fraction, Atom] | None:
        """Return the prefix factor and the atom that `symbol` names, or None.

        UCUM chose its codes so that no symbol can be read in two ways; the order of the attempts does not matter.
        """
        if (atom := self.atoms.get(symbol)) is not None:
            return Fraction(1), atom
        for length in (1, 2):
            factor = self.prefixes.get(symbol[:length])
            if factor is not None and (atom := self.atoms.get(symbol[length:])) is not None and atom.metric:
                return factor, atom
        return None


@cache
def table() -> Table:
    """Read the published table; the result is shared and must not be changed."""
    prefixes: dict[str, Fraction] = {}
    atoms: dict[str, Atom] = {}
    open_element: dict[str, str] = {}
    code = kind = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal code, kind, open_element
        if name in ("prefix", "base-unit", "unit"):
            code, kind, open_element = attributes["Code"], name, attributes
            if name == "base-unit":
                atoms[code] = Atom(code, metric=True)
        elif name == "value" and kind == "prefix":
            prefixes[code] = Fraction(attributes["value"])
        elif name == "function" or (name == "value" and "value" in attributes):
            atoms[code] = Atom(
                code,
                metric=open_element["isMetric"] == "yes",
                arbitrary=open_element.get("isArbitrary") == "yes",
                value=Fraction(attributes["value"]),
                unit=attributes["Unit"],
                function=attributes.get("name"),
            )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    with _ESSENCE.open("rb") as file:
        parser.ParseFile(file)
    return Table(prefixes, atoms)
