"""A new version is brought in beside the one that serves, under load: docs/deployment.md, "Updating"."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

import apothecary
from apothecary.content import index_rules
from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.open import open_store
from apothecary.terminology.stored import LARGE
from apothecary.testing import ServerProcess
from tests.durability.health import always_healthy
from tests.durability.processes import Client, server_on
from tests.durability.test_crashes import Writer, check_what_was_written
from tests.mass import on
from tests.waiting import PATIENCE, until

NEXT = f"{int(schema.REVISION) + 1:04}"
MIGRATION = f'''"""More of each resource."""

import sqlalchemy as sa
from alembic import op

from apothecary.store.migrations.expand import create_index

revision, down_revision = "{NEXT}", "{schema.REVISION}"
branch_labels = depends_on = None
usable_from = "{schema.USABLE_FROM}"


def upgrade():
    op.add_column("resource", sa.Column("more", sa.Text()))
    create_index("resource_more", "resource", ["more"])
'''
# What the next version does otherwise: its tables, its rows in the index, and when a start waits for these.
CHANGES: Mapping[str, tuple[str, str]] = {
    "__init__.py": (r'__version__ = "[^"]*"', '__version__ = "99.0"'),
    "store/schema.py": (r'REVISION = "\d+"', f'REVISION = "{NEXT}"'),
    "search/parameters.py": (
        r'EXTRACTION = f"\d+ ((.|\n)*?)        return found\n\n\ndef _texts',
        r'EXTRACTION = f"999 \1        found[TokenRow("_next", "", "yes")] = None\n        return found'
        r"\n\n\ndef _texts",
    ),
    "content/index_rules.py": (r"AT_ONCE = \d+", "AT_ONCE = 20"),
}


def next_version(folder: Path) -> Path:
    """This code as its next version could be."""
    package = folder / "apothecary"
    shutil.copytree(Path(apothecary.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "store" / "migrations" / "versions" / f"{NEXT}_more.py").write_text(MIGRATION)
    for name, (pattern, instead) in CHANGES.items():
        changed, count = re.subn(pattern, instead, (package / name).read_text(), count=1)
        assert count == 1, f"{name} has no {pattern}: mend this test"
        (package / name).write_text(changed)
    return folder


@contextmanager
def code_of(folder: Path) -> Iterator[None]:
    """Processes that are started meanwhile run the code in `folder`."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def run(database: str, *words: str) -> str:
    """What a command says that succeeds."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "apothecary", *words, f"--database={database}"],
        capture_output=True, text=True, check=False, timeout=PATIENCE, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def ask(database: str, question: str) -> int:
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.execute(text(question)).scalar() or 0)


def settled(database: str) -> bool:
    """Whether the index holds what the newer version wants."""
    return ask(database, f"SELECT count(*) FROM state WHERE name LIKE '{index_rules.DUE}%'") == 0


@pytest.mark.mass
@pytest.mark.slow
@on("postgresql")
def test_a_new_version_comes_in_beside_the_old_one_and_nothing_is_lost(database_url: str, tmp_path: Path) -> None:
    following = next_version(tmp_path / "next")
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    old, new = (server_on(database_url, folder) for folder in folders)
    with ExitStack() as stack:
        for one in (old, new):
            stack.callback(one.kill)
        old.start()
        # It is killed twice, and stopped at the end.
        stack.enter_context(always_healthy(old.port, gaps=True))
        writer = Writer(old.port)
        writer.start()
        stack.callback(writer.stop)
        while len(writer.created) < 30:
            writer.get_on()
        with code_of(following):
            assert f"to {NEXT}" in run(database_url, "migrate")
        writer.get_on()
        # A process that has to start again goes on, too.
        _again(old)
        writer.get_on()
        with code_of(following):
            new.start()
        stack.enter_context(always_healthy(new.port, gaps=True))
        other = Writer(new.port, "n")
        other.start()
        stack.callback(other.stop)
        for one in (writer, other, writer, other):
            one.get_on()
        _again(old)
        writer.get_on()
        assert "newer version of Apothecary makes the search index" in old.log
        writer.stop()
        old.stop()
        other.get_on()
        other.stop()
        assert until(lambda: settled(database_url)), new.log
        new.stop()
    # On a machine that is busy enough, writers may collide until one is asked to try again.
    refused = [*writer.refused, *other.refused]
    assert [one for one in refused if one[0] != 503 or b"busy with other writes" not in one[1]] == []
    with code_of(following):
        assert "no defects" in run(database_url, "check")
    for one in (writer, other):
        check_what_was_written(one, database_url)
    # Every resource has the rows of the newer version, whoever wrote it last.
    count = "SELECT count(*) FROM index_token WHERE parameter = '_next'"
    assert ask(database_url, count) == ask(database_url, "SELECT count(*) FROM resource")


def _again(server: ServerProcess) -> None:
    server.kill()
    server.start()


def test_after_going_back_the_older_version_makes_the_index_its_own_again(database_url: str) -> None:
    settings = Settings(database=database_url, content="")
    run(database_url, "migrate")
    store = open_store(settings)
    store.write(lambda transaction: transaction.set_state(index_rules.MAKER, "999 99.0"))
    assert index_rules.behind(store)
    run(database_url, "migrate", "--reindex")
    assert not index_rules.behind(store)
    assert store.state(index_rules.INDEX) is None
    store.close()


@pytest.mark.parametrize(
    ("maker", "behind"),
    [
        ("", False),
        (index_rules.this_version(), False),
        ("1 99.0.0", False),
        (f"{index_rules.this_version()}.1", True),
        (f"{index_rules.this_version()}rc1", False),
        ("999 0.0.1", True),
    ],
)
def test_the_newer_of_two_versions_is_known(sqlite_database_url: str, maker: str, behind: bool) -> None:
    store = open_store(Settings(database=sqlite_database_url))
    store.write(lambda transaction: transaction.set_state(index_rules.MAKER, maker))
    assert index_rules.behind(store) is behind
    store.close()


CODES = "http://example.org/upgraded"


def large(version: int) -> dict[str, object]:
    """A code system whose concepts lie in tables of their own, one of them of this version only."""
    concepts = [{"code": f"c{number}"} for number in range(LARGE)]
    return {
        "resourceType": "CodeSystem", "id": "upgraded", "url": CODES, "version": str(version), "status": "active",
        "content": "complete", "caseSensitive": True, "concept": [*concepts, {"code": f"only-{version}"}],
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.slow
def test_a_large_code_system_is_of_one_version_for_both_whichever_of_them_writes_it(
    database_url: str, tmp_path: Path
) -> None:
    following = next_version(tmp_path / "next")
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    old, new = (server_on(database_url, folder) for folder in folders)

    def write(server: ServerProcess, version: int, *asking: ServerProcess) -> None:
        with closing(Client(server.port)) as client:
            answer = client.send("PUT", "/CodeSystem/upgraded", large(version))
        assert answer.status in (200, 201), answer.body
        for one, asked in product(asking, range(1, version + 1)):
            with closing(Client(one.port)) as client:
                found = client.send("GET", f"/CodeSystem/$validate-code?url={CODES}&code=only-{asked}")
            parameters = json.loads(found.body)["parameter"]
            result = next(part["valueBoolean"] for part in parameters if part["name"] == "result")
            assert result is (asked == version), (server is one, version, asked)

    with ExitStack() as stack:
        for one in (old, new):
            stack.callback(one.kill)
        old.start()
        write(old, 1, old)
        with code_of(following):
            run(database_url, "migrate")
            write(old, 2, old)
            new.start()
        write(new, 3, new, old)
        write(old, 4, old, new)
        write(new, 5, old, new)
        old.stop()
        assert until(lambda: settled(database_url)), new.log
        write(new, 6, new)
        new.stop()
    with code_of(following):
        assert "no defects" in run(database_url, "check")
