"""What is in deploy/ fits what it is for: systemd, Kubernetes, Grafana, and this server's settings and metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from apothecary.app import create_app
from apothecary.settings import Settings
from tests.missing import missing

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
UNIT = DEPLOY / "systemd" / "apothecary.service"
MANIFESTS = DEPLOY / "kubernetes" / "apothecary.yaml"
DASHBOARD = DEPLOY / "grafana" / "apothecary.json"
# Kubernetes supports its last three or four minor versions.
KUBERNETES = "1.31.0"
# systemd's own words: below 2 is "OK", the best it says of a service that listens.
EXPOSURE = 20


def test_every_setting_that_is_named_exists() -> None:
    known = {f"APOTHECARY_{field.name.upper()}" for field in fields(Settings)}
    named = {
        (path.name, found)
        for path in DEPLOY.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
        for found in re.findall(r"APOTHECARY_[A-Z][A-Z_]*[A-Z]", path.read_text())
    }
    assert named
    assert {(name, found) for name, found in named if found not in known} == set()


# -- systemd


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze (Debian: apt-get install systemd)")
    command = ["systemd-analyze", "--no-pager", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a command that exists here."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/apothecary/bin/apothecary", "/bin/true"))
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    done = analyze("verify", "--recursive-errors=no", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_would_notice_a_misspelt_option(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "ProtectHomes" in analyze("verify", "--recursive-errors=no", unit).stderr


def test_the_unit_may_do_little(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_unit_does_not_start_again_what_cannot_start() -> None:
    assert "RestartPreventExitStatus=2" in UNIT.read_text()


# -- Kubernetes


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFESTS.read_text()))


def pod() -> dict[str, Any]:
    (deployment,) = (one for one in manifests() if one["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("manifest", manifests(), ids=lambda one: one["kind"])
def test_kubernetes_takes_every_manifest(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_kubernetes_would_notice_a_misspelt_field() -> None:
    (deployment,) = (one for one in manifests() if one["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("kind", ["initContainers", "containers"])
def test_no_container_is_root_or_writes_to_its_image(kind: str) -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    for container in pod()[kind]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_pods_come_and_go_one_by_one() -> None:
    kinds = {one["kind"]: one for one in manifests()}
    assert kinds["PodDisruptionBudget"]["spec"]["minAvailable"] < kinds["Deployment"]["spec"]["replicas"]
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for found in (
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kinds["Service"]["spec"]["selector"],
    ):
        assert found.items() <= labels.items()


def test_a_pod_has_time_to_stop() -> None:
    (configuration,) = (one for one in manifests() if one["kind"] == "ConfigMap")
    pause = int(pod()["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] > float(configuration["data"]["APOTHECARY_STOP_SECONDS"]) + pause


def test_the_probes_are_addresses_that_answer(sqlite_database_url: str) -> None:
    client = create_app(Settings(database=sqlite_database_url, content="")).test_client()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert client.get(pod()["containers"][0][probe]["httpGet"]["path"]).status_code == 200


# -- Grafana


def expressions(node: Any) -> Iterator[str]:
    """Every query of a dashboard."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for one in node:
            yield from expressions(one)


def metrics(text: str) -> set[str]:
    """The names of a query or an answer, without what is in quotes."""
    return set(re.findall(r"\bapothecary_\w+", re.sub(r'"[^"]*"', "", text)))


def test_every_metric_of_the_dashboard_exists(sqlite_database_url: str) -> None:
    client = create_app(Settings(database=sqlite_database_url, content="")).test_client()
    client.get("/fhir/Substance")
    there = metrics(client.get("/metrics").text)
    found = set().union(*(metrics(one) for one in expressions(json.loads(DASHBOARD.read_text()))))
    assert found
    assert found - there == set()


def test_every_label_of_the_dashboard_exists(sqlite_database_url: str) -> None:
    client = create_app(Settings(database=sqlite_database_url, content="")).test_client()
    client.get("/fhir/Substance")
    there = set(re.findall(r'(\w+)="', client.get("/metrics").text)) | {"job", "instance"}
    asked = set()
    for one in expressions(json.loads(DASHBOARD.read_text())):
        asked |= set(re.findall(r"(\w+)\s*[=!]~?\s*\"", one))
        asked |= {name.strip() for names in re.findall(r"by \(([^)]*)\)", one) for name in names.split(",")}
    assert asked
    assert asked - there == set()


def test_no_two_panels_have_one_number() -> None:
    numbers = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(numbers) == len(set(numbers))
