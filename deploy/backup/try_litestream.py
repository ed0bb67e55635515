"""Lose the disk of a server on SQLite while clients write, and bring the database back from Litestream's copy.

`make test-ha` runs it, with the configuration in `litestream.yml`. It prints what it saw, and ends with status 1 where
more was lost than the configuration allows, or the restored database is not sound.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from apothecary.testing import ServerProcess
from deploy.patroni.cluster import until
from deploy.patroni.try_failover import Writer

CONFIGURATION = Path(__file__).with_name("litestream.yml")
# How much may be lost: the two intervals of the configuration, and what a busy machine adds to them.
LOST_SECONDS = 5.0
WRITES = 60


def held(file: Path) -> set[str]:
    """The ids of the Substances in a database."""
    with sqlite3.connect(file) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM resource WHERE type = 'Substance'")}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--litestream", type=Path, required=True, help="Litestream's command")
    litestream = parser.parse_args().litestream.absolute()
    with tempfile.TemporaryDirectory(prefix="apothecary-litestream-") as name:
        return trial(Path(name), litestream)


def trial(folder: Path, litestream: Path) -> int:
    database, copy = folder / "apothecary.db", folder / "copy"
    configuration = folder / "litestream.yml"
    text = CONFIGURATION.read_text().replace("/var/lib/apothecary/apothecary.db", str(database))
    configuration.write_text(text.replace("/var/backups/apothecary", str(copy)))

    def restore(to: str, *more: str) -> Path:
        command = [litestream, "restore", "-config", configuration, "-o", folder / to, *more, database]
        subprocess.run(command, check=True, capture_output=True)
        return folder / to

    server = ServerProcess(folder, {"database": f"sqlite:///{database}", "workers": 2})
    server.start()
    with (folder / "litestream.log").open("wb") as log:
        replication = subprocess.Popen([litestream, "replicate", "-config", configuration], stdout=log, stderr=log)
    writer = Writer(server.port)
    try:
        until(copy.exists, "a first copy")
        writer.start()
        writer.more(WRITES)
        time.sleep(2 * LOST_SECONDS)
        then, moment = datetime.now(UTC), time.monotonic()
        time.sleep(2 * LOST_SECONDS)
        writer.more(WRITES)
        # The machine dies with its disk.
        server.kill()
        replication.kill()
        died = time.monotonic()
    finally:
        server.kill()
        replication.kill()
        replication.wait()
        writer.stop()
    for path in folder.glob("apothecary.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    newest = held(restore("newest.db"))
    gone = [died - at for one, at in zip(writer.acknowledged, writer.times, strict=True) if one not in newest]
    past = held(restore("past.db", "-timestamp", then.strftime("%Y-%m-%dT%H:%M:%SZ")))
    times = dict(zip(writer.acknowledged, writer.times, strict=True))
    # A timestamp has whole seconds, and what was acknowledged a moment before may be copied a moment later.
    before = {one for one, at in times.items() if at < moment - LOST_SECONDS}
    late = {one for one, at in times.items() if at > moment + LOST_SECONDS}
    command = [sys.executable, "-m", "apothecary", "check", "--database", f"sqlite:///{folder / 'newest.db'}"]
    sound = subprocess.run(command, capture_output=True, text=True, check=False)
    print(
        f"Litestream: {len(writer.acknowledged)} acknowledged, {len(gone)} lost, all within "
        f"{max(gone, default=0.0):.1f} s before the end; the state of {then:%H:%M:%S} has {len(past & before)} of the "
        f"{len(before)} that were there {LOST_SECONDS:g} s before, and {len(past & late)} of the {len(late)} that came "
        f"{LOST_SECONDS:g} s later; {sound.stderr.strip()}"
    )
    right = before and late and before <= past and not past & late
    return int(max(gone, default=0.0) > LOST_SECONDS or not right or sound.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
