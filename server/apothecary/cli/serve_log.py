"""What `apothecary serve` and its workers write to standard error: one line for each thing that happened.

https://docs.python.org/3/library/logging.config.html#logging-config-dictschema
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import click


def say(line: str) -> None:
    """A line for whoever runs the server. Where nobody reads standard error any more, nothing happens."""
    with suppress(OSError, ValueError):
        click.echo(line, err=True)


class Line(logging.Formatter):
    """`warning: what was logged`, as the lines of the command itself are written."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


class Wanted(logging.Filter):
    """Leaves out what granian says of a worker that ended: the supervisor says it with the reason; and its doubts
    whether so many threads are good, most of which wait (`rest.gate`).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(("Unexpected exit from worker", "Configuration allows spawning"))


def logging_config(level: str) -> dict[str, Any]:
    """The configuration for a least severity, one of the values of the setting `log_level`.

    Standard output is the request log's. What granian finds worth knowing, such as each start of a worker, is shown
    only where everything is.
    """
    granian = level if level != "info" else "warning"
    return {
        "formatters": {"line": {"()": Line}},
        "filters": {"wanted": {"()": Wanted}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["wanted"]}},
        "root": {"handlers": ["console"], "level": "ERROR" if level == "error" else "WARNING"},
        "loggers": {
            "apothecary": {"level": level.upper()},
            "_granian": {"level": granian.upper()},
            "granian.access": {},
        },
    }
