"""Answers that are given again, without Flask and without a search, as long as the database says that nothing changed.

A request that comes for the first time is answered as if there were no cache; only its key is noted. When it comes
again, the database is asked for its state (`Store.changes`), then the answer is computed and kept with that state. From
then on it is given again whenever the state, asked for anew by each request, is still the same. So whatever was
committed before a request came, by any process, is in its answer: https://www.rfc-editor.org/rfc/rfc9111#section-4.3

A page is dear to make: who asks for one is answered so the first time already.

Kept is only what a view declares to hang on the request and the database alone (`LASTING`), and only a 200.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication

from werkzeug.http import parse_cookie

from apothecary.access.grant import SCOPES
from apothecary.errors import FhirError
from apothecary.interactions.service import Service
from apothecary.rest.admission import READ_HEADERS, closed_for, shared_with
from apothecary.rest.encoding import coding_for
from apothecary.rest.exchange import LASTING, POSITION, is_current, request_id
from apothecary.rest.gate import Gate
from apothecary.rest.negotiation import READERS
from apothecary.rest.routing import MATCHED, Matched
from apothecary.rest.seen import NAMED, came

# Ask whether a copy is current. The first is answered from the whole answer, and where it stands the second means
# nothing (https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3).
TAGS, SINCE = "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"
# What an answer may hang on as it stands in the request; `Cached._key` has the rest, and a test sees to it that nothing
# is missing.
KEYED = (
    *("PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", SCOPES),
    *("HTTP_ACCEPT_LANGUAGE", *(name for name in READ_HEADERS if name not in (TAGS, SINCE))),
)
FORWARDED = (
    "HTTP_FORWARDED",
    *(f"HTTP_X_FORWARDED_{name}" for name in ("PROTO", "HOST", "PORT", "PREFIX")),
)
# Each request has its own.
_OWN = frozenset({"X-Request-Id"})

# No answer takes more than this share of the cache. What Python needs for an entry besides its texts, in bytes.
SHARE, OVERHEAD = 8, 1500


class Entry(NamedTuple):
    """An answer, the state of the database that it is of, and what the request counts as."""

    state: Hashable
    headers: list[tuple[str, str]]
    body: bytes
    matched: Matched
    tag: str
    named: Sequence[str] = ()
    """The resources in it, where requests are recorded."""


class Cached:
    """A WSGI application before another one."""

    def __init__(self, app: WSGIApplication, service: Service, gate: Gate) -> None:
        """Whether anything changed is asked of the database behind `gate`, as everything that is asked of it."""
        self._app = app
        self._service = service
        self._gate = gate
        self._source = service.replica or service.store
        settings = self._settings = service.settings
        self._limit, self._longest = settings.cache_bytes, settings.url_limit
        self._names = (*KEYED, *(FORWARDED if settings.trust_forwarded else ()))
        self._lock = threading.Lock()
        # None: asked for once.
        self._entries: OrderedDict[Hashable, Entry | None] = OrderedDict()
        self.size, self.hits, self.misses = 0, 0, 0

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if not self._limit or method not in ("GET", "HEAD") or not self._readable(environ):
            return self._app(environ, start)
        key = self._key(environ)
        try:
            entry = self._entries[key]
        except KeyError:
            if method == "GET" and _for_a_page(environ):
                return self._first(key, environ, start)
            answer = self._app(environ, start)
            if environ.get(LASTING):
                self._count_miss()
                self._put(key, None)
            return answer
        state = self._known_state(environ)
        if state is not None and entry is not None and entry.state == state:
            with self._lock:
                self.hits += 1
                if key in self._entries:
                    self._entries.move_to_end(key)
            return _give(entry, environ, start)
        self._count_miss()
        if state is None or method == "HEAD":
            return self._app(environ, start)
        return self._keep(key, state, environ, start)

    def _first(self, key: Hashable, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer what is kept as soon as it was asked for."""
        state = self._known_state(environ)
        self._count_miss()
        return self._app(environ, start) if state is None else self._keep(key, state, environ, start)

    def _readable(self, environ: Mapping[str, Any]) -> bool:
        """Whether the headers outside of the key are such that an answer may be given: what is in the key was looked at
        when the answer was computed.
        """
        return all(
            len(text) <= self._longest and text.isascii() for text in (environ.get(TAGS, ""), environ.get(SINCE, ""))
        )

    def counts(self) -> dict[str, int]:
        """What `/metrics` shows."""
        with self._lock:
            return {"hits": self.hits, "misses": self.misses, "bytes": self.size}

    def _key(self, environ: Mapping[str, Any]) -> Hashable:
        """All of a request that an answer may hang on. What is only looked at for one thing counts by what is seen."""
        get, settings = environ.get, self._settings
        return (
            *map(get, self._names),
            get(SINCE) if TAGS not in environ else None,
            get("HTTP_USER_AGENT", "").startswith(READERS),
            coding_for(get("HTTP_ACCEPT_ENCODING", "")),
            closed_for(settings, environ) is None,
            "HTTP_ORIGIN" in environ and shared_with(settings.cors_origins, environ["HTTP_ORIGIN"]),
        )

    def _known_state(self, environ: dict[str, Any]) -> Hashable | None:
        try:
            return self._state(environ)
        except FhirError:
            # Whoever computes the answer meets it, too, and knows how to tell.
            return None

    def _state(self, environ: dict[str, Any]) -> Hashable | None:
        entered = self._gate.enter(environ)
        try:
            if self._service.replica is not None:
                self._service.replica.begin(parse_cookie(environ).get(POSITION))
            return self._source.changes()
        finally:
            if entered:
                self._gate.leave()

    def _keep(self, key: Hashable, state: Hashable, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Compute the answer, and keep it if it may be kept."""
        asked = {name: environ.pop(name) for name in (SINCE, TAGS) if TAGS in environ and name in environ}
        status, headers = "", []

        def started(line: str, given: list[tuple[str, str]], error: Any = None, /) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = line, given
            return lambda _: None

        answer = self._app(environ, started)
        environ |= asked
        tag = next((value for name, value in headers if name == "ETag"), None)
        # What is made while it is sent is no list.
        if not (environ.get(LASTING) and status.startswith("200") and tag and isinstance(answer, list)):
            start(status, headers)
            return answer
        body = b"".join(answer)
        shared = [one for one in headers if one[0] not in _OWN]
        named = came(environ) if self._service.recorder is not None else ()
        entry = Entry(state, shared, body, environ[MATCHED], tag, named)
        if not any(name == "Set-Cookie" for name, _ in headers):
            self._put(key, entry)
        return _give(entry, environ, start)

    def _put(self, key: Hashable, entry: Entry | None) -> None:
        size = _size(key, entry)
        with self._lock:
            if key in self._entries:
                self.size -= _size(key, self._entries.pop(key))
            if size > self._limit // SHARE:
                return
            self._entries[key] = entry
            self.size += size
            while self.size > self._limit:
                self.size -= _size(*self._entries.popitem(last=False))

    def _count_miss(self) -> None:
        with self._lock:
            self.misses += 1


def _for_a_page(environ: Mapping[str, Any]) -> bool:
    """Whether a request may be for a page: `apothecary.rest.negotiation` says for certain, once it is worked on."""
    return "html" in environ.get("HTTP_ACCEPT", "") or "html" in environ.get("QUERY_STRING", "")


def _size(key: Any, entry: Entry | None) -> int:
    """The bytes of an entry, about."""
    size = OVERHEAD + sum(len(part) for part in key if isinstance(part, str))
    if entry is not None:
        size += len(entry.body) + sum(len(name) + len(value) for name, value in entry.headers)
        size += sum(map(len, entry.named))
    return size


def _give(entry: Entry, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
    environ[MATCHED], environ[NAMED] = entry.matched, entry.named
    headers = entry.headers
    if "HTTP_X_REQUEST_ID" in environ:
        headers = [*headers, ("X-Request-Id", request_id(environ))]
    tags = environ.get(TAGS)
    if tags is not None and is_current(entry.tag, tags):
        start("304 NOT MODIFIED", [one for one in headers if one[0] not in ("Content-Length", "Content-Encoding")])
        return []
    start("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [entry.body]
