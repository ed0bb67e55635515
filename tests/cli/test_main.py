"""The command line finds its commands, and imports them only when they are asked for."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from apothecary import __version__
from apothecary.cli import COMMANDS, LazyGroup, main
from apothecary.errors import StartError

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_says_what_it_does(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.stdout
    assert name in CliRunner().invoke(main, ["--help"]).stdout


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"apothecary, version {__version__}\n"


def test_no_command_is_imported_before_it_is_asked_for() -> None:
    program = "import sys, apothecary.cli; print([name for name in sys.modules if name.startswith('apothecary.cli.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, text=True)
    assert done.stdout == "[]\n"


def test_the_list_of_commands_says_what_each_does_and_loads_none() -> None:
    program = (
        "import atexit, json, sys, apothecary.__main__ as program\n"
        "atexit.register(lambda: print(json.dumps([*sys.modules])))\n"
        "sys.argv[1:] = ['--help']\n"
        "program.run()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, text=True)
    shown, loaded = done.stdout.rstrip().rsplit("\n", 1)
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", shown, re.MULTILINE)
    own = {name for name in json.loads(loaded) if name.partition(".")[0] == "apothecary"}
    assert own == {"apothecary", *(f"apothecary.{name}" for name in ("__main__", "cli", "errors", "suggestions"))}


def test_an_error_of_start_is_a_sentence_and_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fails() -> None:
        raise StartError("it cannot run")

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: fails)
    result = CliRunner().invoke(main, ["fails"])
    assert (result.exit_code, result.stderr) == (2, "Error: it cannot run\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serv"], "there is no command 'serv' (did you mean 'serve'?)"),
        (["Validate"], "there is no command 'Validate' (did you mean 'validate'?)"),
        (["frobnicate"], "there is no command 'frobnicate'\n"),
        (["validate", "--max-isues=1", "x"], "--max-issues"),
        (["validate", "--disable=dom6", "x"], "there is no rule 'dom6' (did you mean 'dom-6'?)"),
        (["schema", "Medicaton"], "no resource type 'Medicaton' (did you mean 'Medication'?)"),
        (["schema", "confg"], "(did you mean 'config'?)"),
        (["explain", "Dom-6"], "(did you mean 'dom-6'?)"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").write_text("{}")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_names_a_page_that_an_installation_lacks(name: str) -> None:
    assert ".md" not in CliRunner().invoke(main, [name, "--help"]).stdout


def test_no_message_names_a_page_that_an_installation_lacks() -> None:
    named = []
    for path in (ROOT / "server").rglob("*.py"):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        named += [
            (path.name, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and re.search(r"\bdocs/\w+\.md", node.value)
        ]
    assert named == []


# The command, with Ctrl-C or SIGTERM at the moment when the command line is being loaded.
INTERRUPTED = """
import os, signal, sys
first = sys.argv[1] == "first"
if first:
    os.getpid = lambda: 1
class Finder:
    @staticmethod
    def find_spec(name, *_):
        if name == "apothecary.cli":
            signal.raise_signal(signal.{signal})
sys.meta_path.insert(0, Finder)
from apothecary.__main__ import run
sys.argv[1:] = ["--version"]
run()
"""


@pytest.mark.parametrize(("first", "offset"), [("first", 128), ("other", 0)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_command_is_loaded_just_ends_it(number: signal.Signals, first: str, offset: int) -> None:
    """Also as the first process of a container, which is spared what it has no handler for."""
    program = INTERRUPTED.format(signal=number.name)
    done = subprocess.run([sys.executable, "-c", program, first], capture_output=True, check=False, cwd=ROOT, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (offset + number if offset else -number, "", "")
