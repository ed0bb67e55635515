"""The codes of dm+d as FHIR has them: concepts, what the lookups say, quantities, characteristics.

Concepts are of https://dmd.nhs.uk, as HL7 UK registers it (https://simplifier.net/guide/UKNamingSystems), and of SNOMED
CT, whose identifiers they are; a lookup without SNOMED CT identifiers is a system beneath the former, named as its
table, as the NHS terminology server has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.importers.amounts import number
from apothecary.importers.dmd.files import Held, Tally
from apothecary.importers.report import Place, Report
from apothecary.importers.units import quantity

DMD = "https://dmd.nhs.uk"
SNOMED = "http://snomed.info/sct"

# dm+d's names of units -> UCUM, where both mean the same; the names are those of the lookup UNIT_OF_MEASURE. What is
# not here (tablet, unit, dose, percentages) keeps its SNOMED CT code, as the guide of HL7 UK asks.
UNITS = {
    "cm": "cm", "m": "m", "mm": "mm", "square cm": "cm2", "kg": "kg", "gram": "g", "mg": "mg", "microgram": "ug",
    "nanogram": "ng", "litre": "L", "ml": "mL", "microlitre": "uL", "nanolitre": "nL", "mmol": "mmol",
    "micromol": "umol", "iu": "[iU]", "hour": "h", "GBq": "GBq", "MBq": "MBq", "kBq": "kBq", "g/l": "g/L",
    "g/ml": "g/mL", "mg/g": "mg/g", "mg/kg": "mg/kg", "mg/l": "mg/L", "mg/ml": "mg/mL", "microgram/g": "ug/g",
    "microgram/ml": "ug/mL", "iu/g": "[iU]/g", "iu/mg": "[iU]/mg", "iu/ml": "[iU]/mL", "ml/l": "mL/L",
    "nanogram/ml": "ng/mL", "mmol/ml": "mmol/mL", "micromol/ml": "umol/mL", "mmol/litre": "mmol/L", "mol/l": "mol/L",
    "microgram/hour": "ug/h",
}  # fmt: skip


@dataclass(slots=True)
class Terms:
    """What is at hand while resources are made."""

    held: Held
    report: Report
    tally: Tally

    def concept(self, code: str, text: str) -> JSON:
        """A product, pack or the like as a CodeableConcept."""
        coding = [{"system": SNOMED, "code": code}, {"system": DMD, "code": code}]
        if not text:
            return {"coding": coding}
        coding[1]["display"] = text
        return {"coding": coding, "text": text}

    def substance(self, code: str, place: Place) -> JSON:
        """A substance, as a CodeableConcept."""
        name = self.held.about("ING", code).get("NM")
        if name is None:
            self.missing("the substance", code, "ING", place)
            return {"coding": [{"system": SNOMED, "code": code}]}
        return {"coding": [{"system": SNOMED, "code": code}], "text": name}

    def snomed(self, table: str, code: str, place: Place) -> JSON:
        """A form, a route or a unit: what a lookup with SNOMED CT identifiers says of it."""
        return self._looked_up(table, code, place, SNOMED)

    def coded(self, table: str, code: str, place: Place) -> JSON:
        """What any other lookup says."""
        return self._looked_up(table, code, place, f"{DMD}/{table}")

    def _looked_up(self, table: str, code: str, place: Place, system: str) -> JSON:
        said = self.held.lookups.get(table, {}).get(code, "")
        if not said:
            reason = f"{table} is not among the lookups" if not self.held.lookups.get(table) else ""
            if reason:
                self.tally.add("approximated", f"{reason}: its codes stand without a text", place)
            else:
                self.report.approximated(place, f"{code} is not in the lookup {table}: the code stands without a text")
            return {"coding": [{"system": system, "code": code}]}
        # What a SNOMED CT concept is called in that terminology is not for dm+d to say: it is the text.
        coding = {"system": system, "code": code} | ({} if system == SNOMED else {"display": said})
        return {"coding": [coding], "text": said}

    def quantity(self, value: str, unit: str, place: Place) -> JSON | None:
        """An amount; None, and told, where the text writes no number."""
        amount = number(value)
        if amount is None:
            self.report.skipped(place, f"{value!r} is not a number")
            return None
        if not unit:
            return {"value": amount}
        said = self.held.lookups.get("UNIT_OF_MEASURE", {}).get(unit, "")
        if said in UNITS:
            return quantity(amount, said, UNITS[said])
        if not said:
            self.snomed("UNIT_OF_MEASURE", unit, place)
        return quantity(amount, said, None) | {"system": SNOMED, "code": unit}

    def pence(self, value: str, place: Place) -> JSON | None:
        """A price, which the files give in pence, in pounds."""
        amount = number(value)
        if amount is None or not value.replace(".", "").isdigit():
            self.report.skipped(place, f"{value!r} is not a price in pence")
            return None
        return {"value": FhirDecimal(f"{Decimal(amount).scaleb(-2):f}"), "currency": "GBP"}

    def date(self, value: str, place: Place) -> str | None:
        """A date of FHIR; None, and told, for what is none."""
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            self.report.skipped(place, f"{value!r} is not a date such as 2019-04-01")
            return None

    def missing(self, what: str, code: str, concept: str, place: Place) -> None:
        """Tell that something is referred to that the files do not have."""
        if self.held.concepts[concept]:
            self.report.approximated(place, f"{what} {code} is not in the files: only its code stands here")
        else:
            self.tally.add("approximated", f"there is no file with {what}: only codes stand here", place)


def identifiers(code: str, previous: str | None, until: str | None) -> list[JSON]:
    """The code of a concept, and the one that it had before."""
    found: list[JSON] = [{"system": DMD, "value": code}]
    if previous:
        found.append({"use": "old", "system": DMD, "value": previous} | ({"period": {"end": until}} if until else {}))
    return found


Kinds = Iterable[tuple[str, str, str]]
"""Fields that become characteristics: the field, what it says, and `flag`, `text`, `date` or the table of its codes."""

VMP_SAYS: Kinds = (
    ("BASISCD", "basis of the name", "BASIS_OF_NAME"),
    ("NMDT", "name valid from", "date"),
    ("NMPREV", "previous name", "text"),
    ("BASIS_PREVCD", "basis of the previous name", "BASIS_OF_NAME"),
    ("NMCHANGECD", "reason of the change of the name", "NAMECHANGE_REASON"),
    ("COMBPRODCD", "combination product", "COMBINATION_PROD_IND"),
    ("SUG_F", "sugar free", "flag"),
    ("GLU_F", "gluten free", "flag"),
    ("PRES_F", "preservative free", "flag"),
    ("CFC_F", "CFC free", "flag"),
    ("NON_AVAILCD", "availability of actual products", "VIRTUAL_PRODUCT_NON_AVAIL"),
    ("NON_AVAILDT", "availability of actual products since", "date"),
    ("DF_INDCD", "dose form indicator", "DF_INDICATOR"),
)
CONTROL_SAYS: Kinds = (
    ("CATDT", "controlled drug category since", "date"),
    ("CAT_PREVCD", "previous controlled drug category", "CONTROL_DRUG_CATEGORY"),
)
AMP_SAYS: Kinds = (
    ("NMDT", "name valid from", "date"),
    ("NM_PREV", "previous name", "text"),
    ("LIC_AUTH_PREVCD", "previous licensing authority", "LICENSING_AUTHORITY"),
    ("LIC_AUTHCHANGECD", "reason of the change of licensing authority", "LICENSING_AUTHORITY_CHANGE_REASON"),
    ("LIC_AUTHCHANGEDT", "licensing authority since", "date"),
    ("COMBPRODCD", "combination product", "COMBINATION_PROD_IND"),
    ("FLAVOURCD", "flavour", "FLAVOUR"),
    ("EMA", "additional monitoring (EMA)", "flag"),
    ("PARALLEL_IMPORT", "parallel import", "flag"),
)
INFORMATION_SAYS: Kinds = (
    ("SZ_WEIGHT", "size or weight", "text"),
    ("COLOURCD", "colour", "COLOUR"),
    ("PROD_ORDER_NO", "product order number", "text"),
)
PACK_SAYS: Kinds = (
    ("ABBREVNM", "abbreviated name", "text"),
    ("COMBPACKCD", "combination pack", "COMBINATION_PACK_IND"),
)
APPLIANCE_SAYS: Kinds = (
    ("REIMB_STATCD", "reimbursement status", "REIMBURSEMENT_STATUS"),
    ("REIMB_STATDT", "reimbursement status since", "date"),
    ("REIMB_STATPREVCD", "previous reimbursement status", "REIMBURSEMENT_STATUS"),
    ("PACK_ORDER_NO", "pack order number", "text"),
)
PRESCRIBING_SAYS: Kinds = (
    ("SCHED_1", "schedule 1 (not prescribable on the NHS)", "flag"),
    ("SCHED_2", "schedule 2 (selected list scheme)", "flag"),
    ("ACBS", "advisory committee on borderline substances", "flag"),
    ("PADM", "personally administered", "flag"),
    ("FP10_MDA", "FP10 MDA prescription", "flag"),
    ("HOSP", "hospital", "flag"),
    ("NURSE_F", "nurse formulary", "flag"),
    ("ENURSE_F", "nurse extended formulary", "flag"),
    ("DENT_F", "dental formulary", "flag"),
)
REIMBURSEMENT_SAYS: Kinds = (
    ("PX_CHRGS", "prescription charges", "text"),
    ("DISP_FEES", "dispensing fees", "text"),
    ("BB", "broken bulk", "flag"),
    ("LTD_STAB", "limited stability", "flag"),
    ("CAL_PACK", "calendar pack", "flag"),
    ("SPEC_CONTCD", "special container", "SPEC_CONT"),
    ("DND", "discount not deducted", "DND"),
    ("FP34D", "FP34D prescription item", "flag"),
)


def characteristics(
    terms: Terms, fields: Mapping[str, str], kinds: Kinds, place: Place, *, of_pack: bool = False
) -> list[JSON]:
    """Fields as characteristics of a drug, or of a pack, which says some of them in other types."""
    found: list[JSON] = []
    for name, label, kind in kinds:
        value = fields.get(name)
        if value is None:
            continue
        at = place._replace(column=name)
        one: JSON = {"type": {"text": label}}
        if kind == "flag" and value in ("1", "0001"):
            one |= {"valueBoolean": True} if of_pack else {"valueString": "yes"}
        elif kind in ("flag", "text"):
            one |= {"valueCodeableConcept": {"text": value}} if of_pack else {"valueString": value}
        elif kind == "date":
            day = terms.date(value, at)
            if day is None:
                continue
            one |= {"valueDate": day} if of_pack else {"valueString": day}
        else:
            one |= {"valueCodeableConcept": terms.coded(kind, value, at)}
        found.append(one)
    return found
