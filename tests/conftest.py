"""Fixtures that every test may use: a PostgreSQL server for the session, and a fresh database on either engine."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.workermanage import WorkerController

from tests.databases import (
    URL_VARIABLE,
    Cluster,
    DatabaseUnavailable,
    KeptDatabase,
    fresh_database,
    shared_cluster,
)
from tests.missing import missing

# A test that draws its cases may take as long as it takes: what is drawn is judged, and not how fast.
settings.register_profile("apothecary", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("apothecary")

pytest_plugins = ["pytester"]

_DIRECTORY = pytest.StashKey[Path]()
_OWNER = pytest.StashKey[int]()


# Of a table of cases `--fast` takes so many, evenly, and nothing of what takes long or is proved by mass. It does not
# look into rooms where most tests start processes, walk through everything, or are about the house.
SOME, SLOW = 2, ("slow", "mass")
FAR = ("api", "benchmarks", "bulk", "cli", "conformance", "deploy", "docs", "durability", "fuzz", "importers", "pages")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="what shows most defects in a minute: two cases of each table, on SQLite"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--fast`, do not even collect what is left out whole."""
    room, *files = collection_path.relative_to(Path(__file__).parent).parts or ("",)
    far = room in FAR or (not files and room.startswith("test_"))
    return True if far and config.getoption("fast") else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--fast`, leave out most."""
    if not config.getoption("fast"):
        return
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not any(map(item.get_closest_marker, SLOW)) and not _wants_postgresql(item):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = {id(item) for table in tables.values() for item in table[:: -(-len(table) // SOME)]}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


def _wants_postgresql(item: pytest.Item) -> bool:
    """Whether a test runs on PostgreSQL."""
    names = getattr(item, "fixturenames", ())
    return "postgresql" in item.nodeid.partition("[")[2] or any("postgresql" in name for name in names)


def pytest_configure(config: pytest.Config) -> None:
    """Agree on the folder of the session's PostgreSQL: the controller makes it, xdist's workers are told of it."""
    told = getattr(config, "workerinput", None)
    if told is None:
        config.stash[_DIRECTORY] = Path(tempfile.mkdtemp(prefix="apothecary-postgresql-"))
        config.stash[_OWNER] = os.getpid()
    else:
        config.stash[_DIRECTORY] = Path(told["postgresql_directory"])
        config.stash[_OWNER] = told["postgresql_owner"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell an xdist worker where the session's PostgreSQL is, or will be."""
    node.workerinput["postgresql_directory"] = str(node.config.stash[_DIRECTORY])
    node.workerinput["postgresql_owner"] = node.config.stash[_OWNER]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """With `-n auto`, half as many processes again as there are processors: a good part of the time a test waits, for
    another process, a database or a clock. PYTEST_XDIST_AUTO_NUM_WORKERS, which xdist itself reads, says otherwise.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + processors // 2


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the session's PostgreSQL, if any test wanted one, after the last worker is done."""
    if not hasattr(config, "workerinput") and _DIRECTORY in config.stash:
        Cluster(config.stash[_DIRECTORY]).stop()
        shutil.rmtree(config.stash[_DIRECTORY], ignore_errors=True)


def pytest_collection_finish() -> None:
    """What was collected stays until the end: no search for garbage has to go through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy's URL of a running PostgreSQL server, on which this session may create databases.

    Without a server, tests that want one are skipped, but fail in continuous integration: there, nothing may be
    left untested in silence.
    """
    if given := os.environ.get(URL_VARIABLE):
        return given
    try:
        return shared_cluster(request.config.stash[_DIRECTORY], request.config.stash[_OWNER]).url
    except DatabaseUnavailable as error:
        missing(str(error))


@pytest.fixture
def postgresql_database_url(postgresql_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database that is this test's own."""
    with fresh_database(postgresql_url) as url:
        yield url


@pytest.fixture(scope="session")
def kept_postgresql(postgresql_url: str) -> Iterator[KeptDatabase]:
    kept = KeptDatabase(postgresql_url)
    yield kept
    kept.close()


@pytest.fixture
def sqlite_database_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'apothecary.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of this test's own; the test runs once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_database_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def emptied_url(request: pytest.FixtureRequest) -> str:
    """As `database_url`, in much less time: on PostgreSQL one database with tables, emptied before each test. For tests
    that open stores and do not look at how tables come about, nor at what the planner knows of them.
    """
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_database_url"))
    kept: KeptDatabase = request.getfixturevalue("kept_postgresql")
    return kept.emptied()
