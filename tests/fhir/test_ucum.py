"""UCUM: which codes are units, and what quantities are worth in base units."""

import hashlib
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.fhir.ucum import UcumError, canonical, is_valid, parse_unit
from apothecary.fhir.ucum_table import table
from scripts.fetch_ucum import ESSENCE_SHA256, TARGET

FUNCTIONAL_TESTS = ElementTree.parse(  # noqa: S314 - a file of this repository, not of a stranger
    Path(__file__).parent / "data" / "UcumFunctionalTests.xml"
).getroot()


def amount(text: str) -> tuple[Decimal, str] | None:
    """The canonical form of "0.5 mg"."""
    value, code = text.split()
    return canonical(Decimal(value), code)


@pytest.mark.parametrize(
    ("value", "code", "expected", "dimension"),
    [
        ("0.5", "mg", "0.0005", "g"),
        ("5", "%", "0.05", "1"),
        ("1", "[lb_av]", "453.59237", "g"),
        ("1", "mmol/L", "602214076000000000000000", "m-3"),
        ("2", "[iU]/mL", "2000000", "[iU].m-3"),
        ("3", "m[iU]", "0.003", "[iU]"),
        ("5", "10*3/uL", "5000000000000", "m-3"),
        ("120", "mm[Hg]", "15998640", "g.m-1.s-2"),
        ("25", "kg/m2", "25000", "g.m-2"),
        ("7", "ug/h", "1.944444444444444444444444444444444444444E-9", "g.s-1"),
        ("1", "g/m.s", "1", "g.m-1.s"),
        ("1", "g/(m.s)", "1", "g.m-1.s-1"),
        ("4", "/min", "0.06666666666666666666666666666666666666667", "s-1"),
        ("1", "kg/kg", "1", "1"),
        ("1", "m0", "1", "1"),
        ("1", "kg-2", "0.000001", "g-2"),
        ("37", "Cel", "310.15", "K"),
        ("-40", "[degF]", "233.15", "K"),
        ("80", "[degRe]", "373.15", "K"),
        ("1", "mCel", "273.151", "K"),
        ("-0", "mg", "0", "g"),
        ("1E+400", "mg", "1E+397", "g"),
    ],
)
def test_a_quantity_in_base_units_is_exact(value: str, code: str, expected: str, dimension: str) -> None:
    assert canonical(Decimal(value), code) == (Decimal(expected), dimension)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.5 mg", "500 ug"),
        ("0.50 mg", "0.0005 g"),
        ("1 L", "1 dm3"),
        ("1 l", "1000 mL"),
        ("1 L", "0.001 m3"),
        ("100 [IU]", "0.1 k[iU]"),
        ("1 mg/mL", "1 g/L"),
        ("1 g%", "10 g/L"),
        ("2 mg/{tbl}", "2 mg"),
        ("2 mg{total}", "2 mg"),
        ("1 [tbs_us]", "3 [tsp_us]"),
        ("20 [drp]", "1 mL"),
        ("98.6 [degF]", "37 Cel"),
        ("1 10*3/uL", "1 10^3/uL"),
        ("24 mg/(24.h)", "24 mg/d"),
        ("1 ug/kg/min", "60 ug/kg/h"),
        ("1 kat", "60000000 U"),
    ],
)
def test_equal_amounts_have_one_canonical_form(one: str, other: str) -> None:
    assert amount(one) == amount(other)
    assert repr(amount(one)) == repr(amount(other)), "the digits too, so that texts can be compared"


@pytest.mark.parametrize(
    ("one", "other"),
    [("mg", "mmol"), ("mg", "[iU]"), ("[iU]", "U"), ("[iU]", "[arb'U]"), ("[CFU]", "1"), ("mg", "MG"), ("mg", "mL")],
)
def test_unlike_units_are_of_unlike_dimension(one: str, other: str) -> None:
    assert parse_unit(one).dimension != parse_unit(other).dimension


def test_case_makes_another_unit() -> None:
    assert amount("1 Mg") == amount("1000000000 mg")
    assert amount("1 ML") == amount("1000000000 mL")
    assert parse_unit("MG").dimension == parse_unit("T").dimension, "M and G: megagauss"


