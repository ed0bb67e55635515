"""docs/architecture.md names rooms and functions that there are, and leaves no room out."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "server" / "apothecary"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
# What stands before the colon is a module, what follows it an attribute, or one of a class.
NAME = re.compile(r"`(apothecary(?:\.\w+)*)(?::(\w+(?:\.\w+)*))?`")
NAMES = sorted(set(NAME.findall(PAGE)))
WAYS = ["A start", "A read", "A search", "A write", "A validation", "A conversion"]


def missing(module: str, path: str) -> str | None:
    """What of a name does not exist; None where all of it does."""
    try:
        found: object = import_module(module)
    except ModuleNotFoundError:
        return f"there is no module {module}"
    for part in filter(None, path.split(".")):
        if not hasattr(found, part):
            return f"{module} has no {path}"
        found = getattr(found, part)
    return None


@pytest.mark.parametrize(("module", "path"), NAMES, ids=[f"{module}:{path}" for module, path in NAMES])
def test_every_name_exists(module: str, path: str) -> None:
    assert missing(module, path) is None


@pytest.mark.parametrize(
    ("module", "path"),
    [("apothecary.nowhere", ""), ("apothecary.app", "create"), ("apothecary.settings", "Settings.read_environment")],
)
def test_a_name_that_does_not_exist_is_noticed(module: str, path: str) -> None:
    assert missing(module, path) is not None


def test_every_room_is_described_and_no_other() -> None:
    described = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("[!_]*.py")}
    assert set(described) == folders | modules


def test_every_way_goes_through_the_code() -> None:
    sections = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    ways = {title: len(NAME.findall(text)) for title, text in sections if title in WAYS}
    assert list(ways) == WAYS
    assert min(ways.values()) >= 7
