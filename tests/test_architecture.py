"""The house rules that import-linter (see pyproject.toml) cannot state: who may use what, how big a module may be."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
VALIDATOR = (
    "apothecary.cli.validate",
    "apothecary.api.validate",
    "apothecary.testing",
    "apothecary.pytest_plugin",
    "apothecary.validation",
    "apothecary.reports",
    "apothecary.fhir",
)
NOT_FOR_THE_VALIDATOR = {"flask", "werkzeug", "sqlalchemy", "psycopg", "sqlite3", "fhir", "pydantic"}


@cache
def parsed(source: str) -> ast.Module:
    """The syntax tree of a source."""
    return ast.parse(source)


def dotted_name(path: Path) -> str:
    """`server/apothecary/rest/__init__.py` -> `apothecary.rest`."""
    parts = path.relative_to(SERVER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> Iterator[tuple[str, str]]:
    """The name and the text of each module."""
    return ((dotted_name(path), path.read_text()) for path in MODULES)


def names_used(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything absolute that `source` imports, and of every attribute of a module."""
    for node in ast.walk(parsed(source)):
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


def test_a_library_is_used_only_where_it_belongs() -> None:
    found = {module: misplaced(module, source) for module, source in sources()}
    assert {module: lines for module, lines in found.items() if lines} == {}


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


def unprepared(source: str) -> list[int]:
    """The lines where msgspec is given a type outside the module's own level: while one thread makes it ready there,
    another that uses it ends the process by SIGSEGV.
    """
    found = []
    tree = parsed(source)
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    # One thread after the other is no danger.
    locked = {id(node) for one in ast.walk(tree) if isinstance(one, ast.With) for node in ast.walk(one)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="decode"), keywords=keywords) if any(
                one.arg == "type" for one in keywords
            ):
                found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="Decoder", value=owner)) if id(node) in inside:
                if ast.unparse(owner).startswith("msgspec"):
                    found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="convert", value=ast.Name("msgspec"))) if id(node) not in locked:
                found.append(node.lineno)
    return found


def test_what_msgspec_decodes_is_known_to_it_before_threads_begin() -> None:
    found = {module: unprepared(source) for module, source in sources()}
    assert {module: lines for module, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import msgspec\ndef f(x):\n    return msgspec.json.decode(x, type=T)", [3]),
        ("import msgspec\ndef f(x):\n    return msgspec.json.Decoder(T).decode(x)", [3]),
        ("import msgspec\nD = msgspec.json.Decoder(T)\ndef f(x):\n    return D.decode(x), msgspec.json.decode(x)", []),
        ("import msgspec\ndef f(x):\n    return msgspec.convert(x, T)", [3]),
        ("import msgspec\ndef f(x):\n    with LOCK:\n        return msgspec.convert(x, T)", []),
    ],
)
def test_a_type_that_msgspec_meets_late_is_noticed(source: str, lines: list[int]) -> None:
    assert unprepared(source) == lines


def test_a_module_says_what_it_is_for_and_stays_readable() -> None:
    silent = [name for name, source in sources() if source.strip() and not ast.get_docstring(parsed(source))]
    assert silent == [], "a module has no docstring"
    long = [name for name, source in sources() if len(source.splitlines()) > 400]
    assert long == [], "split the module: it holds more than one idea"


def test_validating_loads_neither_the_web_server_nor_the_database_nor_models() -> None:
    wanted = [name for path in MODULES if any(is_within(name := dotted_name(path), part) for part in VALIDATOR)]
    program = "import json, sys\nfor name in sys.argv[1:]: __import__(name)\nprint(json.dumps([*sys.modules]))"
    command = [sys.executable, "-c", program, *wanted]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(answer.stdout)}
    assert "apothecary" in loaded
    assert loaded & NOT_FOR_THE_VALIDATOR == set()


