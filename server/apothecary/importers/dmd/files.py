"""What the files of a dm+d release hold: their records, those that belong to others, and the names of all their fields.

A file has the products first and what belongs to them after: so it is read twice, once for what is kept in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn
from apothecary.importers.xml import Element, records

Fields = tuple[tuple[str, str], ...]
"""A record: the names of its fields, each with its value."""

# The root of a file -> how far below it the records stand.
_DEPTHS = {
    "VIRTUAL_THERAPEUTIC_MOIETIES": 1,
    "INGREDIENT_SUBSTANCES": 1,
    "LOOKUP": 2,
    "VIRTUAL_MED_PRODUCTS": 2,
    "VIRTUAL_MED_PRODUCT_PACK": 2,
    "ACTUAL_MEDICINAL_PRODUCTS": 2,
    "ACTUAL_MEDICINAL_PROD_PACKS": 2,
    "GTIN_DETAILS": 2,
    "BNF_DETAILS": 2,
}
_LOOKED_UP = "LOOKUP"

# Concepts: the record -> the field with its code, and the fields that others need to know of it (all, where None).
_ALL = None
CONCEPTS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "VTM": ("VTMID", ("NM",)),
    "ING": ("ISID", ("NM",)),
    "VMP": ("VPID", _ALL),
    "VMPP": ("VPPID", ("VPID", "QTYVAL", "QTY_UOMCD")),
    "AMP": ("APID", ("VPID", "SUPPCD")),
    "AMPP": ("APPID", ("APID",)),
}
# Records that belong to a concept: the record -> the concept, and the field with the code of that.
PARTS: dict[str, tuple[str, str]] = {
    "VPI": ("VMP", "VPID"),
    "ONT": ("VMP", "VPID"),
    "DFORM": ("VMP", "VPID"),
    "DROUTE": ("VMP", "VPID"),
    "CONTROL_INFO": ("VMP", "VPID"),
    "AP_ING": ("AMP", "APID"),
    "LIC_ROUTE": ("AMP", "APID"),
    "AP_INFO": ("AMP", "APID"),
    "DTINFO": ("VMPP", "VPPID"),
    "VMPP CCONTENT": ("VMPP", "PRNTVPPID"),
    "PACK_INFO": ("AMPP", "APPID"),
    "PRESCRIB_INFO": ("AMPP", "APPID"),
    "PRICE_INFO": ("AMPP", "APPID"),
    "REIMB_INFO": ("AMPP", "APPID"),
    "AMPP CCONTENT": ("AMPP", "PRNTAPPID"),
    "GTINDATA": ("AMPP", "AMPPID"),
    "BNF VMP": ("VMP", "VPID"),
    "BNF AMP": ("AMP", "APID"),
}
_ROOT_PREFIXES = {
    ("VIRTUAL_MED_PRODUCT_PACK", "CCONTENT"): "VMPP CCONTENT",
    ("ACTUAL_MEDICINAL_PROD_PACKS", "CCONTENT"): "AMPP CCONTENT",
    ("BNF_DETAILS", "VMP"): "BNF VMP",
    ("BNF_DETAILS", "AMP"): "BNF AMP",
}
FIELDS: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "VTM": "VTMID INVALID NM ABBREVNM VTMIDPREV VTMIDDT",
        "ING": "ISID ISIDDT ISIDPREV INVALID NM",
        "INFO": "CD CDDT CDPREV INVALID DESC",
        "VMP": "VPID VPIDDT VPIDPREV VTMID INVALID NM ABBREVNM BASISCD NMDT NMPREV BASIS_PREVCD NMCHANGECD COMBPRODCD"
        " PRES_STATCD SUG_F GLU_F PRES_F CFC_F NON_AVAILCD NON_AVAILDT DF_INDCD UDFS UDFS_UOMCD UNIT_DOSE_UOMCD",
        "VPI": "VPID ISID BASIS_STRNTCD BS_SUBID STRNT_NMRTR_VAL STRNT_NMRTR_UOMCD STRNT_DNMTR_VAL STRNT_DNMTR_UOMCD",
        "ONT": "VPID FORMCD",
        "DFORM": "VPID FORMCD",
        "DROUTE": "VPID ROUTECD",
        "CONTROL_INFO": "VPID CATCD CATDT CAT_PREVCD",
        "AMP": "APID INVALID VPID NM ABBREVNM DESC NMDT NM_PREV SUPPCD LIC_AUTHCD LIC_AUTH_PREVCD LIC_AUTHCHANGECD"
        " LIC_AUTHCHANGEDT COMBPRODCD FLAVOURCD EMA PARALLEL_IMPORT AVAIL_RESTRICTCD",
        "AP_ING": "APID ISID STRNTH UOMCD",
        "LIC_ROUTE": "APID ROUTECD",
        "AP_INFO": "APID SZ_WEIGHT COLOURCD PROD_ORDER_NO",
        "VMPP": "VPPID INVALID NM ABBREVNM VPID QTYVAL QTY_UOMCD COMBPACKCD",
        "DTINFO": "VPPID PAY_CATCD PRICE DT PREVPRICE",
        "VMPP CCONTENT": "PRNTVPPID CHLDVPPID",
        "AMPP": "APPID INVALID NM ABBREVNM VPPID APID COMBPACKCD LEGAL_CATCD SUBP DISCCD DISCDT",
        "PACK_INFO": "APPID REIMB_STATCD REIMB_STATDT REIMB_STATPREVCD PACK_ORDER_NO",
        "PRESCRIB_INFO": "APPID SCHED_2 ACBS PADM FP10_MDA SCHED_1 HOSP NURSE_F ENURSE_F DENT_F",
        "PRICE_INFO": "APPID PRICE PRICEDT PRICE_PREV PRICE_BASISCD",
        "REIMB_INFO": "APPID PX_CHRGS DISP_FEES BB LTD_STAB CAL_PACK SPEC_CONTCD DND FP34D",
        "AMPP CCONTENT": "PRNTAPPID CHLDAPPID",
        "GTINDATA": "AMPPID GTIN STARTDT ENDDT",
        "BNF VMP": "VPID BNF ATC DDD DDD_UOMCD",
        "BNF AMP": "APID BNF",
    }.items()
}
# The fields that are text for people; in the others no white space can stand.
_FREE = frozenset(
    ("NM", "ABBREVNM", "NMPREV", "NM_PREV", "DESC", "SUBP", "SZ_WEIGHT", "PROD_ORDER_NO", "PACK_ORDER_NO")
)


@dataclass(slots=True)
class Record:
    """One record: its name, its fields, and where it stands. `table` is that of a lookup."""

    name: str
    fields: dict[str, str]
    place: Place
    table: str = ""

    @property
    def code(self) -> str:
        """The code of the concept that it is, or that it belongs to."""
        key = CONCEPTS[self.name][0] if self.name in CONCEPTS else PARTS[self.name][1]
        return self.fields.get(key, "")


@dataclass(slots=True)
class Held:
    """What is known of all files while resources are made. Equal records are kept once."""

    lookups: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    concepts: dict[str, dict[str, Fields]] = field(default_factory=lambda: {name: {} for name in CONCEPTS})
    parts: dict[str, dict[str, list[Fields]]] = field(default_factory=lambda: {name: {} for name in PARTS})
    packs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The code of a product -> those of its packs."""
    _once: dict[Fields, Fields] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Keep what others need to know of a record."""
        if record.name == "INFO":
            self.lookups[record.table].setdefault(record.fields.get("CD", ""), record.fields.get("DESC", ""))
        elif record.name in PARTS:
            key = PARTS[record.name][1]
            fields = self._one((name, value) for name, value in record.fields.items() if name != key)
            known = self.parts[record.name].setdefault(record.code, [])
            if fields not in known:
                known.append(fields)
        elif record.code and record.code not in self.concepts[record.name]:
            wanted = CONCEPTS[record.name][1]
            kept = ((one, value) for one, value in record.fields.items() if wanted is None or one in wanted)
            self.concepts[record.name][record.code] = self._one(kept)
            product = record.fields.get({"VMPP": "VPID", "AMPP": "APID"}.get(record.name, ""), "")
            if product:
                self.packs[product].append(record.code)

    def about(self, concept: str, code: str) -> dict[str, str]:
        """What is kept of a concept; empty for one that is not held."""
        return dict(self.concepts[concept].get(code, ()))

    def of(self, part: str, code: str) -> list[dict[str, str]]:
        """The records that belong to a concept."""
        return [dict(one) for one in self.parts[part].get(code, ())]

    def _one(self, fields: Iterable[tuple[str, str]]) -> Fields:
        kept = tuple(fields)
        return self._once.setdefault(kept, kept)


class Tally:
    """Remarks that would be the same for very many records: told once, with the first place and how many there are."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], Place] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, reason: str, place: Place) -> None:
        """One more. `kind` is `skipped` or `approximated`."""
        self._counts[kind, reason] += 1
        self._first.setdefault((kind, reason), place)

    def tell(self, report: Report) -> None:
        """All of them, and begin anew."""
        for (kind, reason), count in self._counts.items():
            tell = report.skipped if kind == "skipped" else report.approximated
            tell(self._first[kind, reason], f"{reason} ({count} times)" if count > 1 else reason)
        self._counts.clear()
        self._first.clear()


