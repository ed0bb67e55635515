"""Kill the leader, cut it off, and let a replica lag, while clients write: is every acknowledged write there?

`make test-ha` runs it. It wants Patroni (`requirements/ha.txt`), etcd and HAProxy (Debian: apt-get install
etcd-server haproxy) and PostgreSQL's programs, prints what it saw, and ends with status 1 where a write was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg

from apothecary.store.url import conninfo, database_url
from apothecary.testing import ServerProcess
from deploy.patroni.cluster import HOST, PASSWORD, Cluster, Node, running, until

JSON = {"Content-Type": "application/fhir+json"}
# Longer than any gap should be: a request that hangs for good is a defect.
ANSWER_SECONDS = 60.0


Happening = Callable[[Node, list["Writer"]], str]
"""Does its harm to the leader while the writers write, and says what came of it."""


class Writer(threading.Thread):
    """Creates one resource after the other, and reads each back at once, until it is told to stop."""

    def __init__(self, port: int, *, keeps_cookies: bool = False) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._keeps_cookies = keeps_cookies
        self._ended = threading.Event()
        self.acknowledged: list[str] = []
        self.times: list[float] = []
        """When each was acknowledged."""
        self.unread: list[str] = []
        """What was acknowledged and was not there when its client asked for it."""
        self.refused: dict[int, int] = {}
        """How often an answer had another status than 201."""

    def run(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            connection = HTTPConnection(HOST, self._port, timeout=ANSWER_SECONDS)
            try:
                self._one(connection, number)
            except (OSError, HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()

    def _one(self, connection: HTTPConnection, number: int) -> None:
        body = json.dumps({"resourceType": "Substance", "instance": False, "code": {"concept": {"text": f"s{number}"}}})
        connection.request("POST", "/fhir/Substance", body, JSON)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
            time.sleep(0.05)
            return
        identity = json.loads(text)["id"]
        self.acknowledged.append(identity)
        self.times.append(time.monotonic())
        cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
        connection.request(
            "GET", f"/fhir/Substance/{identity}", headers={"Cookie": cookie} if self._keeps_cookies and cookie else {}
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status == 404:
            self.unread.append(identity)

    def more(self, count: int = 20) -> None:
        """Wait until `count` more are acknowledged."""
        seen = len(self.acknowledged)
        until(lambda: len(self.acknowledged) >= seen + count, f"{count} more writes, refused: {self.refused}")

    def stop(self) -> None:
        self._ended.set()
        self.join(2 * ANSWER_SECONDS)

    @property
    def gap(self) -> float:
        """The longest time without an acknowledged write, in seconds."""
        return max((later - sooner for sooner, later in zip(self.times, self.times[1:], strict=False)), default=0.0)


def lost(cluster: Cluster, database: str, writers: list[Writer]) -> set[str]:
    """What was acknowledged and is not in the database."""
    with psycopg.connect(conninfo(database_url(cluster.url(database)))) as connection:
        held = {row[0] for row in connection.execute("SELECT id FROM resource WHERE type = 'Substance'")}
    return {one for writer in writers for one in writer.acknowledged} - held


def ask(node: Node, question: str) -> object:
    """The first value of what a node answers."""
    url = f"host={HOST} port={node.port} user=postgres password={PASSWORD} dbname=postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(question)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


class Trial:
    """What the cases have in common: a cluster, a database, two servers on it, a writer at each."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder, self.failed = cluster, folder, False

    def case(
        self, name: str, happen: Happening, *, through_haproxy: bool = False, **settings: Callable[[str], str]
    ) -> None:
        """Run servers and writers while `happen(leader, writers)` does its harm; print what came of it."""
        database = name.split()[0].lower()
        leader = until(self.cluster.leader, "a leader")
        with psycopg.connect(conninfo(database_url(self.cluster.url("postgres"))), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        url = self.cluster.url(database, through_haproxy=through_haproxy)
        with ExitStack() as stack:
            writers = []
            for number in (1, 2):
                folder = self.folder / f"{database}{number}"
                folder.mkdir()
                given = {"database": url, "workers": 2, **{key: make(database) for key, make in settings.items()}}
                server = ServerProcess(folder, given)
                until(lambda: self._is_copied(database), "the database on every node")
                stack.enter_context(server)
                writers.append(Writer(server.port, keeps_cookies=bool(settings)))
            for writer in writers:
                writer.start()
                stack.callback(writer.stop)
            for writer in writers:
                writer.more()
            told = happen(leader, writers)
            for writer in writers:
                writer.more()
                writer.stop()
        gone = lost(self.cluster, database, writers)
        unread = sum(len(writer.unread) for writer in writers)
        refused = {status: sum(w.refused.get(status, 0) for w in writers) for w in writers for status in w.refused}
        self.failed |= bool(gone or unread or set(refused) - {503})
        print(
            f"{name}: {sum(len(w.acknowledged) for w in writers)} acknowledged, {len(gone)} lost, "
            f"{unread} not read back, gap {max(w.gap for w in writers):.1f} s, other answers {refused or 'none'}{told}",
            flush=True,
        )
        self.cluster.whole()

    def _is_copied(self, database: str) -> bool:
        question = f"SELECT count(*) FROM pg_database WHERE datname = '{database}'"  # noqa: S608 (a constant)
        return all(ask(node, question) for node in self.cluster.nodes)


def killed(cluster: Cluster) -> Happening:
    def happen(leader: Node, _writers: list[Writer]) -> str:
        leader.kill()
        new = until(cluster.leader, "another leader")
        leader.start()
        return f"; {leader.name} -> {new.name}"

    return happen


def cut_off(cluster: Cluster) -> Happening:
    """The leader stands still, as a machine that nobody reaches: its connections stay open, and nothing comes.

    When another leads, it is reset, as its watchdog would have done by then. Without a watchdog it may go on for the
    moment until it sees that it leads no more: it acknowledges no write, but may answer reads from its past.
    """

    def happen(leader: Node, writers: list[Writer]) -> str:
        leader.signal(signal.SIGSTOP)
        try:
            new = until(
                lambda: next((n for n in cluster.nodes if n is not leader and _leads(n)), None), "another leader"
            )
            for writer in writers:
                writer.more()
        finally:
            leader.kill()
        leader.start()
        return f"; {leader.name} -> {new.name}"

    return happen


def _leads(node: Node) -> bool:
    state = node.state()
    return state.get("role") in ("primary", "master") and state.get("state") == "running"


def lagging(standby: Node) -> Happening:
    """The standby that is read from takes the log in, and does not replay it."""

    def happen(leader: Node, writers: list[Writer]) -> str:
        (replaying,) = (pid for pid in standby.processes() if b"startup" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(replaying, signal.SIGSTOP)
        try:
            for writer in writers:
                writer.more(40)
            end = ask(leader, "SELECT pg_current_wal_lsn()")
            behind = int(str(ask(standby, f"SELECT '{end}'::pg_lsn - pg_last_wal_replay_lsn()")))
        finally:
            os.kill(replaying, signal.SIGCONT)
        if behind <= 0:
            raise RuntimeError(f"{standby.name} did not lag: nothing was tried")
        return f"; {standby.name} was {behind} bytes behind"

    return happen


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patroni", type=Path, required=True, help="Patroni's command")
    parser.add_argument("--bin", type=Path, help="the folder of PostgreSQL's programs; Debian's newest by default")
    parser.add_argument("--only", default="", help="the first word of the one case to try")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="apothecary-ha-", ignore_cleanup_errors=True) as temporary:
        os.chmod(temporary, 0o755)  # noqa: S103 (the nodes run as another account)
        folder, nodes = Path(temporary), Path(temporary) / "nodes"
        nodes.mkdir()
        try:
            with running(nodes, given.patroni.absolute(), given.bin or _programs()) as cluster:
                trial = Trial(cluster, folder)
                standby = next(node for node in cluster.nodes if not _leads(node))
                replica = {"read_database": lambda name: _url(standby, name)}
                cases: list[tuple[str, Happening, dict[str, Any]]] = [
                    ("Lagging replica", lagging(standby), replica),
                    ("Killed leader", killed(cluster), {}),
                    ("Proxied: killed leader, HAProxy", killed(cluster), {"through_haproxy": True}),
                    ("Cut off leader", cut_off(cluster), {}),
                ]
                for name, happening, options in cases:
                    if name.startswith(given.only):
                        trial.case(name, happening, **options)
        except BaseException:
            for log in sorted(folder.glob("**/*.log")):
                print(f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-1500:]}", file=sys.stderr)
            raise
    return int(trial.failed)


def _programs() -> Path:
    """Where Debian keeps PostgreSQL's programs. Raises SystemExit where it has none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise SystemExit("PostgreSQL's programs are not in /usr/lib/postgresql: name their folder with --bin")
    return found[-1]


def _url(node: Node, database: str) -> str:
    return f"postgresql+psycopg://postgres:{PASSWORD}@{HOST}:{node.port}/{database}"


if __name__ == "__main__":
    sys.exit(main())
