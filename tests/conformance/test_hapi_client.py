"""HAPI's Java client with `setEncoding(XML)`, against a real server: https://hapifhir.io/hapi-fhir/docs/client"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from apothecary.testing import ServerProcess
from tests.conformance.harness import HERE, ROOT

TOUR = HERE / "clients" / "hapi"


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("mvn") is None, reason="wants Maven")
def test_hapis_client_works_in_xml(tmp_path: Path) -> None:
    shutil.copytree(TOUR, tmp_path / "tour")
    maven = ["mvn", "-q", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"]
    subprocess.run(maven, cwd=tmp_path / "tour", check=True, timeout=900)
    classes = f"target/classes:{(tmp_path / 'tour' / 'classpath').read_text()}"
    with ServerProcess(tmp_path, {"content": str(ROOT / "resources")}) as server:
        java = ["java", "-cp", classes, "Tour", f"http://127.0.0.1:{server.port}/fhir"]
        said = subprocess.run(java, cwd=tmp_path / "tour", capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stdout + said.stderr[-2000:]
    assert len(said.stdout.splitlines()) == 12
