"""The tutorial works as it stands, typed from beginning to end in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.harness import ROOT, OverHttp
from tests.docs.sessions import SHOWN_ADDRESS, Change, Command, Save, mismatch, steps
from tests.missing import missing
from tests.waiting import PATIENCE, until

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
STEPS = list(steps(PAGE))


class Reader:
    """Somebody who follows the tutorial in `folder`, with the shell and, in a second one, the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.server = OverHttp(probe.getsockname()[1])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("APOTHECARY_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        self._environment = {**environment, "PATH": path, "APOTHECARY_PORT": str(self.server.port)}
        self._process: subprocess.Popen[str] | None = None

    def save(self, step: Save) -> None:
        path = self.folder / step.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text)

    def change(self, step: Change) -> None:
        text = (self.folder / step.path).read_text()
        assert text.count(step.old) == 1, f"{step.path} has not exactly one {step.old!r}"
        (self.folder / step.path).write_text(text.replace(step.old, step.new))

    def serve(self, line: str) -> None:
        """Start the server, in place of the one that is running, and wait until it answers."""
        self.stop()
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self._environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert until(self._is_ready), "the server does not answer"

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended: {self._process.communicate()[0]}")
        try:
            return self.server.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=PATIENCE)
            self._process = None

    def run(self, line: str) -> list[str]:
        """The lines that a command writes, on standard output and on standard error."""
        line = re.sub(r"\bcurl ", "curl --silent ", line.replace(SHOWN_ADDRESS, self.server.address))
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self._environment, text=True, timeout=PATIENCE, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout.replace(self.server.address, SHOWN_ADDRESS).splitlines()


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    one = Reader(folder)
    try:
        yield one
    finally:
        one.stop()


@pytest.mark.slow
def test_every_step_does_what_the_page_says(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed")
    folder = tmp_path / "empty"
    folder.mkdir()
    with reader(folder) as one:
        for step in STEPS:
            match step:
                case Save():
                    one.save(step)
                case Change():
                    one.change(step)
                case Command(line=line) if line.startswith("apothecary serve"):
                    one.serve(line)
                case Command(line=line, shown=shown):
                    real = one.run(line)
                    assert mismatch(shown, real) is None, f"$ {line}\n" + "\n".join(real)


def test_the_tutorial_covers_a_drug_from_an_empty_folder_to_ci() -> None:
    lines = [step.line for step in STEPS if isinstance(step, Command)]
    assert sum(line.startswith("apothecary serve") for line in lines) == 3
    for part in (
        "Medication?code:text=",
        "/r4/Medication?code=",
        "/r4/Medication?strength=",
        "/_history",
        "bundle.json",
    ):
        assert any(part in line for line in lines), part


def test_every_command_but_the_server_shows_its_answer() -> None:
    silent = [step.line for step in STEPS if isinstance(step, Command) and not step.shown]
    assert {line.split()[1] for line in silent} == {"serve"}