def read(member: Member, report: Report, tally: Tally) -> Iterator[Record]:
    """The records of a file. A file that is none of a release, or that breaks off, is told."""
    root = ""

    def depth(name: str) -> int:
        nonlocal root
        if name not in _DEPTHS:
            raise Torn(f"<{name}> is not the root of a file of a release that is read")
        root = name
        return _DEPTHS[name]

    try:
        with member.open() as stream:
            for element in records(stream, depth):
                yield from _records(member.name, root, element, report, tally)
    except Torn as error:
        what = "is no XML file of dm+d" if not root else "the rest of the file is not read"
        report.skipped(Place(member.name), f"{what}: {error}")


def _records(file: str, root: str, element: Element, report: Report, tally: Tally) -> Iterator[Record]:
    if root == _LOOKED_UP:
        yield _record(file, "INFO", element, tally, table=element.above[-1])
    elif root == "GTIN_DETAILS":
        owner = next((one.text for one in element.children if one.name == "AMPPID"), "")
        for child in element.children:
            if child.name == "GTINDATA":
                record = _record(file, child.name, child, tally)
                record.fields["AMPPID"] = owner
                yield record
            elif child.name != "AMPPID":
                tally.add("skipped", f"<{child.name}> of <GTIN_DETAILS> is not known", Place(file, child.line))
    else:
        name = _ROOT_PREFIXES.get((root, element.name), element.name)
        if name in FIELDS and name != "INFO":
            yield _record(file, name, element, tally)
        else:
            tally.add("skipped", f"<{element.name}> of <{root}> is not known", Place(file, element.line))


def _record(file: str, name: str, element: Element, tally: Tally, table: str = "") -> Record:
    fields: dict[str, str] = {}
    known = FIELDS[name]
    for child in element.children:
        place = Place(file, child.line, child.name)
        if child.name not in known or child.children:
            tally.add("skipped", f"the field {child.name} of <{element.name}> is not known", place)
        elif child.name in fields:
            tally.add("skipped", f"the field {child.name} of <{element.name}> stands twice; the first is taken", place)
        elif child.text and child.name not in _FREE and len(child.text.split()) > 1:
            tally.add(
                "skipped", f"the field {child.name} of <{element.name}> has white space in a code or number", place
            )
        elif child.text:
            fields[child.name] = child.text
    return Record(name, fields, Place(file, element.line), table)
