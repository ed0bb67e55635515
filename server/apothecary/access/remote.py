"""Documents that others keep at an address, key sets and the metadata of issuers: fetched when they are needed, kept
for as long as their server allows (https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.1).

An address stands in a file or setting of ours, and never comes from a request. What lies there is bounded in bytes and
time; redirects are not followed.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from http.client import HTTPException
from ipaddress import ip_address
from threading import Lock, Thread
from typing import Any, Generic, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from apothecary.errors import Unreachable

T = TypeVar("T")

log = logging.getLogger("apothecary")

# The longest time that a fetch may take, in seconds, and the largest document in bytes.
SECONDS, BYTES = 5.0, 512 * 1024
# How long a document is kept: where its server says nothing, at least (or anybody could have its server asked all the
# time), and at most.
USUAL, LEAST, MOST = 300.0, 5.0, 3600.0
# How soon it is fetched again where a key is missing in it, or where it could not be had.
AGAIN = 10.0

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})")
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)(?:$|[,\s])")

_LATER = {"Retry-After": str(int(AGAIN))}

Fetch = Callable[[str], tuple[bytes, float]]


def why_not(url: str) -> str | None:
    """What speaks against an address, as a clause; None where nothing does."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if not host or not url.isascii() or any(one.isspace() for one in url) or parts.username is not None:
        return "it is no address"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return None
    return "it does not begin with https:// (http:// is for this machine only)"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Nowhere else: what is fetched decides whom to trust."""


def fetch(url: str) -> tuple[bytes, float]:
    """The document at an address, and for how many seconds it may be kept. Raises OSError or ValueError."""
    # Proxies of the environment are for other machines.
    handlers = [ProxyHandler({})] if url.startswith("http:") else []
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "apothecary"})  # noqa: S310 (`why_not`)
    with build_opener(_NoRedirects, *handlers).open(request, timeout=SECONDS) as answer:
        body = answer.read(BYTES + 1)
        if len(body) > BYTES:
            raise ValueError(f"it is larger than {BYTES} bytes")
        return body, kept(answer.headers.get("Cache-Control", ""))


def kept(header: str) -> float:
    """For how many seconds a document may be kept that came with this Cache-Control."""
    if _NOT_KEPT.search(header.lower()):
        return LEAST
    found = _MAX_AGE.search(header.lower())
    return min(max(float(found[1]), LEAST), MOST) if found else USUAL


class Remote(Generic[T]):
    """One document, as `read` understands it. Many threads may ask for it; one fetches."""

    def __init__(
        self,
        url: str,
        read: Callable[[Any], T],
        *,
        fetch: Fetch = fetch,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
    ) -> None:
        """`read` raises ValueError for what is not such a document."""
        self.url = url
        self.generation = 0
        """Goes up whenever the document changes."""
        self._read, self._fetch, self._clock, self._seconds = read, fetch, clock, seconds
        self._lock = Lock()
        self._value: tuple[T] | None = None
        self._text = b""
        self._until, self._tried = 0.0, float("-inf")
        self._why = ""
        self._thread: Thread | None = None

    def get(self) -> T:
        """The document. Raises Unreachable where it cannot be had."""
        with self._lock:
            if self._value is None or self._clock() >= self._until:
                self._renew()
            return self._current()

    def again(self) -> T:
        """The document as it is now, unless it was looked at just before."""
        with self._lock:
            self._renew()
            return self._current()

    def _current(self) -> T:
        # What was had once, but may no longer be kept, counts no more: a key may have been taken back.
        if self._value is None or self._clock() >= self._until:
            raise Unreachable("what is needed of another server cannot be had; try again", headers=_LATER)
        return self._value[0]

    def _renew(self) -> None:
        before = self._why
        self._look()
        if self._why and self._why != before:
            log.warning("%s cannot be had: %s", self.url, self._why)

    def _look(self) -> None:
        now = self._clock()
        fresh = self._value is not None and now < self._until
        if now - self._tried < (AGAIN if fresh or self._why else 0):
            return
        if self._thread is not None and self._thread.is_alive():
            self._why = "its server does not end its answer"
            return
        self._tried = now
        outcome: list[tuple[bytes, float] | str] = []
        # In a thread of its own, since a server can send a byte now and then, for ever.
        self._thread = Thread(target=lambda: outcome.append(self._try()), daemon=True)
        self._thread.start()
        self._thread.join(self._seconds)
        found = outcome[0] if outcome else f"no answer within {self._seconds:g} seconds"
        if isinstance(found, str):
            self._why = found
            return
        text, seconds = found
        if text != self._text or self._value is None:
            try:
                self._value = (self._read(json.loads(text)),)
            except (ValueError, RecursionError):
                self._why = "what is there is not what is wanted"
                return
            self._text = text
            self.generation += 1
        self._until, self._why = now + seconds, ""

    def _try(self) -> tuple[bytes, float] | str:
        try:
            return self._fetch(self.url)
        except HTTPError as error:
            error.close()
            return f"its server answers {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            return str(error.args[-1] if error.args else type(error).__name__)[:200]
