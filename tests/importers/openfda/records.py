"""Records of openFDA that tests write. The label is a real one, of 2018; openFDA's data are in the public domain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SET_ID = "0000025c-6dbf-4af7-a741-5cbacaed519a"

LABEL: dict[str, Any] = {
    "effective_time": "20151102",
    "inactive_ingredient": ["INACTIVE INGREDIENTS Sucrose"],
    "keep_out_of_reach_of_children": ["Keep this and all medication out of reach of children"],
    "purpose": ["USES Boils, Abscess, Otitis"],
    "warnings": [
        "WARNINGS This product is to be used for self-limiting conditions If symptoms do not improve in 4 days, or "
        "worsen, discontinue use and seek assistance of health professional."
    ],
    "spl_product_data_elements": ["SILICEA SILICEA SILICON DIOXIDE COLLOIDAL SILICON DIOXIDE SUCROSE"],
    "openfda": {
        "spl_id": ["8e9683a0-5608-4cf6-8cdc-13cfc199498f"],
        "product_ndc": ["15631-0404"],
        "substance_name": ["SILICON DIOXIDE"],
        "product_type": ["HUMAN OTC DRUG"],
        "route": ["ORAL"],
        "is_original_packager": [True],
        "package_ndc": ["15631-0404-4", "15631-0404-5"],
        "generic_name": ["SILICEA"],
        "spl_set_id": [SET_ID],
        "brand_name": ["SILICEA"],
        "manufacturer_name": ["Rxhomeo Private Limited d.b.a. Rxhomeo, Inc"],
        "unii": ["ETJ7Z6XBU4"],
    },
    "version": "1",
    "dosage_and_administration": [
        "DOSAGE Adults- Take 4 or 6 Pellets by mouth, three times daily or as suggested by physician. Children 2 years "
        "and older- take 1/2 the adult dose."
    ],
    "stop_use": ["If symptoms do not improve in 4 days, or worsen, discontinue use."],
    "storage_and_handling": ["STORAGE Store in a cool dark place"],
    "do_not_use": ["Do not use if capseal is broken or missing. Close the cap tightly after use."],
    "indications_and_usage": ["INDICATIONS Condition listed above or as directed by the physician"],
    "set_id": SET_ID,
    "id": "8e9683a0-5608-4cf6-8cdc-13cfc199498f",
}


def label(number: int = 0, *, openfda: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The label, or another one of that number, with other fields; those that are None are left out."""
    found = {**LABEL, "set_id": f"{number:08x}{SET_ID[8:]}", **fields}
    found["openfda"] = {**LABEL["openfda"], **(openfda or {})}
    return {key: value for key, value in found.items() if value is not None}


def written(path: Path, *records: Any, indent: int | None = 2) -> Path:
    """A file of records as openFDA writes it."""
    meta = {"last_updated": "2018-03-08", "results": {"skip": 0, "limit": len(records), "total": len(records)}}
    path.write_text(json.dumps({"meta": meta, "results": records}, indent=indent), encoding="utf-8")
    return path
