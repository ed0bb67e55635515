"""FHIR JSON comes out as it went in: literals, order, and no key twice."""

from __future__ import annotations

import pickle

import pytest

from apothecary.fhir.json import MAX_DEPTH, DuplicateKey, compact, dumps, parse, pretty

BEYOND = ("1e1000000000000000000", "-1E+9999999992147483648", "0e9999999999999999999", "1e" + "9" * 5000)
EXACT = (
    '{"a":0.50}',
    '{"a":1E3,"b":1.0e-7}',
    '{"a":-0}',
    '{"a":-0.0}',
    '{"a":0.0500000000000000000001}',
    '{"z":1,"a":2}',
    '{"a":"\\"\\\\é"}',
    '[{"a":null},true,false,[]]',
    '{"a":123456789012345678901234567890}',
)


@pytest.mark.parametrize("text", EXACT)
def test_what_was_read_is_written_to_the_digit(text: str) -> None:
    assert dumps(parse(text)).decode() == text
    assert compact(pretty(text.encode())).decode() == text


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"x":{"b":1,"c":2,"b":3}}'])
def test_a_key_that_stands_twice_is_an_error(text: str) -> None:
    with pytest.raises(DuplicateKey):
        parse(text)


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":Infinity}', '"\t"', '{"a":1}x', "[" * 100_000, b"\xff"])
def test_what_is_not_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


@pytest.mark.parametrize("literal", BEYOND)
def test_an_exponent_beyond_all_arithmetic_is_a_value_error(literal: str) -> None:
    with pytest.raises(ValueError, match=r"the number .{1,45} has an exponent"):
        parse(f'{{"a": {literal}}}')
    assert dumps(parse("[1e999999999999999999]")) == b"[1e999999999999999999]"


@pytest.mark.parametrize("inside", ["", '"a[{]}"', '"\\\\"', '"\\"["', "1.50", '"\u00e9"'])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"[": ', "}")])
def test_the_limit_of_nesting_is_ours_whatever_the_parser_can_do(opening: str, closing: str, inside: str) -> None:
    deepest = inside or "[]"
    levels = MAX_DEPTH - (not inside)
    assert parse(opening * levels + deepest + closing * levels)
    for more in (1, 50, 1_000, 100_000):
        with pytest.raises(ValueError, match=f"deeper than {MAX_DEPTH} levels"):
            parse(opening * (levels + more) + deepest + closing * (levels + more))


def test_many_brackets_beside_one_another_are_not_deep() -> None:
    assert len(parse("[" + ",".join(['{"a": ["[[["]}'] * 5000) + "]")) == 5000


def test_half_a_surrogate_pair_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        dumps(parse('"\\ud800"'))


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert parse(b"\xef\xbb\xbf{}") == {}


def test_a_decimal_keeps_its_literal_across_processes() -> None:
    assert dumps(pickle.loads(pickle.dumps(parse("[0.50]")))) == b"[0.50]"  # noqa: S301 (our own bytes)
