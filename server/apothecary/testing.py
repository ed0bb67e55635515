"""What tests of other programs need: a server of their own, and an assertion that a resource is valid.

Nothing here needs pytest; `apothecary.pytest_plugin` makes fixtures of it. `docs/python.md` shows both.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import warnings
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from apothecary.errors import StartError
from apothecary.settings import PREFIX, Settings

if TYPE_CHECKING:
    from apothecary.api.given import Given
    from apothecary.api.validate import Profile
    from apothecary.errors import Issue
    from apothecary.fhir.releases import FhirVersion
    from apothecary.validation.profiles import Profiles

# Only a server that hangs is waited for so long; how fast one starts and stops is no matter here.
START_SECONDS = 120.0
STOP_SECONDS = 30.0
# Findings in the message of an assertion: all errors of a resource that a person wrote, but no thousand of them.
MOST_SHOWN = 25


class ServerProcess:
    """`apothecary serve` in a process of its own, on a free port of this machine; as a context manager, for a block.

    `folder` takes its log, and its SQLite database unless `settings` names another. `settings` are those of
    `docs/settings.md`, by name in lower case; without `content` the server starts empty. Variables `APOTHECARY_...` of
    this process do not reach it. Raises StartError for a setting that does not exist or makes no sense.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        given = {"database": f"sqlite:///{folder / 'apothecary.db'}", "content": "", **(settings or {})}
        if not {"port", "host"}.isdisjoint(given):
            raise StartError("host and port of a server for tests are its own choice")
        if given["content"]:
            given["content"] = Path(given["content"]).resolve()
        port, mark = free_port()
        self._give_back = weakref.finalize(self, mark.close)
        self.settings = Settings.from_environment(
            {PREFIX + name.upper(): str(value) for name, value in given.items()}, port=port
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def address(self) -> str:
        """`http://127.0.0.1:port`, without a slash at the end, as all addresses here."""
        return f"http://{self.settings.host}:{self.port}"

    @property
    def url(self) -> str:
        """The base that answers in the release that the request asks for, R5 by default."""
        return f"{self.address}/fhir"

    @property
    def r4(self) -> str:
        """The base that speaks R4."""
        return f"{self.url}/r4"

    @property
    def r4b(self) -> str:
        """The base that speaks R4B."""
        return f"{self.url}/r4b"

    @property
    def r5(self) -> str:
        """The base that speaks R5."""
        return f"{self.url}/r5"

    @property
    def database(self) -> str:
        """SQLAlchemy's URL of the database."""
        return self.settings.database

    @property
    def log(self) -> str:
        """What the server has written so far to standard output and standard error."""
        path = self.folder / "server.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start, and wait until requests are answered. Raises StartError, with the log, where that does not happen."""
        command = [sys.executable, "-P", "-m", "apothecary", "serve"]
        with (self.folder / "server.log").open("ab") as log:
            # The folder is nobody's project: neither its modules nor its files can get in the way. A session of its
            # own, so that an end by force reaches the workers, too.
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                command,
                cwd=self.folder,
                env=self.settings.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while not self._is_ready():
            status = self._process.poll()
            if status is None and time.monotonic() < end:
                time.sleep(0.05)
                continue
            self.kill()
            said = f"ended with status {status}" if status is not None else f"did not answer within {seconds:g} s"
            raise StartError(f"the server {said}. Its log:\n{self.log}")

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        connection = HTTPConnection(self.settings.host, self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask the server to end, and wait for that; warn and use force where it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            warnings.warn(f"the server did not stop within {seconds:g} s and was killed", stacklevel=2)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the server and its workers at once, whatever they were doing. It can be started again."""
        if self._process is None:
            return
        if sys.platform == "win32":
            self._process.kill()
        else:
            with suppress(ProcessLookupError):  # nobody is left
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        # Workers are nobody's children now, so that nobody is told of their end: it is seen by their silence.
        while self._is_open():
            time.sleep(0.01)

    def _is_open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.settings.host, self.port)) == 0

    def close(self) -> None:
        """Stop for good, and give the port back."""
        self.stop()
        self._give_back()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            self.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def free_port() -> tuple[int, socket.socket]:
    """A port of 127.0.0.1 on which nothing listens, and what keeps it from others who look for one in this way.

    A server may need seconds until it listens, and meanwhile the system gives its port to whoever asks for any: to a
    second test run, for instance. The same number held for UDP marks it as taken and is in no server's way.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        return port, mark


def assert_valid(
    resource: Given,
    profile: Profiles | Profile | Iterable[Profile] = (),
    release: FhirVersion | str | None = None,
    *,
    strict: bool = False,
) -> None:
    """Raises AssertionError, with place, rule and remedy of each finding, for a resource or Bundle that is not valid.

    The parameters are those of `apothecary.validate`; with `strict` warnings count, too.

    >>> from apothecary.testing import assert_valid
    >>> assert_valid({"resourceType": "Medication", "status": "active"})
    >>> assert_valid({"resourceType": "Medication", "status": "actve"})
    Traceback (most recent call last):
    AssertionError: Medication is not valid: 1 error
      error[code-not-in-value-set] at Medication.status
        Medication.status is 'actve', which is not a code of http://hl7.org/fhir/ValueSet/medication-status.
        help: Did you mean 'active'?
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    from apothecary.api.validate import validate

    severities = ("fatal", "error", "warning") if strict else ("fatal", "error")
    failing = [issue for issue in validate(resource, release, profile) if issue.severity in severities]
    if failing:
        raise AssertionError(_message(resource, failing))


def _message(resource: Given, issues: Sequence[Issue]) -> str:
    """The findings as pytest shows them, one below the other."""
    from apothecary.api.given import document
    from apothecary.reports.report import printable, resource_name

    lines = [f"{resource_name(document(resource).value) or 'the resource'} is not valid: {_counted(issues)}"]
    for issue in issues[:MOST_SHOWN]:
        place = f" at {printable(issue.expression[0])}" if issue.expression else ""
        lines += [f"  {issue.severity}[{issue.rule}]{place}", f"    {printable(issue.diagnostics)}"]
        if issue.remedy:
            lines.append(f"    help: {printable(issue.remedy)}")
    if len(issues) > MOST_SHOWN:
        lines.append(f"  and {len(issues) - MOST_SHOWN} more")
    return "\n".join(lines)


def _counted(issues: Sequence[Issue]) -> str:
    numbers = Counter("error" if issue.severity == "fatal" else issue.severity for issue in issues)
    return ", ".join(f"{number} {name}{'s' if number > 1 else ''}" for name, number in sorted(numbers.items()))
