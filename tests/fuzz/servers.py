"""Servers to be fuzzed: real processes on new databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from apothecary.fhir.releases import FhirVersion
from apothecary.testing import ServerProcess
from scripts.fetch_examples import examples
from tests.databases import fresh_database, running_cluster
from tests.fuzz.material import Material, committed
from tests.versions.corpus import ROOT

DATABASES = ("sqlite", "postgresql")
# Each part of a run has a server of its own: one that takes any reference, and one that asks whether it leads anywhere.
PARTS: tuple[dict[str, Any], ...] = (
    {"references": "allowed", "delete_referenced": "allowed", "conditional_delete": "multiple"},
    {"references": "enforced"},
)


def official() -> Material:
    """The official examples of every release, beside what the repository holds."""
    found = committed()
    for version in FhirVersion:
        for _, text in examples(version, ROOT / ".cache"):
            found.add(version, text)
    return found


@contextmanager
def server(database: str, settings: dict[str, Any], **more: Any) -> Iterator[ServerProcess]:
    """A server of two processes on a new database, for all resource types."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="apothecary-fuzz-")))
        # What is kept up to a bound fills early where that is small, and hides nothing that does not stop growing.
        small = {"sqlite_cache": 2, "cache_bytes": 4_000_000}
        given = {"workers": 2, "resource_types": "*", **small, **settings, **more}
        if database == "postgresql":
            cluster = stack.enter_context(running_cluster())
            given["database"] = stack.enter_context(fresh_database(cluster.url))
        yield stack.enter_context(ServerProcess(folder, given))


def process_of(running: ServerProcess) -> int:
    """The id of a server's first process."""
    process = running._process
    assert process is not None
    return process.pid
