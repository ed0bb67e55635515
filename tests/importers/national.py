"""A directory of NDCs that nobody published, as large as a nation's, with the distributions of the real one of 2019.

Of its 128,241 products 58 % have codes of 5-3 digits, 30 % of 5-4, 12 % of 4-4; the codes of 1 % come again; 25 % are
flagged E; 2 % are kits without a substance, 74 % have one, the longest list has 187; 43 % have classes, 4 % a schedule;
0.1 % have letters beyond ASCII; 0.2 % have no package, the others 1.9 on average: 76 % of one level, 23 % of two.
Each name begins with `Generated`, in one form or another: no drug has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.importers.ndc_files import PACKAGE, PRODUCT, Row, table

_FORMS = (
    "TABLET",
    "TABLET, FILM COATED",
    "CAPSULE",
    "LIQUID",
    "CREAM",
    "INJECTION, SOLUTION",
    "SOLUTION/ DROPS",
    "PELLET",
)
_ROUTES = ("ORAL", "TOPICAL", "INTRAVENOUS", "INTRAMUSCULAR; INTRAVENOUS", "RESPIRATORY (INHALATION)", "")
_TYPES = ("HUMAN OTC DRUG", "HUMAN PRESCRIPTION DRUG", "NON-STANDARDIZED ALLERGENIC", "PLASMA DERIVATIVE", "VACCINE")
_CATEGORIES = (
    ("ANDA", "ANDA0{}"), ("OTC MONOGRAPH NOT FINAL", "part3{}E"), ("OTC MONOGRAPH FINAL", "part3{}"),
    ("UNAPPROVED HOMEOPATHIC", ""), ("NDA", "NDA0{}"), ("BLA", "BLA1{}"), ("NDA AUTHORIZED GENERIC", "NDA0{}"),
)  # fmt: skip
_UNITS = (
    "mg/1", "[hp_X]/mL", "g/100g", "mg/mL", "[hp_C]/1", "ug/.5mL", "mg/5mL", "[PNU]/mL", "[iU]/mL", "[USP'U]/g",
    "mg/24h", "g/1001", "{kp_C}/mL",
)  # fmt: skip
_CONTAINERS = ("BOTTLE", "BOTTLE, PLASTIC", "BLISTER PACK", "TUBE", "VIAL", "CARTON", "POUCH")
_SEGMENTS = ((5, 3), (5, 4), (4, 4))


def write(folder: Path, products: int, seed: int = 2019) -> Path:
    """product.txt and package.txt of so many products, the same for the same seed, in a folder."""
    chance = Random(seed)
    substances = [f"GENERATED SUBSTANCE {number}" for number in range(max(products // 10, 200))]
    labelers = [f"Generated Labeler {number}, Inc." for number in range(max(products // 14, 2))]
    rows: list[Row] = []
    packages: list[Row] = []
    for number in range(products):
        again = rows and chance.random() < 0.01
        code = rows[-1]["PRODUCTNDC"] if again else _code(chance, number)
        row = _product(chance, code, number, substances, labelers)
        rows.append(row)
        if number % 500 != 499:
            packages += _packages(chance, row)
    for name, columns, those in (("product.txt", PRODUCT, rows), ("package.txt", PACKAGE, packages)):
        (folder / name).write_text(table(columns, those), "cp1252", newline="")
    return folder


def _code(chance: Random, number: int) -> str:
    """Unlike any other: the labeler counts up, the product follows."""
    first, second = chance.choices(_SEGMENTS, (58, 30, 12))[0]
    labeler, product = divmod(number, 900)
    return f"{labeler + 1 + 40 * (first == 5):0{first}}-{product + 10:0{second}}"


def _product(chance: Random, code: str, number: int, substances: Sequence[str], labelers: Sequence[str]) -> Row:
    kit = chance.random() < 0.021
    category, application = chance.choices(_CATEGORIES, (45, 24, 22, 14, 9, 7, 2))[0]
    letter = "™ für é" if number % 1000 == 7 else ""
    row = {
        "PRODUCTID": f"{code}_{chance.getrandbits(128):032x}", "PRODUCTNDC": code,
        "PRODUCTTYPENAME": chance.choices(_TYPES, (67, 58, 3, 1, 1))[0],
        "PROPRIETARYNAME": f"Generated Brand {number}{letter}" + (" Extra" * 60 if number % 5000 == 9 else ""),
        "PROPRIETARYNAMESUFFIX": chance.choices(("", "XR", "III"), (86, 10, 4))[0],
        "NONPROPRIETARYNAME": f"generated drug {number % 3000}",
        "DOSAGEFORMNAME": "KIT" if kit else chance.choice(_FORMS), "ROUTENAME": "" if kit else chance.choice(_ROUTES),
        "STARTMARKETINGDATE": f"{chance.randint(1950, 2018)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}",
        "ENDMARKETINGDATE": chance.choices(("", "20301231"), (97, 3))[0], "MARKETINGCATEGORYNAME": category,
        "APPLICATIONNUMBER": application.format(f"{chance.randint(0, 900):05}"), "LABELERNAME": chance.choice(labelers),
        "PHARM_CLASSES": _classes(chance), "DEASCHEDULE": chance.choices(("", "CII", "CIV"), (96, 2, 2))[0],
        "NDC_EXCLUDE_FLAG": chance.choices("NE", (75, 25))[0], "LISTING_RECORD_CERTIFIED_THROUGH": "20191231",
    }  # fmt: skip
    if not kit:
        many = 187 if number % 4000 == 3 else chance.choices((1, 2, 3, 12, 40), (74, 12, 8, 5, 1))[0]
        chosen = chance.sample(substances, many)
        row["SUBSTANCENAME"] = "; ".join(chosen)
        row["ACTIVE_NUMERATOR_STRENGTH"] = "; ".join(_amount(chance) for _ in chosen)
        row["ACTIVE_INGRED_UNIT"] = "; ".join(chance.choice(_UNITS) for _ in chosen)
    return row


def _classes(chance: Random) -> str:
    names = [f"Generated, Class {chance.randint(1, 400)} [{kind}]" for kind in ("EPC", "MoA", "CS")]
    return ",".join(chance.sample(names, chance.choices((0, 1, 3), (57, 20, 23))[0]))


def _amount(chance: Random) -> str:
    return chance.choice((f"{chance.randint(1, 900)}", f".{chance.randint(1, 999):03}", f"{chance.randint(1, 90)}.50"))


def _packages(chance: Random, row: Row) -> list[Row]:
    """Those of a product; every twelve thousandth code comes again."""
    code = row["PRODUCTNDC"]
    width = 12 - len(code) - 1
    found = []
    for number in range(chance.choices((1, 2, 3, 9), (55, 27, 14, 4))[0]):
        own = f"{code}-{number + 1:0{width}}"
        kit = row["DOSAGEFORMNAME"] == "KIT"
        found.append(
            {
                "PRODUCTID": row["PRODUCTID"], "PRODUCTNDC": code, "NDCPACKAGECODE": own,
                "PACKAGEDESCRIPTION": _kit(chance, own) if kit else _description(chance, own, row["DOSAGEFORMNAME"]),
                "STARTMARKETINGDATE": row["STARTMARKETINGDATE"], "ENDMARKETINGDATE": row["ENDMARKETINGDATE"],
                "NDC_EXCLUDE_FLAG": "N", "SAMPLE_PACKAGE": "Y" if chance.random() < 0.002 else "N",
            }
        )  # fmt: skip
    return found


def _description(chance: Random, code: str, form: str) -> str:
    levels = chance.choices((1, 2, 3, 5), (755, 231, 12, 2))[0]
    boxes = [chance.choice(_CONTAINERS) for _ in range(levels)]
    content = chance.choice(("mL", "g", form))
    said = f"{_amount(chance)} {content} in 1 {boxes[-1]}"
    for outer, inner in zip(reversed(boxes[:-1]), reversed(boxes[1:]), strict=True):
        said = f"{chance.randint(1, 30)} {inner} in 1 {outer}  > {said}"
    first, separator, rest = said.partition("  > ")
    return f"{first} ({code}) {separator}{rest}"


def _kit(chance: Random, code: str) -> str:
    parts = [f"{_amount(chance)} mL in 1 VIAL (0099-{number:04}-01) " for number in range(chance.randint(1, 12))]
    return " *  ".join([f"1 KIT in 1 CARTON ({code}) ", *parts])
