"""The wheel, in an environment and a folder of somebody else's who has a package `server` of his own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from apothecary import __version__
from apothecary.testing import free_port

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "server" / "apothecary"
SERVE = "apothecary serve"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with what is installed: nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel. The libraries that it needs are borrowed from this one's."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False, symlinks=True)
    interpreter = environment / "bin" / "python"
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", interpreter, "install", *options, wheel], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # A folder that is named in a .pth file comes last on the path, and .pth files in it mean nothing: the editable
    # installation of this repository stays out.
    (packages / "borrowed.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    return interpreter


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with packages of its own that bear the names of this repository's folders."""
    for name in ("server", "tests", "scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('{name} is not meant')\n")
    return tmp_path


def words(python: Path, command: str) -> list[str]:
    first, *rest = command.split()
    return [str(python.parent / first), *rest]


def environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("APOTHECARY_", "PYTEST_"))}
    return own | {"PYTHONPATH": "."} | more


def run(python: Path, project: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(python, command), cwd=project, env=environment(**more), capture_output=True, text=True, timeout=300
    )


def ask(port: int, path: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextmanager
def serving(python: Path, project: Path, command: str, **more: str) -> Iterator[int]:
    """The port of a server that `command` starts in the project's folder."""
    port, mark = free_port()
    log = project / "log"
    with mark, log.open("wb") as output:
        started = [*words(python, command), "--port", str(port)]
        process = subprocess.Popen(
            started, cwd=project, env=environment(**more), stdout=output, stderr=output, start_new_session=True
        )
        try:
            end = time.monotonic() + 120
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                try:
                    if ask(port, "/readyz")[0] == 200:
                        break
                except (OSError, HTTPException):
                    time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    assert {name.partition("/")[0] for name in names} == {"apothecary", f"apothecary-{__version__}.dist-info"}
    shipped = {name for name in names if name.startswith("apothecary/")}
    there = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == there
    assert {"apothecary/py.typed", "apothecary/__init__.pyi", "apothecary/fhir/data/ucum-essence.xml"} <= shipped


def test_the_package_of_the_wheel_is_what_runs(python: Path, project: Path) -> None:
    program = "import apothecary.cli, apothecary.app; print(apothecary.__file__)"
    done = subprocess.run(
        [python, "-c", program], cwd=project, env=environment(), capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(python.parent.parent)


@pytest.mark.parametrize("command", ["apothecary", "python -m apothecary"])
def test_the_command_runs_beside_a_package_named_server(python: Path, project: Path, command: str) -> None:
    done = run(python, project, f"{command} --version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"apothecary, version {__version__}\n", "")


@pytest.mark.parametrize("command", ["apothecary", "python -m apothecary"])
def test_files_are_validated(python: Path, project: Path, command: str) -> None:
    (project / "right.json").write_text('{"resourceType": "Medication", "status": "active"}')
    (project / "wrong.json").write_text('{"resourceType": "Medication", "status": "actve"}')
    done = run(python, project, f"{command} validate --format json right.json wrong.json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert [(one["file"], one["rule"]) for one in found if one["severity"] == "error"] == [
        ("wrong.json", "code-not-in-value-set")
    ]
    assert run(python, project, f"{command} validate right.json").returncode == 0


@pytest.mark.parametrize("command", [SERVE, "python -m apothecary serve"])
def test_a_server_without_content_is_empty(python: Path, project: Path, command: str) -> None:
    with serving(python, project, command, APOTHECARY_CONTENT="") as port:
        assert ask(port, "/fhir/r4/Medication")[1]["total"] == 0
        assert ask(port, "/fhir/r5/metadata")[1]["fhirVersion"] == "5.0.0"
    assert (project / "apothecary.db").exists()


def test_a_server_over_an_empty_folder_is_empty(python: Path, project: Path) -> None:
    (project / "resources").mkdir()
    with serving(python, project, SERVE) as port:
        assert ask(port, "/fhir/Medication")[1]["total"] == 0


def test_without_the_folder_that_is_served_by_default_a_sentence_says_what_to_do(python: Path, project: Path) -> None:
    done = run(python, project, SERVE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: resources: there is no such folder or file; name one with --content, or serve none with --content ''\n"
    )


def test_the_functions_and_the_pytest_plugin_are_there(python: Path, project: Path) -> None:
    folder = project / "drugs" / "Medication"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text('{"resourceType": "Medication", "id": "x", "status": "active"}')
    (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\napothecary_content = drugs\n")
    (project / "test_it.py").write_text(
        """
import json
from urllib.request import urlopen

import apothecary
from apothecary.testing import assert_valid

def test(apothecary_server):
    with urlopen(apothecary_server.r4 + "/Medication/x") as answer:
        resource = json.load(answer)
    assert_valid(resource, release="R4")
    stored = apothecary.read("Medication/x", content="drugs", release="R4")
    for one in (resource, stored):
        del one["meta"]
    assert resource == stored
    assert apothecary.models(stored, "R5").id == "x"
"""
    )
    done = run(python, project, "python -m pytest -p no:cacheprovider test_it.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
