"""One request as the interactions need it, and the way back: the seam between Flask and everything below."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from flask import request
from werkzeug.http import parse_cookie, parse_date

from apothecary.access.noting import noting
from apothecary.errors import BadRequest, TooLarge, UriTooLong
from apothecary.fhir.caches import short_cache
from apothecary.fhir.json import pretty
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import http_date
from apothecary.interactions.service import Service
from apothecary.rest import current, forms, forwarded, pages
from apothecary.rest.admission import closed_for, shared_with
from apothecary.rest.encoding import inflate
from apothecary.rest.forwarded import HOST, PATH, SCHEMES
from apothecary.rest.headers import VARY
from apothecary.rest.negotiation import Negotiated, negotiate, written_in
from apothecary.rest.responses import Answer
from apothecary.rest.seen import ANSWERED, SHOWN
from apothecary.rest.sender import of_sender
from apothecary.search.suggestions import instead_of_sent
from apothecary.search.text import decode

Pairs = list[tuple[str, str]]

CONTENT_TYPE = {version: forms.FHIR_JSON.content_type(version) for version in FhirVersion}
EXPOSED = (
    "ETag, Last-Modified, Location, Content-Location, Content-Disposition, X-Request-Id, X-Security-Context, "
    "Retry-After, Expires, X-Progress"
)
# The cookie in which a client brings along how much of a standby's log it must see.
POSITION = "apothecary-position"

# Parameters that concern the form of any answer: https://hl7.org/fhir/R5/http.html#parameters
GENERAL = frozenset({"_format", "_pretty"})

# Where the WSGI environment says that the answer hangs on nothing but the request and the database.
LASTING = "apothecary.lasting"

# Where the WSGI environment holds the FHIR version that was negotiated, for an error that ends the request.
CHOSEN = "apothecary.fhir_version"

# Where the WSGI environment says that the gate has taken in a body of the length that was said, within the limit.
WHOLE = "apothecary.whole"


class Exchange:
    """A request in hand. Cheap to make: what most requests do not use is worked out when it is asked for."""

    __slots__ = ("_body", "base_version", "environ", "general", "pairs", "prefix", "service", "text", "wanted")

    def __init__(
        self, service: Service, prefix: str, base_version: FhirVersion | None, *, native: bool = False
    ) -> None:
        """`prefix` is the path of the base; `base_version` its version, None where the request chooses; `native` is for
        content in its own type, for which `Accept` says nothing of FHIR. Raises FhirError.
        """
        # Whoever hands over another one: what is answered is answered from that of the sender.
        self.environ: dict[str, Any] = current.environ()
        self.service = service = of_sender(service, self.environ)
        self.prefix = prefix
        self.base_version = base_version
        if service.replica is not None:
            service.replica.begin(parse_cookie(self.environ).get(POSITION))
        service.begin()
        self.text: str = self.environ.get("QUERY_STRING", "")
        if len(self.text) + len(self.environ["PATH_INFO"]) > service.settings.url_limit:
            raise UriTooLong(
                f"the address is longer than {service.settings.url_limit} bytes (APOTHECARY_URL_LIMIT)",
                remedy="POST the search to [type]/_search instead.",
            )
        self.pairs: Pairs = []
        self._body: bytes | None = None
        self.general: dict[str, str] = {}
        if not self.text.isascii():
            # UTF-8 that is not percent-encoded, as curl sends what was typed: WSGI has its bytes as characters.
            self.text = self.text.encode("latin-1").decode()
        if self.text:
            self.add(self.text)
        self.wanted: Negotiated = negotiate(
            "" if native else self.environ.get("HTTP_ACCEPT", ""),
            self.environ.get("HTTP_USER_AGENT", ""),
            self.general.get("_format"),
            self.general.get("_pretty"),
            base_version,
            self._spoken or service.settings.fhir_version,
            service.versions,
        )
        self.environ[CHOSEN] = self.wanted.version

    @property
    def acting(self) -> Service:
        """The service as this request may use it: it knows what stands against writes of its sender."""
        service, closed = self.noted, closed_for(self.service.settings, self.environ)
        return service if closed is None else replace(service, closed_here=closed)

    @property
    def noted(self) -> Service:
        """The service for an answer that does not show all that it is made of: what is read is noted for the record."""
        shown = self.environ.setdefault(SHOWN, [])
        if self.service.recorder is None:
            return self.service
        return replace(self.service, reader=noting(self.service.reader, shown.append))

    def add(self, text: str) -> None:
        """Take in the parameters of a query string or a form."""
        most = self.service.settings.parameter_limit
        for name, value in decode(text, most - len(self.pairs) - len(self.general)):
            if name in GENERAL:
                self.general[name] = value
            else:
                self.pairs.append((name, value))

    @property
    def posted(self) -> bool:
        """Whether the parameters may stand in the body."""
        return bool(self.environ["REQUEST_METHOD"] == "POST")

    @property
    def version(self) -> FhirVersion:
        """The version of the answer."""
        return self.wanted.version

    def body(self) -> bytes:
        """What the request carries, without its `Content-Encoding`. Raises TooLarge, as werkzeug does where the length
        is said beforehand; UnsupportedMediaType and BadRequest for a body that is not in the coding that it names.
        """
        if self._body is None:
            limit = self.service.settings.body_limit
            if self.environ.get(WHOLE):
                data = self.environ["wsgi.input"].getvalue()
            else:
                data = request.get_data()
                # A body that comes in chunks is cut off at the limit, and must not pass for the whole.
                if request.content_length is None and len(data) >= limit:
                    raise too_large(self.service)
            found = inflate(data, self.environ.get("HTTP_CONTENT_ENCODING", ""), limit)
            if found is None:
                raise too_large(self.service)
            self._body = found
        return self._body

    @property
    def written(self) -> FhirVersion:
        """The version of the body, and of what the address says beside it: the base's, else what the Content-Type says.
        https://hl7.org/fhir/R5/http.html#version-parameter
        """
        return self.base_version or self._spoken or self.wanted.version

    @property
    def _spoken(self) -> FhirVersion | None:
        return written_in(self.environ.get("CONTENT_TYPE", ""))

    @property
    def base(self) -> str:
        """The public address of the base that was asked, without a slash at the end."""
        settings, environ = self.service.settings, self.environ
        if settings.base_url:
            return settings.base_url.rstrip("/") + self.prefix.removeprefix("/fhir")
        scheme, host, path = (
            environ["wsgi.url_scheme"],
            environ.get("HTTP_HOST", "localhost"),
            environ.get("SCRIPT_NAME", ""),
        )
        if settings.trust_forwarded:
            scheme, host, path = forwarded.address(environ, scheme, host, path)
        return _address(scheme, host, path.rstrip("/") + self.prefix)

    @property
    def criteria_header(self) -> str | None:
        """`If-None-Exist`, whose values may be UTF-8 that is not percent-encoded: WSGI has its bytes as characters."""
        given: str | None = self.environ.get("HTTP_IF_NONE_EXIST")
        return given if given is None or given.isascii() else given.encode("latin-1").decode()

    @property
    def strict(self) -> bool:
        """`Prefer: handling=strict`: https://hl7.org/fhir/R5/search.html#errors"""
        return "HTTP_PREFER" in self.environ and self.preference("handling") == "strict"

    def preference(self, name: str) -> str | None:
        """What the client prefers for `handling` or `return`; None where it does not say, or nothing that is known."""
        header = self.environ.get("HTTP_PREFER")
        return _preferences(header).get(name) if header else None

    def parameters(self, allowed: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        """The parameters of a request that is no search, and the names of those that mean nothing here. Raises
        BadRequest when strict.
        """
        known = frozenset(allowed)
        found: dict[str, str] = {}
        ignored: list[str] = []
        for name, value in self.pairs:
            if name not in known:
                if self.strict:
                    raise BadRequest(
                        f"{name} is not a parameter of this interaction",
                        expression=name,
                        code="not-supported",
                        remedy=instead_of_sent(name, known),
                    )
                ignored.append(name)
            elif value:
                found[name] = value
        return found, ignored

    def respond(
        self, body: bytes, headers: list[tuple[str, str]], status: int = 200, version: FhirVersion | None = None
    ) -> Answer:
        """The answer, with the headers that every FHIR answer has."""
        kind = CONTENT_TYPE[version or self.version]
        self.environ[ANSWERED] = body
        if self.wanted.form is forms.HTML:
            return self._respond_page(self._page(body, status, version) if body else b"", headers, status)
        if self.wanted.form is not forms.FHIR_JSON:
            kind, body = self._formed(body, version or self.version)
        elif self.wanted.pretty and body:
            body = pretty(body) + b"\n"
        headers += (("Content-Type", kind), ("Vary", VARY))
        return finish(self.service, self.environ, Answer(body, status, headers))

    def _page(self, body: bytes, status: int = 200, version: FhirVersion | None = None) -> bytes:
        """The page of an answer."""
        view = pages.view(self.noted, version or self.version, self.base, self.environ, self.pairs, status)
        return pages.page(view, body)

    def _respond_page(self, page: bytes, headers: list[tuple[str, str]], status: int = 200) -> Answer:
        return finish(self.service, self.environ, pages.respond(page, status, headers))

    def _formed(self, body: bytes, version: FhirVersion) -> tuple[str, bytes]:
        """The Content-Type and the body of an answer that is not to be JSON. Raises NotAcceptable where it cannot be
        had in that form.
        """
        form = self.wanted.form
        if body:
            named = self.general.get("_format")
            body = forms.written(form, body, version, indented=self.wanted.pretty, named=named)
        return form.content_type(version), body

    def respond_lasting(
        self,
        body: bytes,
        headers: list[tuple[str, str]],
        tag: int | str | None = None,
        updated: int | None = None,
        *,
        native: bool = False,
        lasting: bool = True,
    ) -> Answer:
        """The answer that hangs on nothing but the request and the database, unless it is not `lasting`; 304 where the
        client's copy is current.

        `tag` is the number of a version, or an ETag, which without one is made of the body; `updated` the time of the
        version, where it has one; `native` says that `headers` tell what it is. Who keeps it has to ask before each use
        (https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.4). A page shows more than the resource that it is of:
        its tag is of the page.
        """
        self.environ[LASTING] = lasting
        respond: Callable[..., Answer] = self.respond_native if native else self.respond
        if self.wanted.form is forms.HTML and not native and body:
            self.environ[ANSWERED] = body
            body, updated, respond = self._page(body), None, self._respond_page
            tag = _tag_of_page(body)
        if tag is None:
            tag = _tag_of(body)
        shown = f'W/"{tag}"' if isinstance(tag, int) else tag
        headers += (("ETag", shown), ("Cache-Control", "no-cache"))
        if updated is not None:
            headers.append(("Last-Modified", _last_modified(updated // 1_000_000)))
        if self.not_modified(tag, updated):
            self.environ[ANSWERED] = b""
            self.environ.pop(SHOWN, None)
            return respond(b"", headers, 304)
        return respond(body, headers)

    def respond_native(self, body: bytes, headers: list[tuple[str, str]], status: int = 200) -> Answer:
        """The answer that is no FHIR: `headers` say what it is."""
        headers.append(("Vary", VARY))
        return finish(self.service, self.environ, Answer(body, status, headers))

    def not_modified(self, version: int | str, updated: int | None) -> bool:
        """Whether the client's copy is current: https://hl7.org/fhir/R5/http.html#cread

        If-None-Match decides where it is given, If-Modified-Since otherwise (RFC 9110, 13.1.3).
        """
        tags = self.environ.get("HTTP_IF_NONE_MATCH")
        if tags is not None:
            return is_current(f'"{version}"' if isinstance(version, int) else version, tags)
        since = self.environ.get("HTTP_IF_MODIFIED_SINCE")
        if since is None or updated is None:
            return False
        moment = parse_date(since)
        return moment is not None and updated // 1_000_000 <= int(moment.timestamp())


def finish(service: Service, environ: dict[str, Any], response: Answer) -> Answer:
    """Headers that every answer may have: CORS for browsers, the position of a write, the request's id.
    https://hl7.org/fhir/R5/security.html#cors
    """
    if "HTTP_ORIGIN" in environ:
        allowed = shared_with(service.settings.cors_origins, environ["HTTP_ORIGIN"])
        if allowed:
            response.add("Access-Control-Allow-Origin", allowed)
            response.add("Access-Control-Expose-Headers", EXPOSED)
            response.add("Vary", "Origin")
    if service.replica is not None and (position := service.replica.wrote()):
        response.add("Set-Cookie", f"{POSITION}={position}; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax")
    if "HTTP_X_REQUEST_ID" in environ:
        response.add("X-Request-Id", request_id(environ))
    return response


def is_current(tag: str, tags: str) -> bool:
    """Whether `If-None-Match: tags` names an ETag: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2"""
    wanted = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in (wanted, "*") for one in tags.split(","))


def entity_headers(version: int, updated: int) -> list[tuple[str, str]]:
    """ETag and Last-Modified of a version: https://hl7.org/fhir/R5/http.html#versionid"""
    return [("ETag", f'W/"{version}"'), ("Last-Modified", _last_modified(updated // 1_000_000))]


def _tag_of(body: bytes) -> str:
    return f'W/"{sha256(body).hexdigest()[:16]}"'


# A page that is kept (`apothecary.pages.kept`) is the same object each time: no look at its bytes is needed.
_tag_of_page = lru_cache(maxsize=64)(_tag_of)


@lru_cache(maxsize=4096)
def _last_modified(second: int) -> str:
    return http_date(second * 1_000_000)


@short_cache(256)
def _address(scheme: str, host: str, path: str) -> str:
    if scheme not in SCHEMES or HOST.fullmatch(host) is None or PATH.fullmatch(path) is None:
        raise BadRequest(f"{scheme}://{host} is not an address that links could be made of", expression="Host")
    return f"{scheme}://{host}{path}"


# https://hl7.org/fhir/R5/http.html#ops and https://hl7.org/fhir/R5/search.html#errors
_PREFERENCES = {
    "return": {"minimal": "minimal", "representation": "representation", "operationoutcome": "OperationOutcome"},
    "handling": {"strict": "strict", "lenient": "lenient"},
    # https://www.rfc-editor.org/rfc/rfc7240#section-4.1
    "respond-async": {"": "respond-async"},
}


# One preference with its parameters; quoted text may hold commas and semicolons.
_PREFERENCE = re.compile(r'(?:[^",;]|"(?:[^"\\]|\\.)*"?)+')


@short_cache(64)
def _preferences(header: str) -> dict[str, str]:
    """The preferences that are known. Others are ignored, be it for their name or their value, and of one that stands
    twice the first counts (RFC 7240, 2). Some clients write semicolons for commas.
    """
    found: dict[str, str | None] = {}
    for one in _PREFERENCE.findall(header):
        name, _, value = one.partition("=")
        known = _PREFERENCES.get(name.strip().lower())
        if known is not None:
            found.setdefault(name.strip().lower(), known.get(value.strip().strip('"').lower()))
    return {name: value for name, value in found.items() if value is not None}


def too_large(service: Service) -> TooLarge:
    """What a body is answered with that is larger than the setting allows."""
    return TooLarge(
        "the body is larger than this server takes",
        remedy=f"Send at most {service.settings.body_limit} bytes at once (APOTHECARY_BODY_LIMIT).",
    )


def request_id(environ: Mapping[str, Any]) -> str:
    """What the client calls the request, as far as it can stand in a header; empty where it does not say.
    https://hl7.org/fhir/R5/http.html#custom
    """
    given = environ.get("HTTP_X_REQUEST_ID", "")[:200]
    return "".join(character for character in given if character.isascii() and character.isprintable())
