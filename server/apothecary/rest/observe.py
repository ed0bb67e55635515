"""Looks at every request from outside: counts it, and writes it to the request log where that is asked for.

The log says which parameters a search had, never their values: what somebody looked up is nobody's business.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import msgspec

from apothecary.errors import whence
from apothecary.fhir.temporal import instant
from apothecary.interactions.service import Service
from apothecary.rest.errors import failed
from apothecary.rest.exchange import request_id
from apothecary.rest.metrics import Metrics
from apothecary.rest.routing import MATCHED, Matched

log = logging.getLogger("apothecary")

# A log line has no more names of parameters than that, and no longer ones.
MOST_LOGGED = 100
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_.:$-]{0,199}", re.ASCII)


class Observed:
    """A WSGI application around another one."""

    def __init__(
        self, app: WSGIApplication, service: Service, metrics: Metrics, drain: Callable[[dict[str, Any]], None]
    ) -> None:
        """`drain` is called with each request once it has its answer, before that is sent."""
        self._app = app
        self._drain = drain
        self._metrics = metrics
        self._types = frozenset(kind for registry in service.registries.values() for kind in registry.types)
        self._logging = service.settings.request_log == "json"
        self._with_address = service.settings.request_log_address
        self._interactions: dict[str, str] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begin = time.perf_counter()
        status = 500

        def started(line: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers)

        try:
            body = self._app(environ, started)
        except Exception as error:
            # What happens outside of a request's own error handler; a WSGI server would write all of it into its log.
            log.error("a request failed: %s %r\n%s", environ["REQUEST_METHOD"], environ["PATH_INFO"], whence(error))
            body = failed()(environ, started)
        seconds = time.perf_counter() - begin
        self._drain(environ)
        interaction, kind = self._what(environ)
        self._metrics.count((interaction, kind, status), seconds)
        if self._logging:
            self._log(environ, interaction, kind, status, seconds)
        return body

    def _what(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """The interaction and the resource type. Both are of a bounded number, whatever clients ask for."""
        matched: Matched | None = environ.get(MATCHED)
        if matched is None:
            return "none", ""
        rule, values = matched
        interaction = self._interactions.get(rule.endpoint)
        if interaction is None:
            interaction = self._interactions[rule.endpoint] = interaction_of(rule.endpoint)
        kind = values.get("resource_type", "")
        return interaction, kind if kind in self._types else ""

    def _log(self, environ: WSGIEnvironment, interaction: str, kind: str, status: int, seconds: float) -> None:
        entry = {
            "time": instant(time.time_ns() // 1000),
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "parameters": _names(environ.get("QUERY_STRING", "")),
            "interaction": interaction,
            "type": kind,
            "status": status,
            "milliseconds": round(seconds * 1000, 3),
        }
        if number := request_id(environ):
            entry["request_id"] = number
        if self._with_address:
            entry["address"] = environ.get("REMOTE_ADDR", "")
        # In one call, so that lines of several processes do not mix.
        os.write(sys.stdout.fileno(), msgspec.json.encode(entry) + b"\n")


def _names(query: str) -> list[str]:
    """The names of the parameters of a query, as far as they are what FHIR calls its parameters: who forgets a name
    sends a value in its place. Never fails, whatever the query holds.
    """
    found = (one.partition("=")[0] for one in islice(query.split("&", MOST_LOGGED), MOST_LOGGED) if one)
    return [name if _NAME.fullmatch(name) else "?" for name in map(unquote_plus, found)]


def interaction_of(endpoint: str) -> str:
    """The interaction that an endpoint of `routes` stands for: `/fhir/r5 GET search_type /<...>` -> `search-type`."""
    words = endpoint.split(" ")
    if len(words) == 1:
        return endpoint
    return (words[2] if words[1].isupper() else words[1]).replace("_", "-")
