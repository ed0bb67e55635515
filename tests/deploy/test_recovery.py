"""A PostgreSQL database is brought back to a moment in the past with deploy/backup/postgresql.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from apothecary.app import create_app
from apothecary.settings import Settings
from tests.databases import Cluster, DatabaseUnavailable, find_binaries, running_cluster
from tests.missing import missing
from tests.waiting import until

SCRIPT = Path(__file__).parent.parent.parent / "deploy" / "backup" / "postgresql.sh"


def run(cluster: Cluster, *words: object) -> subprocess.CompletedProcess[str]:
    """The script, as the account that runs PostgreSQL, connected to `cluster`."""
    account = "postgres" if os.geteuid() == 0 else None
    place = {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port), "PGUSER": "postgres"}
    path = f"{cluster._binaries()}:{os.environ['PATH']}"
    # Read by this account: the other one may not look into the folder of the repository.
    return subprocess.run(
        ["bash", "-s", "-", *map(str, words)], input=SCRIPT.read_text(), text=True, capture_output=True, check=False,
        env={**os.environ, "PATH": path, **place}, cwd="/", user=account, group=account,
        extra_groups=[] if account else None,
    )  # fmt: skip


@dataclass
class Archived:
    """A server whose log is kept, and where."""

    cluster: Cluster
    folder: Path


@pytest.fixture
def archived() -> Iterator[Archived]:
    try:
        found = find_binaries()
    except DatabaseUnavailable as error:
        missing(str(error))
    if not all((found / name).exists() for name in ("psql", "pg_verifybackup")):
        missing("psql and pg_verifybackup beside PostgreSQL's other programs (Debian: apt-get install postgresql)")
    with running_cluster(durable=True) as cluster:
        # Beside the data, where the account of the server may write.
        for name in ("archive", "base"):
            (cluster.directory / name).mkdir()
            if os.geteuid() == 0:
                shutil.chown(cluster.directory / name, "postgres", "postgres")
        assert run(cluster, "archive", cluster.directory / "archive").returncode == 0
        cluster.stop()
        cluster.start()
        yield Archived(cluster, cluster.directory)


def ask(cluster: Cluster, question: str) -> object:
    with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(question).fetchone()
        return row[0] if row else None


@pytest.mark.slow
def test_a_database_comes_back_as_it_was_before_a_mistake(archived: Archived) -> None:
    cluster = archived.cluster
    client = create_app(Settings(database=cluster.url, content="")).test_client()

    def create(text: str) -> str:
        body = {"resourceType": "Substance", "instance": False, "code": {"concept": {"text": text}}}
        answer = client.post("/fhir/Substance", json=body)
        assert answer.status_code == 201
        return f"/fhir/Substance/{answer.json['id']}"

    before_copy = create("before the copy")
    done = run(cluster, "base", archived.folder / "base")
    assert done.returncode == 0, done.stderr
    after_copy = create("after the copy")
    moment = ask(cluster, "SELECT clock_timestamp()::text")
    # The mistake: everything is deleted, and the log goes on.
    for address in (before_copy, after_copy):
        assert client.delete(address).status_code == 204
    late = create("after the mistake")
    last = ask(cluster, "SELECT pg_walfile_name(pg_switch_wal())")
    assert until(lambda: (archived.folder / "archive" / str(last)).exists())
    client.application.service.store.close()
    cluster.stop()

    for target, held in ((str(moment), {before_copy, after_copy}), (None, {late})):
        with ExitStack() as stack:
            recovered = Cluster(archived.folder / f"recovered-{len(held)}")
            recovered.directory.mkdir()
            if os.geteuid() == 0:
                shutil.chown(recovered.directory, "postgres", "postgres")
            given = [target] if target else []
            data = recovered.directory / "data"
            done = run(cluster, "recover", archived.folder / "base", archived.folder / "archive", data, *given)
            assert done.returncode == 0, done.stderr
            recovered.start()
            stack.callback(recovered.stop)
            assert until(lambda one=recovered: ask(one, "SELECT NOT pg_is_in_recovery()"))
            there = create_app(Settings(database=recovered.url, content="")).test_client()
            found = {one for one in (before_copy, after_copy, late) if there.get(one).status_code == 200}
            there.application.service.store.close()
            assert found == held


@pytest.mark.parametrize(
    ("words", "status"),
    [((), 2), (("base",), 2), (("archive", "/a'b"), 2), (("recover", "a", "b"), 2), (("no", "such"), 2)],
)
def test_a_call_that_makes_no_sense_says_so(words: tuple[str, ...], status: int) -> None:
    done = subprocess.run(["bash", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr
