"""`apothecary clients` makes a key pair and the file of a client, and checks the files."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey, RSAKey

from apothecary.access.clients import Clients
from apothecary.app import create_app
from apothecary.cli import main
from tests.access.clients import Sender, bearer, settings_for


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["clients", *arguments, "--clients", str(folder)])


@pytest.mark.parametrize(("algorithm", "kind"), [("ES384", ECKey), ("RS384", RSAKey)])
def test_a_new_client_gets_tokens_with_its_key(
    tmp_path: Path, algorithm: str, kind: type[ECKey] | type[RSAKey]
) -> None:
    folder, place = tmp_path / "clients", tmp_path / "key.jwk"
    arguments = ("--scope", "system/Medication.rs", "--algorithm", algorithm, "--key", str(place))
    made = run(folder, "new", "Ward 7: Pharmacy ✚", *arguments)
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert '"d"' not in (folder / "ward-7-pharmacy.yaml").read_text()
    client = Clients(folder).get("ward-7-pharmacy")
    assert (client.name, str(client.scopes)) == ("Ward 7: Pharmacy ✚", "system/Medication.rs")
    sender = Sender("ward-7-pharmacy", kind.import_key(json.loads(place.read_text())["keys"][0]), algorithm)
    app = create_app(settings_for(tmp_path, f"sqlite:///{tmp_path / 'a.db'}"))
    http = app.test_client()
    token = sender.token(http, "system/*.rs")
    assert http.get("/fhir/Medication", headers=bearer(token)).status_code == 200
    app.service.store.close()


def test_the_private_key_goes_to_standard_output_where_no_file_is_named(tmp_path: Path) -> None:
    made = run(tmp_path, "new", "A")
    assert set(json.loads(made.stdout)["keys"][0]) >= {"kty", "crv", "x", "y", "d", "kid", "key_ops"}
    assert '"d"' not in made.stderr


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    assert run(tmp_path, "new", "A").exit_code == 0
    before = (tmp_path / "a.yaml").read_text()
    again = run(tmp_path, "new", "A")
    assert (again.exit_code, "is there already" in again.stderr, again.stdout) == (2, True, "")
    assert (tmp_path / "a.yaml").read_text() == before
    place = tmp_path / "key.jwk"
    place.write_text("mine")
    assert run(tmp_path, "new", "B", "--key", str(place)).exit_code == 2
    assert (place.read_text(), (tmp_path / "b.yaml").exists()) == ("mine", False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("A", "--scope", "system/Medicaton.rs"), "did you mean 'Medication'"),
        (("✚",), "--id"),
        (("A", "--id", "a b"), "without spaces"),
        (("A" * 300,), "1 to 200 characters"),
    ],
)
def test_a_client_that_cannot_be_is_not_made(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    made = run(tmp_path, "new", *arguments)
    assert (made.exit_code, said in made.stderr, made.stdout) == (2, True, ""), made.output
    assert list(tmp_path.glob("*.yaml")) == []


def test_sound_files_are_listed(tmp_path: Path) -> None:
    Sender("a").file(tmp_path, ["system/*.rs"])
    Sender("b").file(tmp_path, jwks=None, jwks_url="https://b.example/jwks")
    checked = run(tmp_path, "check")
    assert checked.exit_code == 0
    assert checked.stdout.splitlines() == [
        "a: The a; system/*.rs; keys ec",
        "b: The b; system/*.cruds; keys at https://b.example/jwks",
    ]
    assert checked.stderr == "2 clients\n"


def test_a_wrong_file_is_told_with_its_place_as_is_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = Sender("a").file(tmp_path, ["nonsense"])
    checked = run(tmp_path, "check")
    assert checked.exit_code == 2
    assert checked.stderr.startswith(f"{path}:")
    assert "there is no folder" in run(tmp_path / "none", "check").stderr
