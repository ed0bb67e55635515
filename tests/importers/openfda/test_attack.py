"""Records that anybody wrote: nothing crashes, all that is made is valid, and each record is there or told."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from apothecary.fhir.releases import FhirVersion
from apothecary.importers.labels.sections import BY_KEY
from apothecary.validation import validate
from tests.importers.making import dangling, imported
from tests.importers.openfda.records import LABEL, SET_ID, written
from tests.importers.openfda.test_products import BASE

STRANGE = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(allow_nan=False, allow_infinity=False),
    some.text(max_size=40),
    some.sampled_from(["", " ", "20241399", "0002-0152", "<table><tr/></table>", "<table>", "\x00\x0b", SET_ID]),
    some.sampled_from(["a" * 5000, "1e999", "\u202e", "\U0001f48a", "None.", "5 mg/0", "- - -", "CII", "X [EPC]"]),
)
VALUES = some.recursive(
    STRANGE,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OPENFDA = some.dictionaries(
    some.sampled_from([*LABEL["openfda"], "rxcui", "nui", "pharm_class_epc", "upc", "x"]), VALUES
)
LABELS = some.builds(
    lambda changed, known: {
        **LABEL,
        **changed,
        **({} if known is None else {"openfda": {**LABEL["openfda"], **known}}),
    },
    some.dictionaries(some.sampled_from([*LABEL, *BY_KEY, "warnings_table", "new_key"]), VALUES, max_size=5),
    some.none() | OPENFDA,
)
PACKAGES = some.lists(
    some.dictionaries(some.sampled_from(["package_ndc", "description", "marketing_start_date", "sample"]), VALUES),
    max_size=3,
)
PRODUCTS = some.builds(
    lambda changed, packages: {**BASE, **changed, **({} if packages is None else {"packaging": packages})},
    some.dictionaries(some.sampled_from([*BASE, "dea_schedule", "new_key"]), VALUES, max_size=5),
    some.none() | PACKAGES,
)


@settings(max_examples=40, deadline=None)
@given(some.lists(LABELS | PRODUCTS | VALUES, min_size=1, max_size=3))
def test_any_records_make_nothing_invalid_and_each_is_there_or_told(records: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        resources, remarks = imported("openfda", written(Path(folder) / "a.json", *records))
    for one in resources:
        found = [issue for issue in validate(one, FhirVersion.R5) if issue.severity in ("error", "fatal")]
        assert [f"{one['resourceType']} {issue.expression} {issue.diagnostics}" for issue in found] == []
    assert dangling(resources) == set()
    keys = [(one["resourceType"], one["id"]) for one in resources]
    assert len(set(keys)) == len(keys)
    made = sum(kind in ("DocumentReference", "Medication") for kind, _ in keys)
    skipped = {one.place.file for one in remarks if one.kind == "skipped"}
    assert made or len(skipped) >= len(records)
