"""Three PostgreSQL nodes under Patroni, etcd and HAProxy on this machine, as `patroni.yml` and `haproxy.cfg` say.

Everything listens on loopback and lives in one folder. PostgreSQL does not run as root: then the nodes run as the
account `postgres`.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from string import Template
from typing import Any

from apothecary.testing import free_port

HERE = Path(__file__).parent
HOST = "127.0.0.1"
# For a trial on loopback. Anywhere else a secret of your own.
PASSWORD = "for-this-trial-only"  # noqa: S105
# Seconds: Patroni's defaults are 30, 10 and 10. Lower ones shorten the gap, and ask for a quick, steady network.
TTL, LOOP_WAIT, RETRY_TIMEOUT = 20, 2, 3


def until(holds: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """What `holds` gives as soon as that is true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)
    return found


def any_port() -> int:
    """A free port, held against others of this kind while this process lives."""
    number, mark = free_port()
    _MARKS.append(mark)
    return number


_MARKS: list[Any] = []


def account() -> dict[str, Any]:
    """How a process is started that PostgreSQL accepts."""
    if os.geteuid():
        return {}
    found = pwd.getpwnam("postgres")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def start(folder: Path, name: str, *command: object) -> subprocess.Popen[bytes]:
    """A process in a session of its own, its output in `folder`."""
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
            start_new_session=True, env={"PATH": os.environ["PATH"], "HOME": str(folder)}, **account(),
        )  # fmt: skip


@dataclass
class Node:
    """One PostgreSQL under its own Patroni."""

    name: str
    folder: Path
    patroni: Path
    values: dict[str, Any]
    port: int = field(default_factory=any_port)
    rest_port: int = field(default_factory=any_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        values = self.values | {
            "name": self.name, "host": HOST, "port": self.port, "rest_port": self.rest_port,
            "data_dir": self.folder / self.name, "password": PASSWORD,
            "ttl": TTL, "loop_wait": LOOP_WAIT, "retry_timeout": RETRY_TIMEOUT,
        }  # fmt: skip
        file = self.folder / f"{self.name}.yml"
        file.write_text(Template((HERE / "patroni.yml").read_text()).substitute(values))
        self.process = start(self.folder, self.name, self.patroni, file)

    def state(self) -> dict[str, Any]:
        """What Patroni says of the node; nothing where it does not answer."""
        connection = HTTPConnection(HOST, self.rest_port, timeout=2)
        try:
            connection.request("GET", "/patroni")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        except (OSError, HTTPException, ValueError):
            return {}
        finally:
            connection.close()

    def processes(self) -> list[int]:
        """Patroni, and PostgreSQL with its backends, which has a session of its own."""
        found = [self.process.pid] if self.process and self.process.poll() is None else []
        with suppress(OSError, ValueError):
            postmaster = int((self.folder / self.name / "postmaster.pid").read_text().split()[0])
            backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            found += [postmaster, *map(int, backends)]
        return found

    def signal(self, number: int) -> None:
        """Send a signal to all of it at once: SIGKILL is a machine that dies, SIGSTOP one that nobody reaches."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()


class Cluster:
    """The nodes, with what they need. `patroni` is Patroni's command, `bin_dir` has PostgreSQL's programs."""

    def __init__(self, folder: Path, patroni: Path, bin_dir: Path) -> None:
        self.folder = folder
        if not os.geteuid():
            shutil.chown(folder, "postgres", "postgres")
        client, peer = any_port(), any_port()
        self._etcd = start(
            folder, "etcd", "etcd", "--data-dir", folder / "etcd", "--listen-client-urls", f"http://{HOST}:{client}",
            "--advertise-client-urls", f"http://{HOST}:{client}", "--listen-peer-urls", f"http://{HOST}:{peer}",
            "--initial-advertise-peer-urls", f"http://{HOST}:{peer}", "--initial-cluster", f"default=http://{HOST}:{peer}",
        )  # fmt: skip
        values = {"etcd": f"{HOST}:{client}", "bin_dir": bin_dir}
        self.nodes = [Node(f"node{number}", folder, patroni, values) for number in (1, 2, 3)]
        self.primary_port = any_port()
        self._haproxy: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start everything, and wait until a leader and two standbys are there, one of them synchronous."""
        for node in self.nodes:
            node.start()
        self.whole()
        servers = "\n".join(
            f"    server {node.name} {HOST}:{node.port} check port {node.rest_port}" for node in self.nodes
        )
        file = self.folder / "haproxy.cfg"
        file.write_text(
            Template((HERE / "haproxy.cfg").read_text()).substitute(
                host=HOST, primary_port=self.primary_port, servers=servers
            )
        )
        self._haproxy = start(self.folder, "haproxy", shutil.which("haproxy") or "/usr/sbin/haproxy", "-f", file, "-db")

    def leader(self) -> Node | None:
        """The node that takes writes, as it says itself."""
        states = ((node, node.state()) for node in self.nodes)
        return next(
            (node for node, it in states if it.get("role") in ("primary", "master") and it.get("state") == "running"),
            None,
        )

    def whole(self) -> None:
        """Wait until every node runs, follows the leader, and one is synchronous."""

        def is_whole() -> bool:
            leader, states = self.leader(), [node.state() for node in self.nodes]
            if leader is None or not all(one.get("state") == "running" for one in states):
                return False
            # Two stream from it; Patroni names the synchronous one only then.
            told = leader.state().get("replication") or []
            return len(told) == 2 and any(one.get("sync_state") in ("sync", "quorum") for one in told)

        until(is_whole, "three nodes that replicate")

    def url(self, name: str, *, through_haproxy: bool = False, **more: object) -> str:
        """SQLAlchemy's URL of a database on whichever node takes writes."""
        places = [self.primary_port] if through_haproxy else [node.port for node in self.nodes]
        hosts = "&".join(f"host={HOST}:{one}" for one in places)
        # A node that hangs is given up: within 2 s by who connects, within 5 s by who waits for an answer.
        waits = "target_session_attrs=read-write&connect_timeout=2&tcp_user_timeout=5000"
        extra = "".join(f"&{key}={value}" for key, value in more.items())
        return f"postgresql+psycopg://postgres:{PASSWORD}@/{name}?{hosts}&{waits}{extra}"

    def stop(self) -> None:
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            node.kill()
        for process in (self._haproxy, self._etcd):
            if process is not None:
                process.kill()
                process.wait()


@contextmanager
def running(folder: Path, patroni: Path, bin_dir: Path) -> Iterator[Cluster]:
    """A cluster that works; all of it is gone afterwards, and only its folder stays."""
    cluster = Cluster(folder, patroni, bin_dir)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
