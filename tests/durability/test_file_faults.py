"""A SQLite file that is removed, replaced, cut short, damaged or out of room under a server: no write is acknowledged
that would be lost, and everybody is told why. https://www.sqlite.org/howtocorrupt.html
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.testing import ServerProcess
from tests.durability.disks import filled, small_disk
from tests.durability.health import always_healthy
from tests.durability.processes import Client, medication, unsound
from tests.mass import much
from tests.waiting import until

READ = ("GET", "/Medication/none")


def create(value: str = "m", **more: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", "/Medication", medication(value, **more)


@contextmanager
def served(folder: Path, **settings: Any) -> Iterator[tuple[ServerProcess, Client]]:
    """A server on a file in `folder`, that is healthy all the time and writes no traceback."""
    with ServerProcess(folder, settings) as server, always_healthy(server.port):
        client = Client(server.port)
        yield server, client
        client.close()
        assert "Traceback" not in server.log


def ready(server: ServerProcess) -> tuple[int, str]:
    """The status of `/readyz`, and what it says."""
    client = Client(server.port, base="")
    answer = client.send("GET", "/readyz")
    client.close()
    return answer.status, answer.body.decode()


def _moved(file: Path) -> None:
    file.rename(file.with_name("aside"))


def _back(file: Path) -> None:
    file.with_name("aside").rename(file)


def _replaced(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.rename(file.with_name("aside"))
    file.with_name("copy").rename(file)


def _without_log(file: Path) -> None:
    Path(f"{file}-wal").rename(file.with_name("aside"))


def _log_back(file: Path) -> None:
    file.with_name("aside").rename(f"{file}-wal")


def _emptied(file: Path) -> None:
    os.truncate(file, 0)


def _halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


# What is done to the file, what is said of it, and what makes it good again.
FAULTS: dict[str, tuple[Callable[[Path], None], str, Callable[[Path], None] | None]] = {
    "moved away": (_moved, "its file is gone", _back),
    "replaced by a copy": (_replaced, "another file is in the place of its own", _back),
    "its log removed": (_without_log, "its log (-wal) was removed", _log_back),
    "cut down to nothing": (_emptied, "its file was cut short", None),
    "cut in half": (_halved, "its file was cut short", None),
}


@pytest.mark.mass
@pytest.mark.parametrize("name", much([*FAULTS][1::2], [*FAULTS]))
def test_a_file_that_is_not_what_it_was_takes_no_write_and_the_reason_is_told(name: str, tmp_path: Path) -> None:
    break_, reason, mend = FAULTS[name]
    file = tmp_path / "apothecary.db"
    # Everything is in the file, and its log is begun anew.
    ServerProcess(tmp_path).__enter__().close()
    with served(tmp_path) as (server, client):
        kept = client.send(*create()).json["id"]
        break_(file)
        refused = client.send(*create("lost"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert reason in refused.body.decode()
        assert (found := ready(server))[0] == 503
        assert reason in found[1]
        assert until(lambda: client.send(*READ).status == 503), "reads look once a second"
        assert server.log.count(f"cannot be used: {reason}") == 1
        if mend is not None:
            mend(file)
            assert until(lambda: ready(server)[0] == 200)
            assert client.send("GET", f"/Medication/{kept}").status == 200
            assert client.send(*create()).status == 201
            assert client.send("GET", "/Medication?_summary=count").json["total"] == 2, "what was refused is not there"
    if mend is not None:
        assert unsound(server.database) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_page_is_told_and_nothing_more_is_written(workers: int, tmp_path: Path) -> None:
    file = tmp_path / "apothecary.db"
    with ServerProcess(tmp_path) as before:
        client = Client(before.port)
        for number in range(40):
            assert client.send(*create(f"m{number}", id=f"m{number}")).status == 201
        client.close()
    # Without a cache each request sees the file itself.
    with served(tmp_path, sqlite_cache=0, workers=workers) as (server, client):
        with file.open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\xa5" * (file.stat().st_size - 4096))
        reads = ("GET", "/Medication?identifier=http://ex.org/sku|m1")
        assert until(lambda: client.send(*reads).status == 503)
        assert "its file is damaged" in client.send(*reads).body.decode()
        assert until(lambda: client.send(*create()).status == 503)
        assert until(lambda: ready(server)[0] == 503)


def test_a_full_disk_is_507_and_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 6) as disk:
        fill_and_check(f"sqlite:///{disk / 'apothecary.db'}", disk, tmp_path)


def fill_and_check(database: str, disk: Path, folder: Path) -> None:
    with served(folder, database=database) as (server, client), ExitStack() as stack:
        kept = [client.send(*create()).json["id"]]
        room = filled(disk)
        stack.callback(room.unlink, missing_ok=True)
        for number in range(1000):
            answer = client.send(*create(f"m{number}", doseForm={"text": "x" * 10_000}))
            if answer.status != 201:
                break
            kept.append(answer.json["id"])
        assert answer.status == 507
        assert answer.json["issue"][0]["code"] == "no-store"
        assert client.send("GET", f"/Medication/{kept[0]}").status == 200, "readers need no room"
        assert ready(server)[0] == 507
        room.unlink()
        assert until(lambda: ready(server)[0] == 200)
        kept.append(client.send(*create()).json["id"])
        for one in kept:
            assert client.send("GET", f"/Medication/{one}").status == 200
    store = open_store(Settings(database=database, content=""))
    assert {one.id for one in store.all_of_type("Medication")} == set(kept)
    store.close()
    assert unsound(database) == []
