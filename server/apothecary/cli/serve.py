"""`apothecary serve`: bring the content into the store, then answer requests."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click

from apothecary.cli.serve_log import say
from apothecary.cli.serve_stop import Stop
from apothecary.errors import Busy, StartError
from apothecary.settings import PREFIX, Settings

Command = Callable[..., None]
T = TypeVar("T")

# A start beside servers that write all the time tries for so many seconds, at this distance, to bring its content in.
PATIENCE, PAUSE = 60.0, 0.5
# So many sentences of one kind are told of the content.
MOST_TOLD = 100

_FIELDS = {one.name: one for one in fields(Settings)}


def _option(name: str, metavar: str) -> Callable[[Command], Command]:
    """The option of a setting. Its help is the setting's own, with the default and the variable."""
    setting, word = _FIELDS[name], name.replace("_", "-")
    flag = isinstance(setting.default, bool)
    default = str(setting.default).lower() if flag else setting.default
    return click.option(
        f"--{word}/--no-{word}" if flag else f"--{word}",
        name,
        default=None,
        metavar=None if flag else metavar,
        help=f"{setting.metadata['doc']}  [env var: {PREFIX}{name.upper()}; default: {default or 'none'}]",
    )


@click.command()
@_option("host", "ADDRESS")
@_option("port", "PORT")
@_option("share_port", "")
@_option("workers", "N")
@_option("database", "URL")
@_option("read_database", "URL")
@_option("content", "PATH")
def serve(**options: Any) -> None:
    """Serve content over FHIR REST: a folder of FHIR files, a FHIR package, bundles or NDJSON.

    Every option and every other setting can be given as a variable APOTHECARY_<NAME>; `apothecary settings` lists them.
    """
    settings = Settings.from_environment(**options)
    with Stop(settings.stop_seconds) as stop, ExitStack() as stack:
        from apothecary.cli.serve_listen import bind

        # First of all: where the port cannot be had, the database is not touched.
        bound = stack.enter_context(bind(settings))
        settings = replace(settings, port=bound.getsockname()[1])
        if settings.metrics_folder:
            _check_metrics_folder(settings.metrics_folder)
        _prepare(settings)
        status = _run(settings, bound, stop, stack)
    sys.exit(status)


def _prepare(settings: Settings) -> None:
    """Bring the content into the database, and see that all can be had that the workers will want."""
    from apothecary.content.drift import after_sync
    from apothecary.content.sync import sync
    from apothecary.interactions.service import OPENING
    from apothecary.store.open import open_replica, opened

    if settings.authorized:
        _check_who_may_ask(settings)
    with opened(settings) as store:
        try:
            report = patiently(lambda: sync(settings, store))
            differs = after_sync(store, Path(settings.content)) if settings.content else None
        except OSError as error:
            raise StartError(f"{error.filename or settings.content}: cannot be read: {error.strerror}") from error
        if (replica := open_replica(settings, store)) is not None:
            # Opened to be checked: each process opens its own.
            replica.close()
    say(f"content: {report}")
    told = (*_some(report.left_out), *_some(report.dangling), *report.overruled)
    for sentence in (*told, *((differs,) if differs else ())):
        say(f"warning: {sentence}")
    if not settings.writable:
        opening = "" if settings.read_only else f" ({OPENING})"
        say(f"read-only: {settings.why_read_only}{opening}")


def _check_who_may_ask(settings: Settings) -> None:
    """Read the clients before the database is touched. Raises StartError with the place of every fault."""
    from apothecary.access.clients import clients_of
    from apothecary.access.issuers import Issuers

    clients, issuers = clients_of(settings), Issuers(settings)
    if clients is not None and not clients and not issuers:
        say(f"warning: there are no clients in {settings.clients}, and no issuers: nobody can ask yet")
    if not settings.loopback and not settings.root.startswith("https:"):
        say(f"warning: {settings.root} is not https: whoever sees a token on its way can use it")


def _some(sentences: Sequence[str]) -> list[str]:
    """No more than one reads; how many there are else."""
    more = len(sentences) - MOST_TOLD
    return [*sentences[:MOST_TOLD], *([f"and {more} more such: apothecary validate names all"] if more > 0 else [])]


def patiently(work: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `work` gives. Where other servers of the database write too much, it is begun again for so many seconds: a
    request tells its client, but a start has nobody who would start it again.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return work()
        except Busy as error:
            if error.issues[0].code != Busy.code or time.monotonic() >= end:
                raise
            time.sleep(PAUSE)


def _run(settings: Settings, bound: socket.socket, stop: Stop, stack: ExitStack) -> int:
    """Answer requests until the process is asked to stop; the exit status."""
    # Here, so that it is loaded before the workers fork, and each does not load it again.
    from apothecary.cli.serve_listen import url
    from apothecary.cli.serve_workers import Workers

    # From here on there is something to tidy up: a signal no longer ends the process at once.
    stop.by(lambda: None)
    address = f"{url(settings.host, settings.port)}/fhir"
    if settings.workers > 1 and not settings.metrics_folder:
        settings = replace(settings, metrics_folder=_temporary_folder(stack))
    workers = Workers(settings, bound, lambda: say(f"serving {address}"))
    stop.by(workers.stop)
    workers.run()
    if stop.asked:
        return 0
    return 2 if workers.failed else 1


def _check_metrics_folder(given: str) -> None:
    """Make the folder where several processes add up their metrics. Raises StartError."""
    try:
        Path(given).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{PREFIX}METRICS_FOLDER: {given} cannot be made: {error.strerror}") from error
    if not os.access(given, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(f"{PREFIX}METRICS_FOLDER: there is no permission to write in {given}")


def _temporary_folder(stack: ExitStack) -> str:
    """A folder of that kind which goes when the server ends. Raises StartError."""
    try:
        return stack.enter_context(TemporaryDirectory(prefix="apothecary-metrics-", ignore_cleanup_errors=True))
    except OSError as error:
        raise StartError(f"no folder for metrics can be made ({PREFIX}METRICS_FOLDER): {error.strerror}") from error
