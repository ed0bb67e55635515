"""The house rules that import-linter (see pyproject.toml) cannot state: who may use what, how big a module may be."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "server"
MODULES = sorted(SERVER.rglob("*.py"))

# A library or attribute, and the only parts of `apothecary` that may name it.
ONLY_IN = {
    "flask": ("apothecary.rest", "apothecary.app"),
    "werkzeug": ("apothecary.rest", "apothecary.app"),
    "sqlalchemy": ("apothecary.store",),
    "alembic": ("apothecary.store",),
    "psycopg": ("apothecary.store",),
    "psycopg_pool": ("apothecary.store",),
    "sqlite3": ("apothecary.store",),
    "granian": ("apothecary.cli",),
    "os.environ": ("apothecary.settings",),
    "os.getenv": ("apothecary.settings",),
}
VALIDATOR = ("apothecary.cli.validate", "apothecary.validation", "apothecary.reports", "apothecary.fhir")
NOT_FOR_THE_VALIDATOR = {"flask", "werkzeug", "sqlalchemy", "psycopg", "sqlite3", "fhir", "pydantic"}


def dotted_name(path: Path) -> str:
    """`server/apothecary/rest/__init__.py` -> `apothecary.rest`."""
    parts = path.relative_to(SERVER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_used(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything absolute that `source` imports, and of every attribute of a module."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                yield node.lineno, f"{owner}.{attribute}"


def misplaced(module: str, source: str) -> list[str]:
    """What `module` uses that only another part of the server may: `line: name`."""
    return [
        f"{line}: {name}"
        for line, name in names_used(source)
        for limited, homes in ONLY_IN.items()
        if is_within(name, limited) and not any(is_within(module, home) for home in homes)
    ]


def is_within(name: str, parent: str) -> bool:
    return name == parent or name.startswith(parent + ".")


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_a_library_is_used_only_where_it_belongs(path: Path) -> None:
    assert misplaced(dotted_name(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("apothecary.search.token", "from flask import request", ["1: flask.request"]),
        ("apothecary.interactions.read", "def f():\n    import sqlalchemy.orm", ["2: sqlalchemy.orm"]),
        ("apothecary.content.sync", "import os\nx = os.environ['HOME']", ["2: os.environ"]),
        ("apothecary.content.sync", "from os import getenv", ["1: os.getenv"]),
        ("apothecary.settings", "import os\nx = os.environ", []),
        ("apothecary.rest.routes", "import flask", []),
        ("apothecary.restful", "import flask", ["1: flask"]),
        ("apothecary.search.token", "import flasks\nfrom . import flask", []),
    ],
)
def test_a_misplaced_use_is_noticed(module: str, source: str, found: list[str]) -> None:
    assert misplaced(module, source) == found


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_a_module_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    source = path.read_text()
    if source.strip():
        assert ast.get_docstring(ast.parse(source)), "the module has no docstring"
    assert len(source.splitlines()) <= 400, "split the module: it holds more than one idea"


def test_validating_loads_neither_the_web_server_nor_the_database_nor_models() -> None:
    wanted = [name for path in MODULES if any(is_within(name := dotted_name(path), part) for part in VALIDATOR)]
    program = "import json, sys\nfor name in sys.argv[1:]: __import__(name)\nprint(json.dumps([*sys.modules]))"
    command = [sys.executable, "-c", program, *wanted]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(answer.stdout)}
    assert "apothecary" in loaded
    assert loaded & NOT_FOR_THE_VALIDATOR == set()
