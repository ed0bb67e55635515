"""A store is closed while threads are at work in it: none of them meets a connection that is no more."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial

import pytest

from apothecary.errors import FhirError
from apothecary.settings import Settings
from apothecary.store.contract import Transaction
from apothecary.store.open import open_store
from apothecary.store.sql import SqlStore

ROUNDS = 15


def write(number: int, transaction: Transaction) -> None:
    transaction.set_state("at", str(number))


def work(begun: threading.Event, store: SqlStore) -> None:
    """Read and write until the store says that it is closed."""
    number = 0
    while True:
        try:
            store.changes()
            store.types()
            store.write(partial(write, number))
        except FhirError:
            return
        number += 1
        begun.set()


def main(database: str) -> None:
    """Close a store under four threads, several times."""
    failed: list[object] = []
    threading.excepthook = failed.append
    for _ in range(ROUNDS):
        store, begun = open_store(Settings(database=database)), threading.Event()
        threads = [threading.Thread(target=work, args=(begun, store)) for _ in range(4)]
        for one in threads:
            one.start()
        begun.wait()
        store.close()
        for one in threads:
            one.join()
    assert not failed, failed
    print("closed")


@pytest.mark.slow
def test_a_store_that_is_closed_under_threads_at_work_ends_none_of_them(database_url: str) -> None:
    command = [sys.executable, "-m", "tests.store.test_close", database_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


if __name__ == "__main__":
    main(sys.argv[1])