def acyclic_contracts() -> list[dict[str, Any]]:
    """import-linter's contracts that forbid circles."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [contract for contract in contracts if contract["type"] == "acyclic_siblings"]


def is_held(module: str) -> bool:
    """Whether import-linter keeps `module` out of circles."""
    return any(
        any(is_within(module, one) for one in contract["ancestors"])
        and not any(is_within(module, one) for one in contract.get("skip_descendants", ()))
        for contract in acyclic_contracts()
    )


def imported_modules(source: str, modules: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Which of `modules` a source imports, at any place, and whether only under TYPE_CHECKING."""
    tree = parsed(source)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import name`: the name is a module, or stands in the package's own.
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in inside]
        yield from ((name, id(node) in for_types) for name in names if name in modules)


def hidden_circles(modules: Mapping[str, str]) -> list[str]:
    """The imports under TYPE_CHECKING that lead back to where they stand; `modules` are sources by name."""
    imports = {name: set(imported_modules(source, modules)) for name, source in modules.items()}

    def leads_to(start: str, end: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            name = waiting.pop()
            if name == end:
                return True
            further = {found for found, _ in imports[name]} - seen
            seen |= further
            waiting += further
        return False

    return sorted(
        f"{name} -> {found}"
        for name, listed in imports.items()
        for found, for_types in listed
        if for_types and leads_to(found, name)
    )


def test_no_import_for_types_alone_hides_a_circle() -> None:
    modules = {name: path.read_text() for path in MODULES if is_held(name := dotted_name(path))}
    assert len(modules) > 100, "import-linter holds hardly any module"
    assert hidden_circles(modules) == []


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        # Two that know each other; a longer way back; a package; a way back by an import in a function.
        ({"a.run": FOR_TYPES + "from a.plan import Plan", "a.plan": "import a.run"}, ["a.run -> a.plan"]),
        (
            {"a.run": FOR_TYPES + "from a import plan", "a.plan": "from a.step import Step", "a.step": "import a.run"},
            ["a.run -> a.plan"],
        ),
        (
            {"a.run": "import typing\nif typing.TYPE_CHECKING:\n    from a import Plan", "a": "from a.run import Run"},
            ["a.run -> a"],
        ),
        ({"a.run": FOR_TYPES + "import a.plan", "a.plan": "def f():\n    from a.run import Run"}, ["a.run -> a.plan"]),
        (
            {"a.run": FOR_TYPES + "import a.plan", "a.plan": FOR_TYPES + "import a.run"},
            ["a.plan -> a.run", "a.run -> a.plan"],
        ),
        # One way only; a library; a circle that Python itself would refuse is import-linter's.
        ({"a.run": FOR_TYPES + "from a.plan import Plan", "a.plan": "import a.step", "a.step": ""}, []),
        ({"a.run": FOR_TYPES + "from flask import Flask", "a.plan": "import a.run"}, []),
        ({"a.run": "import a.plan", "a.plan": "import a.run"}, []),
    ],
)
def test_a_hidden_circle_is_noticed(modules: dict[str, str], found: list[str]) -> None:
    assert hidden_circles(modules) == found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        (
            "validation.profiles.registry",
            FOR_TYPES + "from apothecary.validation.run import Run",
            "No cycles are allowed in apothecary.validation.",
        ),
        (
            "validation.conformance.slicing",
            "from apothecary.validation.conformance import check",
            "No cycles are allowed in apothecary.validation.conformance.",
        ),
        (
            "versions.run",
            "def f():\n    from apothecary.versions.engine import Engine",
            "No cycles are allowed in apothecary.versions.",
        ),
        (
            "content.read",
            FOR_TYPES + "from apothecary.reports.report import Report",
            "No cycles are allowed in apothecary.",
        ),
        (
            "interactions.read",
            FOR_TYPES + "from apothecary.operations import OPERATIONS",
            "apothecary.interactions is not allowed to import apothecary.operations",
        ),
    ],
)
def test_import_linter_refuses_a_planted_circle(tmp_path: Path, module: str, line: str, said: str) -> None:
    copy = tmp_path / "apothecary"
    shutil.copytree(SERVER / "apothecary", copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    planted = copy / Path(*module.split(".")).with_suffix(".py")
    planted.write_text(f"{planted.read_text()}\n{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    command = [lint, "--no-cache", "--config", ROOT / "pyproject.toml"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert answer.returncode == 1, answer.stderr
    assert said in " ".join(answer.stdout.split())
