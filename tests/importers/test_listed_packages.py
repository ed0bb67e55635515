"""FDA's description of a package becomes its tree, level by level."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.importers.listed_packages import Package, packaged_product
from apothecary.importers.report import Place, Remark, Report


def _tree(description: str) -> tuple[Any, list[str]]:
    told: list[Remark] = []
    package = Package("ndc-1111-2222-33", "1111-2222-33", "1111-2222", description)
    found = packaged_product(package, Report(told.append), Place("package.txt", 2))
    assert found.get("description", "") == description
    return found.get("packaging") and _said(found["packaging"]), [one.reason for one in told]


def _said(layer: dict[str, Any]) -> Any:
    """A layer as `4 CARTON 1-2-3`, with what is in it."""
    words = [str(layer.get("quantity", "?")), layer.get("type", {}).get("text", "?")]
    words += [one["value"] for one in layer.get("identifier", [])]
    items = [
        f"{one['amount']['value']} {one['amount'].get('code') or one['amount'].get('unit', '')}"
        f" of {one['item']['concept']['coding'][0]['code']}"
        for one in layer.get("containedItem", [])
    ]
    return [" ".join(words), *items, *(_said(one) for one in layer.get("packaging", []))]


@pytest.mark.parametrize(
    ("description", "tree"),
    [
        ("30 TABLET in 1 BOTTLE (1111-2222-33) ", ["1 BOTTLE", "30 TABLET of 1111-2222"]),
        (
            "4 VIAL in 1 CARTON (1111-2222-33)  > .5 mL in 1 VIAL",
            ["1 CARTON", ["4 VIAL", "0.5 mL of 1111-2222"]],
        ),
        # Later years write a slash, which some forms have in their names.
        (
            "4 VIAL in 1 CARTON (1111-2222-33)  / 2.50 mL in 1 VIAL",
            ["1 CARTON", ["4 VIAL", "2.50 mL of 1111-2222"]],
        ),
        (
            "1 BOTTLE in 1 BOX (1111-2222-33)  / 5 SOLUTION, GEL FORMING / DROPS in 1 BOTTLE",
            ["1 BOX", ["1 BOTTLE", "5 SOLUTION, GEL FORMING / DROPS of 1111-2222"]],
        ),
        (
            "2 BOX in 1 CASE (1111-2222-33)  > 3 CARTON in 1 BOX (1111-2222-44)  > 4 BLISTER PACK in 1 CARTON > "
            "5 TABLET in 1 BLISTER PACK (1111-2222-55) ",
            ["1 CASE", ["2 BOX 1111-2222-44", ["3 CARTON", ["4 BLISTER PACK 1111-2222-55", "5 TABLET of 1111-2222"]]]],
        ),
        (
            "1 KIT in 1 CARTON (1111-2222-33)  *  5 mL in 1 VIAL (3333-4444-55)  *  1 SWAB in 1 PACKET",
            ["1 CARTON", ["1 KIT", ["1 VIAL 3333-4444-55", "5 mL of 3333-4444"], ["1 PACKET", "1 SWAB of 1111-2222"]]],
        ),
        # The kit as the first container of its parts; and what lies in it without any.
        (
            "1 KIT in 1 KIT (1111-2222-33)  *  2 TUBE in 1 KIT > 8 g in 1 TUBE (33333-4444-5)  *  1 CLOTH in 1 KIT",
            ["1 KIT", ["1 KIT", "1 CLOTH of 1111-2222", ["2 TUBE 33333-4444-5", "8 g of 33333-4444"]]],
        ),
        (
            "1 TRAY in 1 CARTON (1111-2222-33)  > 1 KIT in 1 TRAY *  1 VIAL in 1 BOX (3333-4444-55)  > 2 mL in 1 VIAL",
            ["1 CARTON", ["1 TRAY", ["1 KIT", ["1 BOX 3333-4444-55", ["1 VIAL", "2 mL of 3333-4444"]]]]],
        ),
        # Nothing before the first part.
        (
            " *  1 BOX in 1 KIT > 1  in 1 BOX (GS1:30707387763634)  *  237 mL in 1 BOTTLE",
            ["? ?", ["1 BOX 30707387763634", "1  of 1111-2222"], ["1 BOTTLE", "237 mL of 1111-2222"]],
        ),
        # The same code twice.
        (
            "12 PACKET in 1 BOX (1111-2222-33)  > .5 g in 1 PACKET (1111-2222-01)  (1111-2222-01) ",
            ["1 BOX", ["12 PACKET 1111-2222-01", "0.5 g of 1111-2222"]],
        ),
        ("60 [hp_C] in 1 BOTTLE (1111-2222-33) ", ["1 BOTTLE", "60 [hp_C] of 1111-2222"]),
    ],
)  # fmt: skip
def test_a_description_is_read_from_the_outside_in(description: str, tree: list[Any]) -> None:
    assert _tree(description.strip()) == (tree, [])


@pytest.mark.parametrize(
    "description",
    [
        "",
        "a box of pills",
        "30 TABLET in BOTTLE",
        "30 TABLET in 2 BOTTLE",
        "x TABLET in 1 BOTTLE",
        "30 TABLET in 1 BOTTLE)",
        "30 TABLET in 1 BOTTLE ()",
        "2.5 BLISTER PACK in 1 PACKAGE (1111-2222-33)  > 10 TABLET in 1 BLISTER PACK",
        "5 mL in 1 VIAL *  5 mL in 1 VIAL",
        " > ".join(["1 BOX in 1 BOX"] * 200),
        "1 BOX in 1 BOX " + "(" * 30_000,
        "*",
        "1 KIT in 1 BOX *  *  ",
    ],
)
def test_what_is_no_such_description_stays_text_and_is_told(description: str) -> None:
    tree, told = _tree(description.strip())
    assert tree is None
    assert len(told) == 1
    assert len(told[0]) < 200
