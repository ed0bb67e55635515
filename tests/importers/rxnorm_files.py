"""RxNorm's files as NLM lays them out, written from what a test says of concepts.

https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html, sections 12.4, 12.5 and 12.7. NLM's files need a
licence, so none lie here. The codes of the real drugs below are those that this repository has verified
(`tests/content/verified_codes.json`); every other concept has an identifier from 99000000 on, which NLM has not
given out, and says in its name that it was made up.
"""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterable
from pathlib import Path

# Identifiers of concepts that are not NLM's.
MADE_UP = 99_000_000


class Rrf:
    """The rows of a release, in NLM's columns."""

    def __init__(self) -> None:
        self.conso: list[str] = []
        self.rel: list[str] = []
        self.sat: list[str] = []
        self.sab = [
            "C9|C8|RXNORM_26AB_261102F|RXNORM|RxNorm Vocabulary|RXNORM|26AB_261102F|||2026AB||a;b|a;b|0|||FULL|"
            "IN,SCD|NDC|ENG|UTF-8|Y|Y|RxNorm|citation|"
        ]

    def concept(
        self,
        cui: int,
        tty: str,
        name: str,
        *,
        sab: str = "RXNORM",
        code: str | None = None,
        suppress: str = "N",
        cvf: str = "",
    ) -> int:
        """RXCUI|LAT|TS|LUI|STT|SUI|ISPREF|RXAUI|SAUI|SCUI|SDUI|SAB|TTY|CODE|STR|SRL|SUPPRESS|CVF|"""
        atom = f"{5_000_000 + len(self.conso)}"
        self.conso.append(f"{cui}|ENG||||||{atom}|{atom}|{cui}||{sab}|{tty}|{code or cui}|{name}||{suppress}|{cvf}|")
        return cui

    def relate(self, cui: int, rela: str, other: int, *, sab: str = "RXNORM", suppress: str = "") -> None:
        """RXCUI1|RXAUI1|STYPE1|REL|RXCUI2|RXAUI2|STYPE2|RELA|RUI|SRUI|SAB|SL|RG|DIR|SUPPRESS|CVF|: RXCUI2 is what RELA
        is said of, RXCUI1 what it leads to. NLM writes each relation a second time, turned round.
        """
        number = len(self.rel)
        self.rel.append(f"{other}||CUI|RO|{cui}||CUI|{rela}|{number}||{sab}||||{suppress}|4096|")
        self.rel.append(f"{cui}||CUI|RO|{other}||CUI|{INVERSE[rela]}|{number + 1}||{sab}||||{suppress}|4096|")

    def attribute(self, cui: int, atn: str, value: str, *, sab: str = "RXNORM", suppress: str = "N") -> None:
        """RXCUI|LUI|SUI|RXAUI|STYPE|CODE|ATUI|SATUI|ATN|SAB|ATV|SUPPRESS|CVF|"""
        self.sat.append(f"{cui}|||{7_000_000 + len(self.sat)}|AUI|{cui}|||{atn}|{sab}|{value}|{suppress}|4096|")

    def component(
        self, cui: int, name: str, substance: int, amount: str, unit: str, of: str = "1", of_unit: str = "1"
    ) -> int:
        """A component (SCDC): a substance in a strength."""
        self.concept(cui, "SCDC", name)
        self.relate(cui, "has_ingredient", substance)
        for part, value in (("NUM_VALUE", amount), ("NUM_UNIT", unit), ("DENOM_VALUE", of), ("DENOM_UNIT", of_unit)):
            self.attribute(cui, f"RXN_BOSS_STRENGTH_{part}", value)
        return cui

    @property
    def files(self) -> dict[str, list[str]]:
        """The rows of each file."""
        return {"RXNCONSO": self.conso, "RXNREL": self.rel, "RXNSAT": self.sat, "RXNSAB": self.sab}

    def write(self, folder: Path) -> Path:
        """The files in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.files.items():
            (folder / f"{name}.RRF").write_bytes(_text(rows))
        return folder

    def pack(self, path: Path, *folders: str) -> Path:
        """The files in folders of a zip file, as NLM packs them: `rrf`, `prescribe/rrf`."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("Readme_Full_11022026.txt", "RxNorm")
            for folder in folders:
                for name, rows in self.files.items():
                    archive.writestr(f"{folder}/{name}.RRF", _text(rows))
        return path


INVERSE = {
    "consists_of": "constitutes",
    "has_ingredient": "ingredient_of",
    "has_ingredients": "ingredients_of",
    "has_precise_ingredient": "precise_ingredient_of",
    "has_dose_form": "dose_form_of",
    "has_doseformgroup": "doseformgroup_of",
    "isa": "inverse_isa",
    "tradename_of": "has_tradename",
    "form_of": "has_form",
    "has_part": "part_of",
    "contains": "contained_in",
    "quantified_form_of": "has_quantified_form",
}


