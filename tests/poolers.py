"""A real PgBouncer for the tests: https://www.pgbouncer.org/config.html"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.databases import account, free_port
from tests.missing import missing
from tests.waiting import until

# Fewer sessions than clients, so that one client meets the sessions of others. In session mode a server with one thread
# keeps two, and looks with a third whether the database answers.
SESSIONS = 3

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {sessions}
max_client_conn = 100
server_login_retry = 1
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""


def program() -> str:
    """Where PgBouncer is; Debian has it off the path. Skips the test where there is none."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found or missing("PgBouncer is not installed (Debian: apt-get install pgbouncer)")


@contextmanager
def running_pooler(database: str, mode: str) -> Iterator[str]:
    """The URL of the same database behind a pooler with a `pool_mode`; gone afterwards."""
    command, url, port = program(), make_url(database), free_port()
    folder = Path(tempfile.mkdtemp(prefix="apothecary-pooler-"))
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(server=url.port, port=port, mode=mode, sessions=SESSIONS, folder=folder)
    )
    user = None
    if os.geteuid() == 0:
        user = account()
        for one in (folder, configuration):
            shutil.chown(one, user, pwd.getpwnam(user).pw_gid)
    behind = url.set(host="127.0.0.1", port=port)
    with subprocess.Popen([command, str(configuration)], user=user, stderr=subprocess.DEVNULL, cwd="/") as process:
        try:
            assert until(lambda: process.poll() is not None or _answers(port, str(url.database)))
            assert process.poll() is None, (folder / "pgbouncer.log").read_text()
            yield behind.render_as_string(hide_password=False)
        finally:
            process.terminate()
    shutil.rmtree(folder)


def _answers(port: int, database: str) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname=database, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True
