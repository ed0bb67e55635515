"""The Dockerfile and the compose file do what they promise, shown without a container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator

import apothecary
from tests.waiting import PATIENCE

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "server" / "apothecary"
SCHEMA = ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json"

Instruction = tuple[str, str]


def dockerfile_stages() -> list[list[Instruction]]:
    """The Dockerfile's instructions, comments gone and continued lines joined, in one list for each FROM."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        if name:
            stages[-1].append((name, rest))
    return stages


def instruction(name: str) -> str:
    """The one such instruction of the final stage."""
    (found,) = [rest for each, rest in dockerfile_stages()[-1] if each == name]
    return found


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def schema_errors(document: object) -> list[str]:
    return [error.message for error in Draft201909Validator(json.loads(SCHEMA.read_text())).iter_errors(document)]


def test_the_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    assert schema_errors(compose) == []


def test_a_misspelt_compose_key_would_be_noticed(compose: dict[str, Any]) -> None:
    compose["services"]["server"]["port"] = ["8080:8080"]
    assert any("'port'" in message for message in schema_errors(compose))


def test_compose_publishes_ports_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert len(set(published)) == len(published)


def test_compose_runs_only_the_sqlite_server_unless_asked(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "profiles" not in service] == ["server"]


def test_the_server_waits_until_postgresql_is_healthy(compose: dict[str, Any]) -> None:
    assert compose["services"]["server-postgres"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert compose["services"]["postgres"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_every_volume_in_use_is_declared(compose: dict[str, Any]) -> None:
    mounted = [each.partition(":")[0] for one in compose["services"].values() for each in one.get("volumes", [])]
    assert {each for each in mounted if not each.startswith("./")} == set(compose["volumes"])
    assert [each for each in mounted if each.startswith("./") and not (ROOT / each).is_dir()] == []


@pytest.mark.skipif(not (ROOT / "server" / "apothecary" / "settings.py").exists(), reason="needs the settings")
@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml"])
def test_every_variable_names_a_setting(file: str) -> None:
    known = {f"APOTHECARY_{field.name.upper()}" for field in fields(import_module("apothecary.settings").Settings)}
    named = set(re.findall(r"APOTHECARY_[A-Z_]+", (ROOT / file).read_text()))
    assert named
    assert named - known == set()


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    user, group = instruction("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_image_starts_the_server_without_a_shell() -> None:
    assert json.loads(instruction("CMD")) == ["apothecary", "serve"]


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A web server that answers everything with `status`: its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield httpd.server_port, asked
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_image_is_healthy_while_healthz_says_so(status: int, healthy: bool) -> None:
    program, *arguments = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    assert program == "python"
    with answering(status) as (port, asked):
        environment = {**os.environ, "APOTHECARY_PORT": str(port)}
        command = [sys.executable, *arguments]
        finished = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=PATIENCE)
    assert (finished.returncode == 0) is healthy
    assert asked == ["/healthz"]


def run_stage(stage: list[Instruction], files: Path, image: Path) -> Path:
    """Run a stage's COPY and RUN instructions with `image` for the file system's root; its fresh environment.

    `files` is the build context. What only root may do (giving a folder to another user) is left out.
    """
    environment = image / "python"
    venv.create(environment, with_pip=True, clear=True)
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    directory = image
    for name, rest in stage:
        if name == "WORKDIR":
            directory = image / rest.lstrip("/")
            directory.mkdir(parents=True, exist_ok=True)
        elif name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                place = directory / target.lstrip("/") if not target.startswith("/") else image / target.lstrip("/")
                copy(files / source, place / source if target.endswith("/") else place)
        elif name == "RUN":
            command = re.sub(r"(?<=[ =])/(?=wheels|data)", f"{image}/", rest)
            if os.geteuid() == 0 or "--owner" not in command:
                subprocess.run(["sh", "-ec", command], cwd=directory, env={**os.environ, "PATH": path}, check=True)
    return environment


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@pytest.mark.long
@pytest.mark.slow
def test_the_image_s_own_steps_give_a_working_command(tmp_path: Path) -> None:
    build, final = dockerfile_stages()
    run_stage(build, ROOT, tmp_path)
    environment = run_stage(final, ROOT, tmp_path)
    assert not (tmp_path / "wheels").exists(), "the wheels do not stay in the image"
    assert (tmp_path / "content").is_dir()

    def answer(*command: str) -> str:
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout.strip()

    installed = Path(
        answer(str(environment / "bin" / "python"), "-c", "import apothecary; print(*apothecary.__path__)")
    )
    assert installed.is_relative_to(environment)
    shipped = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    written = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()}
    assert {path for path in written - shipped if path.suffix != ".pyc"} == set()
    assert apothecary.__version__ in answer(str(environment / "bin" / "apothecary"), "--version")


def test_what_the_image_copies_is_in_the_build_context() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.removeprefix("./")
        for stage in dockerfile_stages()
        for name, rest in stage
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == admitted