@pytest.mark.parametrize(
    "code", ["[pH]", "B", "dB[SPL]", "Np", "[hp'_X]", "%[slope]", "bit_s", "Cel/h", "Cel2", "1/Cel"]
)
def test_a_unit_without_a_ratio_scale_is_valid_and_has_no_canonical_form(code: str) -> None:
    assert is_valid(code)
    assert not parse_unit(code).convertible
    assert canonical(Decimal(1), code) is None


def test_a_number_scales_a_special_unit_and_keeps_its_zero() -> None:
    assert amount("4 10.Cel") == amount("40 Cel") == amount("4 Cel.10") == amount("80 Cel/2")


@pytest.mark.parametrize(
    ("code", "annotation"),
    [
        ("{tbl}", "tbl"),
        ("({tbl})", "tbl"),
        ("{}", ""),
        ("1", None),
        ("/{tbl}", None),
        ("mg{dry}", None),
        ("{a}.{b}", None),
    ],
)
def test_only_a_unit_that_is_all_braces_has_an_annotation(code: str, annotation: str | None) -> None:
    assert parse_unit(code).annotation == annotation
    assert (canonical(Decimal(2), code) is None) == (annotation is not None)


def test_tablets_are_a_number_to_ucum_and_are_not_compared_as_one() -> None:
    assert parse_unit("{tbl}").dimension == parse_unit("{puff}").dimension == parse_unit("1").dimension == "1"
    assert amount("2 {tbl}") is None
    assert amount("2 1") == (Decimal(2), "1")


@pytest.mark.parametrize(
    ("code", "position", "suggestion"),
    [
        ("mcg", 0, "ug"),
        ("mcg/kg/min", 0, "ug/kg/min"),
        ("mgs", 0, "mg"),
        ("KG", 0, "kg"),
        ("IU/mL", 0, "[iU]/mL"),
        ("mg/hr", 3, "mg/h"),
        ("\N{MICRO SIGN}g", 0, "ug"),
        ("\N{GREEK SMALL LETTER MU}g", 0, "ug"),
        ("cmH2O", 0, "cm[H2O]"),
        ("cm[H20]", 0, "cm[H2O]"),
        ("[degf]", 0, "[degF]"),
        ("mEq/L", 0, "meq/L"),
        ("tablet", 0, "{tbl}"),
        ("g/12h", 4, "g/12.h"),
        ("5zz", 1, None),
        ("xyz", 0, None),
        ("", 0, None),
        ("m/", 2, None),
        ("/", 1, None),
        ("mg//mL", 3, None),
        (".mg", 0, None),
        ("mg mL", 2, None),
        ("mg ", 2, None),
        ("(m", 2, None),
        ("m)", 1, None),
        ("(m s)", 2, None),
        ("(/m)", 1, None),
        ("(m.s)2", 5, None),
        ("10+3/ul", 2, None),
        ("0", 0, None),
        ("{a}rad2", 3, None),
        ("{two words}", 0, None),
        ("{open", 0, None),
        ("m-", 1, None),
        ("kmin", 0, "min"),
    ],
)
def test_a_wrong_code_is_refused_with_its_place_and_a_near_miss(
    code: str, position: int, suggestion: str | None
) -> None:
    assert not is_valid(code)
    with pytest.raises(UcumError) as caught:
        parse_unit(code)
    error = caught.value
    assert (error.code, error.position, error.suggestion) == (code, position, suggestion)
    assert str(error).startswith(f"{code}: {error.reason} (character {position + 1})")
    assert (f"did you mean {suggestion}?" in str(error)) == (suggestion is not None)


@pytest.mark.parametrize(
    "code",
    [
        "m" + ".m" * 300,
        "(" * 40 + "m" + ")" * 40,
        "Ym999999999",
        "10*-999999999",
        ".".join(["Ym99"] * 60),
        "9" * 400 + "." + "9" * 99,
        "(" * 499,
    ],
)
def test_a_hostile_code_is_refused_or_harmless(code: str) -> None:
    if is_valid(code):
        assert parse_unit(code).factor.numerator < 1 << 8192
    else:
        with pytest.raises(UcumError):
            canonical(Decimal(1), code)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_value_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a finite value"):
        canonical(Decimal(value), "mg")


