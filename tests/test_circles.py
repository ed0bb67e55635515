"""The contracts against circles (see pyproject.toml) are kept, and would notice one wherever it were hidden."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACTS = [
    one
    for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if one["type"] == "acyclic_siblings"
]
# Each half of the circle is written in a way that Python itself does not stumble over.
FOR_TYPES = """from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from {room}.{other} import x
"""
IN_A_FUNCTION = """def x():
    from {room} import {other}
    return {other}
"""


def linted(folder: Path) -> str:
    """What import-linter says of the package in `folder`."""
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    command = [sys.executable, "-c", program, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    environment = {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package's modules."""
    folder = tmp_path_factory.mktemp("circles")
    shutil.copytree(
        ROOT / "server" / "apothecary", folder / "apothecary", ignore=shutil.ignore_patterns("data", "__pycache__")
    )
    return folder


def test_there_are_no_circles_in_the_rooms(package: Path) -> None:
    said = linted(package)
    for one in CONTRACTS:
        assert f"{one['name']} KEPT" in said


def test_a_circle_is_noticed_in_every_room_though_it_is_there_for_types_or_in_a_function(package: Path) -> None:
    rooms = {".".join(one.parent.relative_to(package).parts): one.parent for one in package.rglob("__init__.py")}
    for room, home in rooms.items():
        (home / "planted_one.py").write_text(FOR_TYPES.format(room=room, other="planted_two"))
        (home / "planted_two.py").write_text(IN_A_FUNCTION.format(room=room, other="planted_one"))
    said = linted(package)
    for contract in CONTRACTS:
        assert f"{contract['name']} BROKEN" in said
        skipped = contract.get("skip_descendants", [])
        held = [room for room in rooms if within(room, contract["ancestors"]) and not within(room, skipped)]
        assert [room for room in held if f"No cycles are allowed in {room}." not in said] == []


def within(room: str, rooms: list[str]) -> bool:
    return any(f"{room}.".startswith(f"{one}.") for one in rooms)
