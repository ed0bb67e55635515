"""Who may ask, and who may write: the host that a request is for, the socket that it came to, the page that sent it.

https://hl7.org/fhir/R5/security.html#cors: reads are shared with the pages of every origin. Writes are not: without
clients that are known by name, whoever can open a web page on this machine could otherwise have the browser write here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from apothecary.errors import BadRequest, HeaderTooLong, Misdirected
from apothecary.fhir.caches import short_cache
from apothecary.interactions.service import OPENING, Closed
from apothecary.rest import forwarded
from apothecary.settings import PREFIX, Settings

# Probes and scrapers come by whatever address they are given, and learn nothing that a page could misuse.
PROBED = frozenset({"/healthz", "/readyz", "/metrics"})
# https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# The headers whose values mean something here.
READ_HEADERS = (
    *("CONTENT_TYPE", "HTTP_ACCEPT", "HTTP_CONTENT_ENCODING", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE"),
    *("HTTP_IF_NONE_EXIST", "HTTP_IF_NONE_MATCH", "HTTP_PREFER", "HTTP_X_SECURITY_CONTEXT"),
)
_PORT = re.compile(r":\d+$", re.ASCII)


def admit(settings: Settings, environ: Mapping[str, Any]) -> None:
    """Raises the FhirError of a request that is not looked at any further."""
    check_text(environ, settings.url_limit)
    check_host(settings, environ)


# -- the address and the headers, as text


def check_text(environ: Mapping[str, Any], longest: int) -> None:
    """Raises HeaderTooLong for a header longer than an address may be; BadRequest for an address or a header that is
    not UTF-8, or that holds U+0000: FHIR knows no other text (https://hl7.org/fhir/R5/http.html#general), and a
    database may not store it.
    """
    # WSGI hands over each byte as a character: https://peps.python.org/pep-3333/#unicode-issues
    for name in ("PATH_INFO", "QUERY_STRING"):
        text = environ.get(name, "")
        if not text.isascii() or "\0" in text:
            where = "path" if name == "PATH_INFO" else "query"
            _check_bytes(text, f"the {where} of the address", where)
    for name in READ_HEADERS:
        text = environ.get(name)
        if not text or (text.isascii() and len(text) <= longest):
            continue
        header = name.removeprefix("HTTP_").replace("_", "-").title()
        if len(text) > longest:
            raise HeaderTooLong(
                f"the header {header} is longer than {longest} bytes ({PREFIX}URL_LIMIT)", expression=header
            )
        _check_bytes(text, f"the header {header}", header)


def _check_bytes(text: str, what: str, where: str) -> None:
    """No message quotes the value: what somebody looked up is nobody's business."""
    remedy = "Encode it as UTF-8, and in an address with percent signs."
    if "\0" in text:
        raise BadRequest(f"{what} holds the character U+0000, which is in no FHIR text", expression=where, code="value")
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{what} is not UTF-8 text", expression=where, code="value", remedy=remedy) from None


# -- the host


def check_host(settings: Settings, environ: Mapping[str, Any]) -> None:
    """Raises BadRequest for a Host that is none, Misdirected for one that is none of this server's: a page whose name
    was made to mean this machine (DNS rebinding) would otherwise count as the server's own.
    https://www.rfc-editor.org/rfc/rfc9110#section-7.2

    A request without a Host comes from no browser.
    """
    host = environ.get("HTTP_HOST")
    if host is None or environ["PATH_INFO"] in PROBED:
        return
    own = _is_own(settings.hosts, settings.base_url, settings.host, environ.get("SERVER_NAME", ""), host)
    if own is None:
        raise BadRequest("the header Host is not a host", expression="Host")
    if not own:
        raise Misdirected(
            "the header Host names a server that this one does not know itself by",
            expression="Host",
            remedy=f"Ask by an address of the server, or let its operator add the name to {PREFIX}HOSTS.",
        )


@short_cache(256)
def _is_own(hosts: str, base_url: str, configured: str, listening: str, host: str) -> bool | None:
    """Whether `host` is one of this server; None where it is no host at all."""
    if forwarded.HOST.fullmatch(host) is None:
        return None
    name = _plain(host.rpartition(":")[0] if _PORT.search(host) else host)
    named = {_plain(one) for one in hosts.split(",") if one.strip()}
    if base_url:
        named.add(_plain(urlsplit(base_url).hostname or ""))
    if "*" in named or name in named or name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        # A name of one's own is safe only if no stranger can make it mean this machine: the one that the server was
        # told to listen on, and that of the machine.
        return name in (_plain(configured), _plain(socket.gethostname()))
    # An address is what it is, and cannot be made to mean another machine. A server that only this machine reaches is
    # known by no other.
    return address.is_loopback or not is_loopback(listening)


def _plain(name: str) -> str:
    return name.strip().strip("[]").lower().removesuffix(".")


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether `name`, an address or localhost, means this machine only."""
    if name == "localhost":
        return True
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


# -- writes


def closed_for(settings: Settings, environ: Mapping[str, Any]) -> Closed | None:
    """What stands against writes of this request besides the settings; None where nothing does."""
    if not settings.open_writes and not settings.authorized and not _came_by_loopback(environ):
        return _UNKNOWN_SOCKET
    if environ["REQUEST_METHOD"] in SAFE or from_own_page(settings, environ):
        return None
    return _FOREIGN


_UNKNOWN_SOCKET = Closed("it is not known to listen on a loopback address, and no authorization is configured", OPENING)
_FOREIGN = Closed(
    "the page that sends the request is of another origin, and such pages may read only",
    f"Let the operator of the server name the origin in {PREFIX}CORS_ORIGINS, or send the request from a program.",
)


def _came_by_loopback(environ: Mapping[str, Any]) -> bool:
    """Whether the socket that took the request is one that only this machine reaches, as the WSGI server says: its
    address stands in SERVER_NAME (https://peps.python.org/pep-3333/#environ-variables). Some servers write the Host
    there, which anybody can choose; but who comes from elsewhere has another address than this machine's.
    """
    return is_loopback(environ.get("SERVER_NAME", "")) and is_loopback(environ.get("REMOTE_ADDR", ""))


def from_own_page(settings: Settings, environ: Mapping[str, Any]) -> bool:
    """Whether a request comes from no web page, from one of this server's own, or of an origin that may write.

    `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/) says it where browsers send it, `Origin` otherwise. A form
    posts without asking beforehand, so the answer to a preflight request alone would not keep it out.
    """
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin is not None and origin in named_origins(settings.cors_origins):
        return True
    if site is not None:
        return site in ("same-origin", "none")
    # What stands behind the scheme is compared and not understood: a client may send anything.
    return origin is None or origin.partition("://")[2].lower() in _own_authorities(settings, environ)


def _own_authorities(settings: Settings, environ: Mapping[str, Any]) -> set[str]:
    """Host and port of this server's own pages. Schemes are not compared: the server may not know of TLS before it."""
    host = environ.get("HTTP_HOST", "")
    found = {host.lower()}
    if settings.trust_forwarded:
        found.add(forwarded.address(environ, environ["wsgi.url_scheme"], host, "")[1].lower())
    if settings.base_url:
        found.add(urlsplit(settings.base_url).netloc.lower())
    return found - {""}


# -- what a page of another origin gets to read


@lru_cache(maxsize=16)
def named_origins(setting: str) -> frozenset[str]:
    """The origins that the setting names."""
    return frozenset(one.strip().rstrip("/") for one in setting.split(",") if one.strip()) - {"*"}


def shared_with(setting: str, origin: str) -> str | None:
    """What Access-Control-Allow-Origin says to a page of `origin`; None where it may not read.
    https://fetch.spec.whatwg.org/#http-access-control-allow-origin
    """
    if "*" in (one.strip() for one in setting.split(",")):
        return "*"
    return origin if origin in named_origins(setting) else None
