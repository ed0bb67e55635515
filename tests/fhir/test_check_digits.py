"""Codes in use have the check digit that their system says; one that was mistyped has not."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from apothecary.fhir.check_digits import cas, modulus_10, unii, verhoeff
from apothecary.fhir.code_forms import WRITTEN

CODES: list[tuple[Callable[[str], bool], list[str]]] = [
    # A concept, a description and a relationship of the core; concepts of namespaces of the US and the UK.
    (verhoeff, ["22298006", "138875005", "73211009", "731000124108", "39720311000001101", "900000000000013009"]),
    (modulus_10, ["7187", "554238", "853549", "294637"]),
    (unii, ["R16CO5Y76E", "3G6A5W338E", "059QF0KO0R", "362O9ITL9D"]),
    (cas, ["50-78-2", "7732-18-5", "58-08-2"]),
]


@pytest.mark.parametrize(("check", "codes"), CODES)
def test_a_code_in_use_is_right_and_no_code_with_another_digit_is(
    check: Callable[[str], bool], codes: list[str]
) -> None:
    for code in codes:
        assert check(code), code
        for place, digit in enumerate(code):
            # The weights of a CAS number let one digit in the middle pass for another: only its check digit is sure.
            if digit.isdigit() and (check is not cas or place == len(code) - 1):
                for other in set("0123456789") - {digit}:
                    assert not check(code[:place] + other + code[place + 1 :]), (code, place, other)


@pytest.mark.parametrize("code", ["22298006", "39720311000001101"])
def test_verhoeff_finds_neighbours_that_changed_places(code: str) -> None:
    for place in range(len(code) - 1):
        if code[place] != code[place + 1]:
            assert not verhoeff(code[:place] + code[place + 1] + code[place] + code[place + 2 :])


@pytest.mark.parametrize(
    ("system", "good", "bad"),
    [
        (
            "http://snomed.info/sct",
            ["22298006", "73211009:363698007=113331007", "=== 22298006"],
            ["22298007", "F-1", "22"],
        ),
        (
            "http://loinc.org",
            ["718-7", "LP14449-0", "LA6576-8", "LL360-9", "LG33-9"],
            ["718-8", "7187", "718-77", "0718-7"],
        ),
        ("http://fdasis.nlm.nih.gov", ["R16CO5Y76E"], ["r16co5y76e", "R16CO5Y76", "R16CO5Y760"]),
        ("http://www.whocc.no/atc", ["N", "N05", "N05B", "N05BA", "N05BA01"], ["n05ba01", "N5", "N05BA1", "N05BA011"]),
        (
            "http://hl7.org/fhir/sid/icd-10-cm",
            ["G40", "G40.909", "S72.001A", "C7A.00", "G40-G47"],
            ["G40909", "g40", "G4"],
        ),
        (
            "http://hl7.org/fhir/sid/icd-10",
            ["A17.0\u2020", "G01*", "B95.6", "A00-B99", "XIX", "F41.-"],
            ["G40909", "g40"],
        ),
        ("http://hl7.org/fhir/sid/cvx", ["01", "208"], ["1234", "x"]),
        ("http://hl7.org/fhir/sid/mvx", ["PFR", "MSD"], ["pfr", "PFIZER"]),
        ("https://dmd.nhs.uk", ["39720311000001101"], ["39720311000001102", "X"]),
        ("http://terminology.hl7.org/CodeSystem/CAS", ["50-78-2"], ["50-78-3", "50782"]),
    ],
)
def test_codes_are_told_from_what_is_none(system: str, good: list[str], bad: list[str]) -> None:
    assert {code: WRITTEN[system].fits(code) for code in good + bad} == dict.fromkeys(good, True) | dict.fromkeys(
        bad, False
    )


def test_every_form_says_where_it_stands() -> None:
    assert all(re.match(r"https?://", one.source) and one.meaning for one in WRITTEN.values())
