"""A search as NDJSON: every match, over all pages, one resource a line, sent as it is found.

https://hl7.org/fhir/R5/nd-json.html. Pages are read one after the other by the links that a client would follow, so a
stream sees what such a client sees, and needs the memory of one page. Whoever reads to the end has everything: where a
later page fails, the last line is an OperationOutcome that says so, and the connection is closed before its time.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec

from apothecary.errors import ApothecaryError, BadRequest, Busy, FhirError, Issue, whence
from apothecary.fhir.json import dumps
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.rest.encoding import GZIP, LEVEL, accepts_gzip
from apothecary.rest.headers import harden
from apothecary.rest.responses import Answer

log = logging.getLogger("apothecary")

# Each keeps a thread for as long as its client reads.
STREAMS = 32

Pages = Callable[[str], bytes]
"""The Bundle at the query string of a link."""
Turn = Callable[[], AbstractContextManager[None]]
"""What each page is read within."""


class _Link(msgspec.Struct):
    relation: str
    url: str


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    link: list[_Link] = []
    entry: list[_Entry] = []
    total: int | None = None


_bundle = msgspec.json.Decoder(_Bundle)


class Stream(Answer):
    """An answer whose body is made while it is sent. The first page is there already, so that what is wrong with the
    request has been told.
    """

    _lock = threading.Lock()
    _open = 0

    def __init__(self, first: bytes, pages: Pages, headers: list[tuple[str, str]]) -> None:
        """`pages` gives the page at the query of a link. Raises BadRequest for a search that has no lines, Busy where
        too many streams are open.
        """
        super().__init__(first, 200, headers)
        self._first = _bundle.decode(first)
        if self._first.total and not self._first.entry:
            raise BadRequest(
                "a count has no lines", expression="_summary", remedy="Ask for the count as application/fhir+json."
            )
        self._pages = pages
        self._turn: Turn | None = None

    def within(self, turn: Turn) -> None:
        """Have each further page read within `turn`."""
        self._turn = turn

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = self._headers
        packed = "HTTP_ACCEPT_ENCODING" in environ and accepts_gzip(environ["HTTP_ACCEPT_ENCODING"])
        if packed:
            headers.append(("Content-Encoding", "gzip"))
        harden(headers)
        start_response("200 OK", headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return _packed(self._lines()) if packed else self._lines()

    def _lines(self) -> Iterator[bytes]:
        with Stream._lock:
            Stream._open += 1
        try:
            yield from self._all()
        except GeneratorExit:
            raise
        except Exception as error:
            issues = error.issues if isinstance(error, FhirError) else (_FAILED,)
            if not isinstance(error, ApothecaryError):
                log.error("a stream failed: %s", whence(error))
            yield dumps(operation_outcome((_CUT, *issues))) + b"\n"
            raise
        finally:
            with Stream._lock:
                Stream._open -= 1

    def _all(self) -> Iterator[bytes]:
        bundle = self._first
        while True:
            if bundle.entry:
                yield b"".join(bytes(one.resource) + b"\n" for one in bundle.entry)
            onwards = next((one.url for one in bundle.link if one.relation == "next"), None)
            if onwards is None:
                return
            query = urlsplit(onwards).query
            with self._turn() if self._turn is not None else nullcontext():
                bundle = _bundle.decode(self._pages(query))


_CUT = Issue("fatal", "incomplete", "what stands above is not all: the search ended before its last page")
_FAILED = Issue("error", "exception", "The server failed.")


def room() -> None:
    """Raises Busy where no further stream may be opened."""
    if Stream._open >= STREAMS:
        raise Busy(f"{STREAMS} searches are being sent as NDJSON already; try again", headers={"Retry-After": "5"})


def _packed(lines: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    for one in lines:
        yield packer.compress(one) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
