"""The files of clients: each fault at its place, and what changes in the folder counts soon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc.util import int_to_base64

from apothecary.access import clients
from apothecary.access.clients import Clients, read_client
from apothecary.errors import InvalidFile
from tests.access.clients import Sender, ec_key, rsa_key

EC = ec_key().as_dict(private=False)
SOUND = {"id": "a", "name": "A", "scopes": ["system/*.rs"], "jwks": {"keys": [EC]}}

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"id": None}, "1:1", "the file lacks id"),
    ({"id": "a b"}, r"\d+:\d+", "id: write 1 to 200 characters"),
    ({"scopes": []}, r"\d+:\d+", "scopes: write 1 or more items"),
    ({"scopes": ["system/Medicaton.rs"]}, r"\d+:\d+", "did you mean 'Medication'"),
    ({"scopes": ["system/*.sr"]}, r"\d+:\d+", "in this order"),
    (
        {"scopes": [f"system/List.rs?{'&'.join(['_id:not=a', '_id:not=b', f'_id:not={n}'])}" for n in range(190)]},
        r"\d+:\d+",
        "in all",
    ),
    ({"scope": "x"}, r"\d+:\d+", "did you mean 'scopes'"),
    ({"jwks": None}, "1:1", "either jwks"),
    ({"jwks_url": "https://a.example/k"}, "1:1", "either jwks"),
    ({"jwks": None, "jwks_url": "http://a.example/k"}, r"\d+:\d+", "does not begin with https://"),
    ({"jwks": None, "jwks_url": "https://me:secret@a.example/k"}, r"\d+:\d+", "it is no address"),
    ({"jwks": None, "jwks_url": "file:///etc/passwd"}, r"\d+:\d+", "no address"),
    ({"jwks": {"keys": []}}, r"\d+:\d+", "1 or more items"),
    ({"jwks": {"keys": [{**EC, "kid": ""}]}}, r"\d+:\d+", "needs a kid"),
    ({"jwks": {"keys": [{**EC, "x": "AAAA"}]}}, r"\d+:\d+", "no public key"),
    ({"jwks": {"keys": [{**EC, "kty": "oct"}]}}, r"\d+:\d+", "RSA or EC"),
    ({"jwks": {"keys": [EC, EC]}}, r"\d+:\d+", "two keys have one kid"),
    ({"jwks": {"keys": [ec_key().as_dict(private=True)]}}, r"\d+:\d+", "private key"),
]


def written(path: Path, changed: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({name: one for name, one in (SOUND | changed).items() if one is not None}))
    return path


@pytest.mark.parametrize(("changed", "place", "said"), WRONG, ids=[one[2] for one in WRONG])
def test_a_wrong_file_is_told_with_its_place(tmp_path: Path, changed: dict[str, Any], place: str, said: str) -> None:
    path = written(tmp_path / "a.yaml", changed)
    with pytest.raises(InvalidFile, match=rf"{path}:{place}: .*{said}") as raised:
        read_client(path)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("bits", [1024, 2047, 8193, 400_000])
def test_a_key_that_is_too_weak_or_too_costly_is_refused(tmp_path: Path, bits: int) -> None:
    odd = {"kty": "RSA", "kid": "w", "n": int_to_base64(2**bits - 1), "e": "AQAB"}
    with pytest.raises(InvalidFile, match="2048"):
        read_client(written(tmp_path / "a.yaml", {"jwks": {"keys": [odd]}}))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: b: c", b"", b"- 1", b"x" * 300_000, b"&a [*a, *a]"])
def test_what_is_no_file_of_a_client_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidFile, match=str(path)):
        read_client(path)


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", {"scopes": ["x", "y"]})
    written(tmp_path / "b.yml", {"name": 3})
    with pytest.raises(InvalidFile) as raised:
        Clients(tmp_path)
    assert [Path(one.file).name for one in raised.value.faults] == ["a.yaml", "a.yaml", "b.yml"]


def test_two_files_of_one_id_are_a_fault(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", {})
    written(tmp_path / "b.yaml", {})
    with pytest.raises(InvalidFile, match=r"b\.yaml: a\.yaml has the same id"):
        Clients(tmp_path)


def test_other_files_of_the_folder_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / "key.jwk").write_text("{")
    (tmp_path / ".hidden.yaml").write_text("{")
    assert len(Clients(tmp_path)) == 0


def test_what_comes_and_goes_counts_at_once_and_what_is_rewritten_soon(tmp_path: Path) -> None:
    now = 0.0
    Sender("a").file(tmp_path)
    known = Clients(tmp_path, clock=lambda: now)
    first = known.generation
    Sender("b", rsa_key(), "RS384").file(tmp_path)
    assert known.get("b") is not None
    assert known.generation > first
    path = Sender("a").file(tmp_path, ["system/Medication.r"])
    assert str(known.get("a").scopes) == "system/*.cruds"
    now += clients.EVERY
    assert str(known.get("a").scopes) == "system/Medication.r"
    path.unlink()
    assert known.get("a") is None
    os.rename(tmp_path, tmp_path.with_name("elsewhere"))
    assert known.get("b") is None


def test_nothing_is_read_again_that_did_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    Sender("a").file(tmp_path)
    known = Clients(tmp_path, clock=lambda: now)
    monkeypatch.setattr(clients, "read_client", lambda *_: pytest.fail("read again"))
    before = known.generation, known.get("a")
    now += 100
    assert (known.generation, known.get("a")) == before


def test_more_clients_than_there_may_be_are_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clients, "MOST", 2)
    for name in "abc":
        written(tmp_path / f"{name}.yaml", {"id": name})
    assert [one.id for one in Clients(tmp_path)] == ["a", "b"]
    assert "more than 2 clients" in caplog.text


def test_a_link_that_leads_nowhere_is_told_and_takes_no_other_client_along(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", {})
    known = Clients(tmp_path, every=0)
    (tmp_path / "b.yaml").symlink_to(tmp_path / "nowhere")
    assert known.get(SOUND["id"]) is not None
    with pytest.raises(InvalidFile, match=r"b\.yaml"):
        Clients(tmp_path)


def test_a_file_that_goes_while_the_folder_is_looked_at_takes_no_other_client_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "a.yaml", {})
    written(tmp_path / "b.yaml", {"id": "other"})
    known = Clients(tmp_path, every=0)
    scan = os.scandir

    @contextmanager
    def scanned(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scan(folder) as entries:
            found = list(entries)
        (tmp_path / "b.yaml").unlink(missing_ok=True)
        yield found

    monkeypatch.setattr(os, "scandir", scanned)
    assert known.get("other") is None
    assert known.get(SOUND["id"]) is not None
