"""Hierarchies that follow from the form of codes, against plain loops."""

from __future__ import annotations

import pytest

from apothecary.fhir.code_forms import FORMS, edges

ICD, ATC = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.whocc.no/atc"
NDC, BCP47, BCP13 = "http://hl7.org/fhir/sid/ndc", "urn:ietf:bcp:47", "urn:ietf:bcp:13"

ABOVE = [
    (ICD, "G40.909", ["G40.90", "G40.9", "G40"]),
    (ICD, "T36.0X1A", ["T36.0X1", "T36.0X", "T36.0", "T36"]),
    (ICD, "C4A", []),
    (ATC, "N05BA01", ["N05BA", "N05B", "N05", "N"]),
    (ATC, "N", []),
    (NDC, "0004-0091-01", ["0004-0091"]),
    (NDC, "00004009101", ["000040091"]),
    (NDC, "0004009101", []),
    (BCP47, "de-Latn-CH", ["de-Latn", "de"]),
    (BCP13, "text/xml; charset=utf-8", ["text/xml"]),
]
NOT_WRITTEN = [(ICD, "G40909"), (ICD, "g40"), (ICD, "G40."), (ICD, "G40.99999"), (ATC, "N0"), (ATC, "N05BA1"),
               (NDC, "1-2-3"), (BCP47, "de_CH"), (BCP13, "text")]  # fmt: skip


@pytest.mark.parametrize(("system", "code", "above"), ABOVE)
def test_a_code_stands_below_what_its_form_says(system: str, code: str, above: list[str]) -> None:
    form = FORMS[system]
    assert form.fits(code)
    assert list(form.above(code)) == above


@pytest.mark.parametrize(("system", "code"), NOT_WRITTEN)
def test_what_is_written_otherwise_is_no_code(system: str, code: str) -> None:
    assert not FORMS[system].fits(code)


@pytest.mark.parametrize("system", [ICD, ATC, BCP47])
def test_what_begins_as_a_code_says_is_below_it_and_nothing_else(system: str) -> None:
    form = FORMS[system]
    codes = {one for url, code, above in ABOVE if url == system for one in (code, *above)}
    for above in codes:
        for code in codes:
            begins = code != above and any(code.startswith(one) for one in form.below(above))
            assert form.subsumes(above, code) is begins, (above, code)


def test_all_ways_to_write_a_drug_code_have_one_product() -> None:
    form = FORMS[NDC]
    assert form.subsumes("0004-0091", "00004-0091-01")
    assert form.subsumes("00004-0091", "00004009101")
    assert not form.subsumes("0004-0092", "0004-0091-01")


def test_a_code_is_put_below_the_nearest_that_is_there() -> None:
    codes = dict.fromkeys(["G40", "G40.9", "G40.909", "G41.0"])
    assert list(edges(ICD, codes)) == [("G40.9", "G40"), ("G40.909", "G40.9")]
    assert list(edges("http://ex.org/other", codes)) == []
