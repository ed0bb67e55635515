"""The command line finds its commands, and imports them only when they are asked for."""

from __future__ import annotations

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


def test_an_error_of_start_is_a_sentence_and_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fails() -> None:
        raise StartError("it cannot run")

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: fails)
    result = CliRunner().invoke(main, ["fails"])
    assert (result.exit_code, result.stderr) == (2, "Error: it cannot run\n")
