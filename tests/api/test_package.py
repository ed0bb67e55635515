"""`import apothecary`: what it offers, what it costs, and that type checkers see the same."""

from __future__ import annotations

import ast
import doctest
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import apothecary
from tests.conformance.harness import write_content

ROOT = Path(__file__).parent.parent.parent
API = ROOT / "server" / "apothecary" / "api"
DOCUMENTED = [*sorted(f"apothecary.api.{path.stem}" for path in API.glob("[!_]*.py")), "apothecary.testing"]

HEAVY = {"flask", "werkzeug", "sqlalchemy", "fhir", "pydantic", "granian", "pytest", "msgspec", "click"}


def run(program: str) -> str:
    """What a fresh interpreter prints for `program`."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    ).stdout


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_examples_of_the_docstrings_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = doctest.testmod(import_module(name))
    assert result.failed == 0
    assert result.attempted > 0 or name.endswith(".given")


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = json.loads(run("import json, sys, apothecary; print(json.dumps([*sys.modules]))"))
    assert [name for name in loaded if name.startswith("apothecary.")] == []
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


@pytest.mark.parametrize(
    ("use", "unwanted"),
    [
        ("apothecary.validate({'resourceType': 'Medication'})", {"flask", "sqlalchemy", "fhir", "sqlite3", "yaml"}),
        ("apothecary.convert({'resourceType': 'Medication'}, to='R4')", {"flask", "sqlalchemy", "fhir", "sqlite3"}),
        ("apothecary.models({'resourceType': 'Medication'})", {"flask", "sqlalchemy", "sqlite3"}),
    ],
)
def test_a_function_loads_only_what_it_needs(use: str, unwanted: set[str]) -> None:
    loaded = json.loads(run(f"import json, sys, apothecary; {use}; print(json.dumps([*sys.modules]))"))
    assert {name.partition(".")[0] for name in loaded} & unwanted == set()


def test_type_checkers_are_told_of_the_same_names() -> None:
    stub = ast.parse((ROOT / "server" / "apothecary" / "__init__.pyi").read_text())
    told = {
        alias.name: getattr(import_module(str(node.module)), alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("apothecary.")
        for alias in node.names
        if alias.asname
    }
    assert {*told, "__version__"} == set(apothecary.__all__)
    assert {name: getattr(apothecary, name) for name in told if name != "search"} == {
        name: value for name, value in told.items() if name != "search"
    }


def test_dir_lists_what_is_not_imported_yet() -> None:
    assert set(apothecary.__all__) <= set(
        json.loads(run("import apothecary, json; print(json.dumps(dir(apothecary)))"))
    )


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sarch'"):
        apothecary.sarch  # type: ignore[attr-defined] # noqa: B018


@pytest.mark.parametrize(
    "imports",
    [
        "import apothecary; search = apothecary.search",
        "from apothecary import search",
        "import apothecary.search; search = apothecary.search",
        "import apothecary.search.parameters; from apothecary import search",
        "import apothecary.search.parameters as room; assert room.Registry; from apothecary import search",
        "import apothecary; apothecary.read('Medication/x', content='{content}'); search = apothecary.search",
        "from apothecary import *",
    ],
)
def test_search_can_be_called_however_it_was_imported(imports: str, tmp_path: Path) -> None:
    write_content(tmp_path, [{"resourceType": "Medication", "id": "x"}])
    answer = f"search('Medication?_id=x', content='{tmp_path}', release='R4')['total']"
    assert run(f"{imports.format(content=tmp_path)}\nprint({answer})") == "1\n"


RIGHT = """
from __future__ import annotations

import apothecary
from apothecary import Issue, load_profiles, read, search
from apothecary.testing import ServerProcess, assert_valid

issues: list[Issue] = apothecary.validate(b"{}", release="R4", profiles=["https://example.org/p"])
rule: str | None = issues[0].rule
conversion = apothecary.convert({"resourceType": "Medication"}, to="R4B")
resource: dict[str, object] = conversion.resource
lost: tuple[Issue, ...] = conversion.issues
bundle = search("Medication?_id=x", content="resources", strict=True)
entries: list[object] = bundle["entry"]
again = apothecary.search("Medication", "resources", "R5")["total"]
medication = read("Medication/x", content="resources")
name: str | None = apothecary.models(medication).id
text: bytes = apothecary.dumps(apothecary.parse("{}"))
assert_valid(medication, profile=load_profiles("package.tgz"))


def test(apothecary_server: ServerProcess) -> None:
    url: str = apothecary_server.r4b + apothecary_server.log
    assert url
"""

# What a line must be refused for stands in its comment.
WRONG = """
import apothecary

apothecary.validate(3)  # Argument 1 to "validate" has incompatible type "int"
apothecary.search(3, content="x")  # Argument 1 to "search" has incompatible type "int"
apothecary.sarch  # Module has no attribute "sarch"
apothecary.read("Medication/x")  # Missing positional argument "content" in call to "read"
number: int = apothecary.models({})  # Incompatible types in assignment
"""


@pytest.mark.long
def test_mypy_knows_the_types_in_the_code_of_users(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "right.py", "wrong.py"]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "users")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    complaints = dict(line.split(": error: ") for line in done.stdout.splitlines())
    expected = {
        f"wrong.py:{number}": line.partition("# ")[2]
        for number, line in enumerate(WRONG.splitlines(), 1)
        if "# " in line
    }
    assert complaints.keys() == expected.keys(), done.stdout
    assert all(complaints[place].startswith(text) for place, text in expected.items()), done.stdout
