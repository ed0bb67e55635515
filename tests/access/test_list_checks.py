"""Who checks a list, by CDS Hooks or on the page, is told of what he may see, and of nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from apothecary.app import create_app
from tests.access.clients import Sender, bearer, ec_key, settings_for
from tests.safety.test_hooks import NOTHING, sign

SCOPES = {"all": ["system/*.cruds"], "some": ["system/Medication.rs"]}
DRUG, CONDITION = {"system": "urn:drugs", "code": "1"}, {"system": "urn:conditions", "code": "c"}
RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Medication", "id": "a", "status": "active", "code": {"coding": [DRUG], "text": "alphamab"}},
    {
        "resourceType": "ClinicalUseDefinition",
        "id": "kept-from-some",
        "type": "contraindication",
        "subject": [{"reference": "Medication/a"}],
        "contraindication": {"diseaseSymptomProcedure": {"concept": {"coding": [CONDITION], "text": "secretosis"}}},
    },
]


def hook(client: FlaskClient, **headers: str) -> Any:
    order = {"resourceType": "MedicationRequest", "id": "o", "status": "draft"}
    order |= {"medicationCodeableConcept": {"coding": [DRUG]}}  # type: ignore[dict-item] # a mapping of any depth
    condition = {"resourceType": "Condition", "id": "c", "code": {"coding": [CONDITION]}}
    return client.post(
        "/cds-services/order-sign", json=sign(order, prefetch={**NOTHING, "conditions": condition}), headers=headers
    )


def page(client: FlaskClient, **headers: str) -> Any:
    return client.post("/check", data={"drugs": "urn:drugs|1", "conditions": "urn:conditions|c"}, headers=headers)


def test_a_list_is_checked_by_what_the_asker_may_see_alone(tmp_path: Path) -> None:
    senders = {name: Sender(name, ec_key(name)) for name in SCOPES}
    for name, sender in senders.items():
        sender.file(tmp_path / "clients", SCOPES[name])
    app = create_app(settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}", cds_hooks=True))
    client = app.test_client()
    try:
        tokens = {name: bearer(one.token(client, " ".join(SCOPES[name]))) for name, one in senders.items()}
        for one in RESOURCES:
            path = f"/fhir/r5/{one['resourceType']}/{one['id']}"
            assert client.put(path, json=one, headers=tokens["all"]).status_code == 201
        for ask in (hook, page):
            assert ask(client, Host="drugs.example").status_code == 401
            whole, part = ask(client, **tokens["all"]), ask(client, **tokens["some"])
            assert whole.status_code == 200, whole.text
            assert "kept-from-some" in whole.text
            assert part.status_code in (200, 403), part.text
            assert "kept-from-some" not in part.text
            assert "secretosis" not in part.text
        assert client.get("/cds-services", headers={"Host": "drugs.example"}).status_code == 401
    finally:
        app.worker.stop()
        app.service.store.close()
