"""National Drug Codes: the forms that mean the same, and those that leave a choice."""

from __future__ import annotations

import pytest

from apothecary.fhir.ndc import readings


@pytest.mark.parametrize(("written", "read"), [
    ("0574-4072-05", ["000574407205"]),
    ("51655-089-52", ["051655008952"]),
    ("58118-1397-3", ["058118139703"]),
    ("58118-1397-03", ["058118139703"]),
    ("58118139703", ["058118139703"]),
    ("123456-789-01", ["123456078901"]),
    ("123456-7890-1", ["123456789001"]),
    ("123456789012", ["123456789012"]),
    # The same ten digits are three codes, as the labeler chose its segments.
    ("0574407205", ["000574407205", "005744007205", "005744072005"]),
    ("0574-4072", ["0005744072"]),
    ("51655-089", ["0516550089"]),
    ("51655-0089", ["0516550089"]),
    ("516550089", ["0516550089"]),
    ("05744072", ["0005744072", "0057440072"]),
    ("", []),
    ("0574", []),
    ("1-2-3", []),
    ("0574-4072-", []),
    ("0574-407-05", []),
    ("0574-4072-05-1", []),
    ("0574-4072-0A", []),
    ("0574 4072 05", []),
    ("٠٥٧٤-٤٠٧٢-٠٥", []),
])  # fmt: skip
def test_a_code_is_read_as_every_package_or_product_that_it_may_be(written: str, read: list[str]) -> None:
    assert [str(one) for one in readings(written)] == read


def test_a_package_knows_its_product() -> None:
    (package,), (product,) = readings("51655-089-52"), readings("51655-089")
    assert package.of_product == product == product.of_product
    assert str(package).startswith(str(product))