def test_every_atom_and_every_prefixed_metric_atom_is_a_unit() -> None:
    units = table()
    assert (len(units.atoms), len(units.prefixes)) == (312, 24)
    for code, atom in units.atoms.items():
        unit = parse_unit(code)
        assert unit.factor > 0
        if atom.metric:
            for prefix, factor in units.prefixes.items():
                assert parse_unit(prefix + code).factor == factor * unit.factor, prefix + code
        else:
            assert not is_valid("k" + code)


def test_no_symbol_can_be_read_in_two_ways() -> None:
    units = table()
    metric = [atom.code for atom in units.atoms.values() if atom.metric]
    readings = Counter([*units.atoms, *(prefix + code for prefix in units.prefixes for code in metric)])
    assert max(readings.values()) == 1


def test_the_table_is_the_published_file_unchanged() -> None:
    assert hashlib.sha256(TARGET.read_bytes()).hexdigest() == ESSENCE_SHA256


def test_importing_reads_no_table() -> None:
    script = (
        "import apothecary.fhir.ucum, apothecary.fhir.ucum_table as t; raise SystemExit(t.table.cache_info().currsize)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("case", FUNCTIONAL_TESTS.findall("validation/case"), ids=lambda case: case.get("unit"))
def test_ucum_functional_tests_of_validity(case: ElementTree.Element) -> None:
    assert is_valid(case.attrib["unit"]) == (case.attrib["valid"] == "true")


@pytest.mark.parametrize("case", FUNCTIONAL_TESTS.findall("conversion/case"), ids=lambda case: case.get("id"))
def test_ucum_functional_tests_of_conversion(case: ElementTree.Element) -> None:
    """The expected outcomes are rounded to the precision of the value given, as the file says."""
    source, target = parse_unit(case.attrib["srcUnit"]), parse_unit(case.attrib["dstUnit"])
    assert source.dimension == target.dimension
    outcome = Decimal(case.attrib["outcome"])
    found = Fraction(case.attrib["value"]) * source.factor / target.factor
    # "25" for 25.2: half a unit in the last place given, and a little for what the file rounds down
    tolerance = Fraction(10) ** int(outcome.as_tuple().exponent) * Fraction(3, 5)
    assert abs(found - Fraction(outcome)) <= tolerance


CODES = st.sampled_from(["mg", "mL", "h", "[iU]", "mmol", "10*3", "%", "{tbl}", "[lb_av]", "mm[Hg]", "deg", "K", "5"])
VALUES = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6)


@given(CODES, CODES, CODES, VALUES)
def test_a_product_is_worth_the_product_of_its_parts(a: str, b: str, c: str, value: Decimal) -> None:
    left, middle, right = parse_unit(a), parse_unit(b), parse_unit(c)
    assert parse_unit(f"{a}.{b}/{c}").factor == left.factor * middle.factor / right.factor
    assert parse_unit(f"{a}/({b}.{c})").factor == left.factor / (middle.factor * right.factor)
    assert parse_unit(f"{a}.{b}/{c}").dimension == parse_unit(f"{b}/{c}.{a}").dimension
    if left.annotation is None:
        assert canonical(value, f"{a}.{b}/{b}") == canonical(value, a)


@given(CODES, CODES, VALUES)
def test_a_canonical_value_is_the_exact_value_to_40_digits(a: str, b: str, value: Decimal) -> None:
    unit = parse_unit(f"{a}/{b}")
    result = canonical(value, f"{a}/{b}")
    assert result is not None
    exact = Fraction(value) * unit.factor
    if ends(unit.factor):
        assert Fraction(result[0]) == exact
    assert abs(Fraction(result[0]) - exact) <= abs(exact) / 10**39


def ends(number: Fraction) -> bool:
    """Whether the number's decimal fraction ends."""
    return 10 ** number.denominator.bit_length() % number.denominator == 0


@given(st.text(alphabet="mgLkhu[]iU{}()./+-*^10% {tbl}'_\N{MICRO SIGN}", max_size=12))
def test_any_text_is_a_unit_or_a_ucum_error(text: str) -> None:
    if is_valid(text):
        assert parse_unit(text) is parse_unit(text), "cached"
        assert parse_unit(f"({text})" if not text.startswith("/") else text).dimension == parse_unit(text).dimension
    else:
        with pytest.raises(UcumError) as caught:
            parse_unit(text)
        assert 0 <= caught.value.position <= len(text)
        assert caught.value.suggestion is None or is_valid(caught.value.suggestion)
