"""A mapping proposed for a table, from the names of its columns and from what stands in them.

It is a proposal: whoever knows the table reads it, and changes what is wrong. As it is written, it is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from apothecary.fhir import check_digits
from apothecary.importers.report import Report
from apothecary.importers.sources import Torn
from apothecary.importers.table.cells import Cell, Row, Sheet, folded
from apothecary.importers.table.guess_interactions import interactions
from apothecary.importers.table.header import LOOKED_AT, Header, joined
from apothecary.importers.table.mapping import Mapping, unique, written
from apothecary.importers.table.values import Reader

_SAMPLES = 300
_ENOUGH = 0.8

# Where the mapping has to name what nobody can guess; whoever keeps the table puts its own address.
_OWN = "urn:example:formulary"
_ATC, _NDC, _RXNORM = (
    "http://www.whocc.no/atc",
    "http://hl7.org/fhir/sid/ndc",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
)
_SNOMED, _GTIN, _UNII = "http://snomed.info/sct", "https://www.gs1.org/gtin", "http://fdasis.nlm.nih.gov"
_PZN = "http://fhir.de/CodeSystem/ifa/pzn"

# What columns are called: English, German, French, Spanish, Italian, Dutch, Portuguese. The first that fits is taken.
_NAMES: Sequence[tuple[str, dict[str, Any]]] = (
    (r"\batc\b", {"element": "classification", "system": _ATC, "type": "ATC"}),
    (r"\bndc\b", {"element": "code", "system": _NDC}),
    (r"\brxcui\b|\brxnorm\b", {"element": "code", "system": _RXNORM}),
    (r"\bsnomed\b|\bsct(id)?\b|dm\+d|\bvpid\b|\bapid\b", {"element": "code", "system": _SNOMED}),
    (r"\bgtin\b|\bean\b|barcode|strichcode|code[- ]barres?", {"element": "pack code", "system": _GTIN}),
    (r"\bunii\b", {"element": "ingredient code", "system": _UNII}),
    (r"\bpzn\b", {"element": "pack code", "system": _PZN}),
    (r"strength unit|dose unit|einheit.*stärke|stärke.*einheit|unité.*dos|unidad.*dos", {"element": "strength unit"}),
    (r"strength|stärke|wirkstärke|dosierung|dosage|dosaggio|dosis|concentra|sterkte|dosagem|potenza|potency",
     {"element": "strength"}),
    (r"(pack|pkg|package).*(size|qty|quantity)|packungsgr|packungsinhalt|conditionnement|verpakkingsgrootte|confezione",
     {"element": "pack size"}),
    (r"^(pack|package)( description)?$|packung|emballage|envase|verpakking|embalagem", {"element": "pack description"}),
    (r"dos(e|age) ?form|^form$|darreichung|arzneiform|^forme\b|forme pharm|forma|farmaceutische vorm|toedieningsvorm",
     {"element": "form"}),
    (r"\broute\b|applikation|verabreichung|\bvoie\b|\bvía\b|\bvia\b|somministrazione|toedieningsweg",
     {"element": "route"}),
    (r"ingredient|generic|substance|active|wirkstoff|substanz|principe actif|principio activo|principio attivo|\bdci\b"
     r"|\binn\b|werkzame stof|substância|freiname", {"element": "ingredient"}),
    (r"manufacturer|supplier|labell?er|hersteller|lieferant|firma|fabricant|laborato|fournisseur|fabricante|produttore"
     r"|fabrikant|leverancier", {"element": "manufacturer"}),
    (r"price|cost|preis|\bprix\b|precio|prezzo|prijs|preço", {"element": "price"}),
    (r"status|state|estado|stato|statut", {"element": "status"}),
    (r"schedule|controlled|betäubungsmittel|\bbtm\b|stupéfiant", {"element": "schedule"}),
    (r"therapeutic|class|gruppe|classe|grupo|gruppo|category|kategorie", {"element": "classification"}),
    (r"indication|indikation|indicaci|indicazion|indicatie|indicaç", {"element": "indication"}),
    (r"brand|trade|synonym|handelsname|nom commercial|nombre comercial|nome commerciale|merknaam",
     {"element": "synonym"}),
    (r"\bname\b|bezeichnung|präparat|arzneimittel|drug|medic|product|produit|nombre|d[eé]nomin|\bnome\b|\bnom\b|naam"
     r"|artikel(?!.*(nr|num))|description|libell", {"element": "name"}),
    (r"\bid\b|code|\bno\b|number|nummer|\bnr\b|numéro|número|codice|item|sku",
     {"element": "code", "system": _OWN}),
)  # fmt: skip
_CURRENCIES = [
    (code, re.compile(pattern, re.I))
    for code, pattern in (
        ("EUR", r"€|\beur\b|euro"),
        ("GBP", r"£|\bgbp\b"),
        ("CHF", r"\bchf\b"),
        ("USD", r"\busd\b|us\$"),
    )
]
_COMPILED = [(re.compile(pattern), meant) for pattern, meant in _NAMES]


def proposed(file: str, sheet: Sheet) -> str:
    """The text of a mapping file for a table. Raises Torn for one without columns."""
    rows = list(islice(sheet.rows, LOOKED_AT + _SAMPLES))
    number = _header(rows)
    if number is None:
        raise Torn("has no row that could be the names of columns")
    lines = _lines(rows, number)
    header = Header(unique(joined([rows[place] for place in lines])), rows[number].line)
    samples = _columns(rows[number + 1 :], len(header.names))
    decimal = _decimal(samples)
    listed = interactions(header.names, samples, _system)
    columns, empty = listed or _of_drugs(header.names, samples, decimal)
    if not columns:
        raise Torn("has no column with a name and something in it")
    value: dict[str, Any] = {"catalogue": _OWN}
    if sheet.name:
        value["sheet"] = sheet.name
    value["header"] = header.line if len(lines) == 1 else [rows[place].line for place in lines]
    if decimal == "," and listed is None:
        value["decimal"] = ","
    if listed is None and (order := _order(samples)) is not None:
        value["dates"] = order
    value["columns"] = columns
    if empty:
        value["ignore"] = empty
    return (
        f"# What the columns of {Path(file).name} seem to be. Read it, and change what is wrong:\n"
        f"# {_OWN} stands where only you know the address of your table and of its own codes.\n" + written(value)
    )


def _of_drugs(
    names: Sequence[str], samples: Sequence[Sequence[Cell]], decimal: str
) -> tuple[dict[str, Any], list[str]]:
    """What the columns of a table of drugs seem to be, and those in which nothing stands."""
    columns: dict[str, Any] = {}
    taken: set[str] = set()
    for place, name in enumerate(names):
        if name and samples[place]:
            columns[name] = _meant(name, samples[place], taken, decimal)
            taken.add(columns[name]["element"])
    if columns:
        _named(columns)
    return columns, [name for place, name in enumerate(names) if name and not samples[place]]


def _system(name: str, samples: Sequence[Cell]) -> str | None:
    """The system that a column seems to have codes of; None for names."""
    looks = next((meant for test, meant in _LOOKS if _mostly(samples, test)), None)
    by_name = next((meant for pattern, meant in _COMPILED if pattern.search(folded(name))), {})
    found = (looks or by_name).get("system")
    if found is not None and found != _OWN:
        return str(found)
    # Codes of one's own: no blanks, and digits.
    return _OWN if _mostly(samples, re.compile(r"(?=\D*\d)\S+").fullmatch) else None


def _header(rows: Sequence[Row]) -> int | None:
    """The place of the row with the names: of those with most known names, or with most texts, the first."""
    best: tuple[int, int] = (0, 1)
    chosen = None
    for place, row in enumerate(rows[:LOOKED_AT]):
        texts = [folded(cell.text) for cell in row.cells if cell.text and cell.kind == "text"]
        known = sum(any(pattern.search(text) for pattern, _ in _COMPILED) for text in texts if len(text) < 60)
        distinct = len({text for text in texts if not text.replace(".", "").isdigit()})
        # A row of drugs has known words, too, but values beside them.
        score = (known, distinct) if known * 2 >= len([cell for cell in row.cells if cell.text]) else (0, distinct)
        if score > best:
            best, chosen = score, place
    return chosen if chosen is not None else next((place for place, row in enumerate(rows) if row.cells), None)


def _lines(rows: Sequence[Row], number: int) -> list[int]:
    """The row with the names, and the one above where that names several columns at once."""
    above = rows[number - 1] if number else None
    if above is None or sum(bool(cell.text) for cell in above.cells) < 2:
        return [number]
    names = [folded(cell.text) for cell in rows[number].cells]
    return [number - 1, number] if len(set(names)) < len(names) or "" in names else [number]


def _columns(rows: Sequence[Row], width: int) -> list[list[Cell]]:
    found: list[list[Cell]] = [[] for _ in range(width)]
    for row in rows:
        filled = [cell for cell in row.cells if cell.text]
        if len(filled) > 1:  # Headings and blank rows say nothing of columns.
            for place, cell in enumerate(row.cells[:width]):
                if cell.text:
                    found[place].append(cell)
    return found


def _mostly(samples: Sequence[Cell], test: Callable[[str], object]) -> bool:
    return bool(samples) and sum(bool(test(cell.text)) for cell in samples) >= _ENOUGH * len(samples)


_LOOKS: Sequence[tuple[Callable[[str], object], dict[str, Any]]] = (
    (re.compile(r"\d{4,5}-\d{3,4}-\d{1,2}", re.ASCII).fullmatch, {"element": "pack code", "system": _NDC}),
    (re.compile(r"\d{4,5}-\d{3,4}", re.ASCII).fullmatch, {"element": "code", "system": _NDC}),
    (
        re.compile(r"[A-DGHJLMNPRSV]\d{2}[A-Z]{2}\d{2}", re.ASCII).fullmatch,
        {"element": "classification", "system": _ATC, "type": "ATC"},
    ),
    (lambda text: _is_gtin(text), {"element": "pack code", "system": _GTIN}),
    (
        lambda text: text.isascii() and text.isdigit() and 8 <= len(text) <= 18 and check_digits.verhoeff(text),
        {"element": "code", "system": _SNOMED},
    ),
)
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}(?!\d)|\d+,\d{4,}")
_DECIMAL_POINT = re.compile(r"\d\.\d")
_DAY_FIRST = re.compile(r"(1[3-9]|2\d|3[01])[./\-]\d{1,2}[./\-]\d{4}", re.ASCII)
_MONTH_FIRST = re.compile(r"\d{1,2}[./\-](1[3-9]|2\d|3[01])[./\-]\d{4}", re.ASCII)


def _meant(name: str, samples: Sequence[Cell], taken: set[str], decimal: str) -> dict[str, Any]:
    """What a column seems to be; what nobody knows is kept as a characteristic with its name."""
    looks = next((meant for test, meant in _LOOKS if _mostly(samples, test)), None)
    by_name = next((meant for pattern, meant in _COMPILED if pattern.search(folded(name))), None)
    meant = dict(looks or by_name or {})
    mapping = Mapping(columns={name: "name"}, decimal=decimal)  # type: ignore[arg-type]  # a point or a comma
    reader = Reader(mapping, Report(lambda _: None))
    element = meant.get("element")
    numbers = _mostly(samples, lambda text: reader.plain_number(text) is not None)
    if element == "price":
        currency = next((code for code, pattern in _CURRENCIES if pattern.search(name)), None)
        meant = {"element": "price", "currency": currency} if numbers and currency else {}
    elif element == "pack size" and not numbers:
        meant = {"element": "pack description"}
    elif element == "status" and not _mostly(samples, ("active", "inactive").__contains__):
        meant = {}
    elif element == "strength" and numbers:
        meant = {"element": "strength value"}
    elif element is None and _mostly(samples, re.compile(r"[\d.,]+\s*(mg|g|µg|mcg|ml|%|iu|ie|ui)\b.*", re.I).fullmatch):
        meant = {"element": "strength"}
    elif element in ("code", "pack code", "identifier", "ingredient code") and _mostly(
        samples, lambda text: " " in text
    ):
        meant = {}
    single = ("name", "form", "manufacturer", "status", "strength", "ingredient", "strength value", "strength unit")
    if not meant or (meant["element"] in single and meant["element"] in taken):
        return {"element": "characteristic", "type": name}
    if meant["element"] == "classification" and "type" not in meant:
        meant["type"] = name
    if meant["element"] == "schedule":
        meant["authority"] = name
    return meant


def _named(columns: dict[str, Any]) -> None:
    """A drug needs a name, a code or an identifier; a name of another kind is one, where there is no other."""
    elements = {one["element"] for one in columns.values()}
    if "name" in elements:
        return
    wanted = ("synonym",) if elements & {"code", "identifier"} else ("synonym", "ingredient", "characteristic")
    for element in wanted:
        for name, one in columns.items():
            if one["element"] == element:
                columns[name] = {"element": "name"}
                return
    if not elements & {"code", "identifier"}:
        columns[next(iter(columns))] = {"element": "name"}


def _decimal(samples: Sequence[Sequence[Cell]]) -> str:
    texts = [cell.text for column in samples for cell in column if cell.kind == "text" and len(cell.text) < 40]
    commas = sum(bool(_DECIMAL_COMMA.match(text)) for text in texts)
    return "," if commas > sum(bool(_DECIMAL_POINT.match(text)) for text in texts) else "."


def _order(samples: Sequence[Sequence[Cell]]) -> str | None:
    texts = [cell.text for column in samples for cell in column if cell.kind == "text"]
    days, months = (sum(bool(one.fullmatch(text)) for text in texts) for one in (_DAY_FIRST, _MONTH_FIRST))
    return None if not (days or months) else "day-first" if days >= months else "month-first"


def _is_gtin(text: str) -> bool:
    if len(text) not in (13, 14) or not (text.isascii() and text.isdigit()):
        return False
    return sum(int(one) * (3 if place % 2 else 1) for place, one in enumerate(reversed(text))) % 10 == 0