def _text(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


# The strengths of clonazepam tablets: the clinical drug, and the branded one.
CLONAZEPAM = {"0.5": (197527, 206157), "1": (197528, 206159), "2": (197529, 206160)}
INGREDIENT, ORAL_TABLET = 2598, 317541
BRAND, FORM_GROUP, DRUG_FORM, DRUG_GROUP = MADE_UP + 1, MADE_UP + 2, MADE_UP + 3, MADE_UP + 4
SALT, SEVERAL, QUANTIFIED, LIQUID, COMBINED = MADE_UP + 5, MADE_UP + 6, MADE_UP + 7, MADE_UP + 8, MADE_UP + 9
GENERIC_PACK, BRANDED_PACK, OLD = MADE_UP + 10, MADE_UP + 11, MADE_UP + 12
RISPERIDONE, HALOPERIDOL, PHENYTOIN = 35636, 5093, 8183
# NDCs of labelers that FDA has not given out.
NDC = {197527: ("99990000101", "99990000102"), 206157: ("99991000201",)}


def real() -> Rrf:
    """A dozen concepts of NLM's, clonazepam among them, and made up ones that hold them together."""
    rrf = Rrf()
    rrf.concept(INGREDIENT, "IN", "clonazepam", cvf="4096")
    rrf.concept(INGREDIENT, "SU", "CLONAZEPAM", sab="MTHSPL", code="5PE9FDE8GB")
    rrf.concept(INGREDIENT, "IN", "clonazepam", sab="ATC", code="N03AE01")
    rrf.concept(INGREDIENT, "IN", "Clonazepam", sab="GS", code="77")
    for cui, name in ((RISPERIDONE, "risperidone"), (HALOPERIDOL, "haloperidol"), (PHENYTOIN, "phenytoin")):
        rrf.concept(cui, "IN", name)
    rrf.concept(ORAL_TABLET, "DF", "Oral Tablet")
    rrf.concept(FORM_GROUP, "DFG", "made-up Pill group")
    rrf.relate(ORAL_TABLET, "isa", FORM_GROUP)
    rrf.concept(BRAND, "BN", "Klonopin (made-up identifier)")
    rrf.relate(BRAND, "tradename_of", INGREDIENT)
    rrf.concept(DRUG_FORM, "SCDF", "clonazepam Oral Tablet (made-up identifier)")
    rrf.concept(DRUG_GROUP, "SCDG", "clonazepam Pill (made-up identifier)")
    for one in (DRUG_FORM, DRUG_GROUP):
        rrf.relate(one, "has_ingredient", INGREDIENT)
    for place, (strength, (drug, branded)) in enumerate(CLONAZEPAM.items()):
        part = rrf.component(
            MADE_UP + 20 + place, f"clonazepam {strength} MG (made-up identifier)", INGREDIENT, strength, "MG"
        )
        rrf.concept(drug, "SCD", f"clonazepam {strength} MG Oral Tablet", cvf="4096")
        rrf.concept(drug, "PSN", f"clonazePAM {strength} MG Oral Tablet")
        rrf.concept(drug, "SY", f"clonazepam {strength} MG tablet (made up)")
        rrf.concept(branded, "SBD", f"clonazepam {strength} MG Oral Tablet [Klonopin]", cvf="4096")
        rrf.relate(drug, "consists_of", part)
        for one in (drug, branded):
            rrf.relate(one, "has_dose_form", ORAL_TABLET)
        rrf.relate(drug, "isa", DRUG_FORM)
        rrf.relate(drug, "isa", DRUG_GROUP)
        rrf.relate(branded, "tradename_of", drug)
        rrf.relate(branded, "has_ingredient", BRAND)
        rrf.attribute(drug, "RXN_AVAILABLE_STRENGTH", f"{strength} MG")
        for code in (*NDC.get(drug, ()), *NDC.get(branded, ())):
            rrf.attribute(drug if code in NDC.get(drug, ()) else branded, "NDC", code)
    _further(rrf)
    return rrf


def _further(rrf: Rrf) -> None:
    """What clonazepam has not: a salt, two ingredients, a volume, packs, and what is suppressed."""
    rrf.concept(SALT, "PIN", "risperidone mesylate (made up)")
    rrf.relate(SALT, "form_of", RISPERIDONE)
    rrf.concept(MADE_UP + 30, "SCDC", "risperidone mesylate 25 MG/ML (made up)")
    rrf.relate(MADE_UP + 30, "has_precise_ingredient", SALT)
    rrf.relate(MADE_UP + 30, "has_ingredient", RISPERIDONE)
    rrf.attribute(MADE_UP + 30, "RXN_STRENGTH", "25 MG/ML")
    rrf.concept(LIQUID, "SCD", "risperidone 25 MG/ML Injection (made up)")
    rrf.relate(LIQUID, "consists_of", MADE_UP + 30)
    rrf.concept(QUANTIFIED, "SCD", "2 ML risperidone 25 MG/ML Injection (made up)")
    rrf.relate(QUANTIFIED, "consists_of", MADE_UP + 30)
    rrf.relate(QUANTIFIED, "quantified_form_of", LIQUID)
    rrf.attribute(QUANTIFIED, "RXN_QUANTITY", "2 ML")
    rrf.concept(SEVERAL, "MIN", "haloperidol / phenytoin")
    for one in (HALOPERIDOL, PHENYTOIN):
        rrf.relate(SEVERAL, "has_part", one)
    rrf.concept(COMBINED, "SCD", "haloperidol 5 MG / phenytoin 100 UNT/ML Oral Solution (made up)")
    rrf.relate(COMBINED, "has_ingredients", SEVERAL)
    rrf.relate(
        COMBINED,
        "consists_of",
        rrf.component(MADE_UP + 31, "haloperidol 5 MG (made up)", HALOPERIDOL, "5", "MG", "5", "ML"),
    )
    # As NLM writes strengths since 2021: at the drug, with the component before each.
    rrf.concept(MADE_UP + 32, "SCDC", "phenytoin 100 UNT/ML (made up)")
    rrf.relate(MADE_UP + 32, "has_ingredient", PHENYTOIN)
    rrf.relate(COMBINED, "consists_of", MADE_UP + 32)
    for name, value in (("NUM_VALUE", "100"), ("NUM_UNIT", "UNT"), ("DENOM_VALUE", "1"), ("DENOM_UNIT", "ML")):
        rrf.attribute(COMBINED, f"RXN_BOSS_STRENGTH_{name}", f"{{{MADE_UP + 32}}} {value}")
    rrf.concept(
        GENERIC_PACK, "GPCK", "{7 (clonazepam 0.5 MG Oral Tablet) / 7 (clonazepam 1 MG Oral Tablet) } Pack (made up)"
    )
    rrf.concept(BRANDED_PACK, "BPCK", "{7 (clonazepam 0.5 MG Oral Tablet [Klonopin]) } Pack [Klonopin] (made up)")
    rrf.relate(GENERIC_PACK, "contains", 197527)
    rrf.relate(GENERIC_PACK, "contains", 197528)
    rrf.relate(BRANDED_PACK, "contains", 206157)
    rrf.relate(BRANDED_PACK, "tradename_of", GENERIC_PACK)
    rrf.concept(OLD, "SCD", "phenytoin 1 MG Oral Tablet (made up)", suppress="O")


def many(concepts: int, seed: int) -> Rrf:
    """A release of about so many concepts, all made up: ingredients in several strengths, forms and brands, each with
    further names, relations in both directions, and NDCs.
    """
    chance, rrf, next_one = random.Random(seed), Rrf(), iter(range(MADE_UP, MADE_UP + 10 * concepts))
    forms = [rrf.concept(next(next_one), "DF", f"Form {number}") for number in range(40)]
    ndc = 90_000_000_000
    while len(rrf.conso) < concepts:
        substance = rrf.concept(next(next_one), "IN", f"substance{len(rrf.conso)}", cvf="4096")
        rrf.concept(substance, "SU", f"SUBSTANCE{substance}", sab="MTHSPL", code=f"{substance:010d}"[:10])
        brand = rrf.concept(next(next_one), "BN", f"Brand{substance}")
        rrf.relate(brand, "tradename_of", substance)
        for _ in range(chance.randint(1, 4)):
            amount = str(chance.choice((0.5, 1, 2.5, 5, 10, 25, 100)))
            part = rrf.component(next(next_one), f"substance{substance} {amount} MG", substance, amount, "MG")
            for form in chance.sample(forms, chance.randint(1, 2)):
                name = f"substance{substance} {amount} MG Form {form - MADE_UP}"
                drug = rrf.concept(next(next_one), "SCD", name, suppress=chance.choice("NNNNO"))
                rrf.concept(drug, "PSN", f"{name} (preferred)")
                branded = rrf.concept(next(next_one), "SBD", f"{name} [Brand{substance}]")
                rrf.relate(drug, "consists_of", part)
                rrf.relate(branded, "tradename_of", drug)
                rrf.relate(branded, "has_ingredient", brand)
                for one in (drug, branded):
                    rrf.relate(one, "has_dose_form", form)
                    for _ in range(chance.randint(0, 6)):
                        rrf.attribute(one, "NDC", str(ndc))
                        ndc += chance.randint(1, 900)
    return rrf
