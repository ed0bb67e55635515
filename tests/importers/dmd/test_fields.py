"""No field of dm+d is known and dropped: each one that a file may have stands somewhere in what is made."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from apothecary.fhir.json import dumps
from apothecary.importers.dmd import resources
from apothecary.importers.dmd.files import CONCEPTS, FIELDS, PARTS
from apothecary.importers.formats import Given
from apothecary.importers.report import Remark, Report

IDS = {
    "VTMID": "1000001", "ISID": "1000002", "VPID": "1000003", "APID": "1000004", "VPPID": "1000005",
    "APPID": "1000006", "AMPPID": "1000006", "PRNTVPPID": "1000005", "PRNTAPPID": "1000006", "SUPPCD": "1000007",
    "CD": "1000007",
}  # fmt: skip
PENCE = {"PRICE", "PREVPRICE", "PRICE_PREV"}
# These have a meaning of their own, and not any code.
FIXED = {"INVALID": "1", "PRICE_BASISCD": "0001", "DISCCD": "0001", "BASIS_STRNTCD": "0001"}
FILES = {
    "VIRTUAL_MED_PRODUCTS": ("VMP", "VPI", "ONT", "DFORM", "DROUTE", "CONTROL_INFO"),
    "ACTUAL_MEDICINAL_PRODUCTS": ("AMP", "AP_ING", "LIC_ROUTE", "AP_INFO"),
    "VIRTUAL_MED_PRODUCT_PACK": ("VMPP", "DTINFO", "VMPP CCONTENT"),
    "ACTUAL_MEDICINAL_PROD_PACKS": ("AMPP", "PACK_INFO", "PRESCRIB_INFO", "PRICE_INFO", "REIMB_INFO", "AMPP CCONTENT"),
    "BNF_DETAILS": ("BNF VMP", "BNF AMP"),
}


def test_every_field_stands_in_what_is_made_of_it(tmp_path: Path) -> None:
    numbers = count(5_000_000)
    values: dict[tuple[str, str], str] = {}

    def value(record: str, name: str) -> str:
        if name in IDS or name in FIXED:
            return IDS.get(name) or FIXED[name]
        number = next(numbers)
        text = f"{1000 + number % 1000}-03-01" if name.endswith("DT") else str(number)
        values[record, name] = text
        return text

    def element(record: str, tag: str, without: str = "") -> str:
        fields = (f"<{one}>{value(record, one)}</{one}>" for one in sorted(FIELDS[record]) if one != without)
        return f"<{tag}>{''.join(fields)}</{tag}>"

    def write(name: str, body: str) -> None:
        (tmp_path / f"{name}.xml").write_text(f"<{name}>{body}</{name}>")

    for root, names in FILES.items():
        write(root, "".join(f"<PART>{element(name, name.split()[-1])}</PART>" for name in names))
    write("VIRTUAL_THERAPEUTIC_MOIETIES", element("VTM", "VTM"))
    write("INGREDIENT_SUBSTANCES", element("ING", "ING"))
    write("LOOKUP", f"<SUPPLIER>{element('INFO', 'INFO')}</SUPPLIER>")
    gtin = element("GTINDATA", "GTINDATA", "AMPPID")
    write("GTIN_DETAILS", f"<AMPPS><AMPP><AMPPID>{IDS['AMPPID']}</AMPPID>{gtin}</AMPP></AMPPS>")
    remarks: list[Remark] = []
    made = [*resources(Given([tmp_path], Report(remarks.append), {}))]
    text = b"\n".join(dumps(one.resource) for one in made).decode()
    lost = [
        field for field, one in values.items() if (f"{int(one) / 100:.2f}" if field[1] in PENCE else one) not in text
    ]
    assert lost == []
    assert {one.kind for one in remarks} == {"approximated"}
    tried = {record for record, _ in values}
    assert tried | {"LIC_ROUTE", "AMPP CCONTENT"} >= {*CONCEPTS, *PARTS}
    inactive = [one.resource for one in made if one.resource.get("status") == "inactive"]
    assert len(inactive) == 1 + 1 + 2 + 2  # the substance, the moiety, and both products as two resources
