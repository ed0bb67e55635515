"""The address under which a proxy is known, as it tells: `Forwarded` (https://www.rfc-editor.org/rfc/rfc7239) and the
`X-Forwarded-` headers. Links are made of it: https://hl7.org/fhir/R5/http.html#root

Only where the server is told to believe the proxy. What cannot be part of an address is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from werkzeug.http import parse_list_header

SCHEMES = ("http", "https")
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", re.ASCII)
PATH = re.compile(r"[A-Za-z0-9._~/-]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def address(environ: Mapping[str, Any], scheme: str, host: str, path: str) -> tuple[str, str, str]:
    """Scheme, host and path before the base, as the nearest to the client tells them; where it tells nothing of one,
    that of the request.
    """
    told = _forwarded(environ.get("HTTP_FORWARDED"))
    proto = told.get("proto") or _first(environ, "PROTO")
    if proto.lower() in SCHEMES:
        scheme = proto.lower()
    if HOST.fullmatch(told.get("host", "")):
        host = told["host"]
    else:
        if HOST.fullmatch(named := _first(environ, "HOST")):
            host = named
        host = _with_port(scheme, host, _first(environ, "PORT"))
    prefix = _first(environ, "PREFIX")
    return scheme, host, prefix if prefix.startswith("/") and PATH.fullmatch(prefix) else path


def client(environ: Mapping[str, Any]) -> str:
    """The network address of the client, as the proxy before this server tells it: the last of a list, which no client
    can have written. Where it tells none, the address that the connection comes from; so where `Forwarded` and
    `X-Forwarded-For` tell different ones: many proxies write one of them, and pass on what a client wrote in the other.
    """
    elements = parse_list_header(environ.get("HTTP_FORWARDED", ""))
    last = elements[-1] if elements else ""
    told = {name.strip().lower(): value.strip().strip('"') for name, _, value in _pairs(last)}.get("for", "")
    other = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    found = {_plain(one) for one in (told, other) if one}
    return (found.pop() if len(found) == 1 else None) or str(environ.get("REMOTE_ADDR", ""))


def _plain(address: str) -> str | None:
    """A network address without its port; None for what is none."""
    for one in (address.strip("[]"), address.rpartition(":")[0].strip("[]")):
        with suppress(ValueError):
            return str(ip_address(one))
    return None


def _pairs(element: str) -> Iterator[tuple[str, str, str]]:
    return (one.partition("=") for one in element.split(";"))


def _forwarded(header: str | None) -> dict[str, str]:
    """The pairs of the first element of `Forwarded`, by name in lower case."""
    elements = parse_list_header(header) if header else []
    # No part of an address holds a semicolon; many proxies write a port without the quotes that it needs.
    pairs = _pairs(elements[0]) if elements else ()
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _with_port(scheme: str, host: str, port: str) -> str:
    """`host` at the port that clients use; without it where that goes without saying."""
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return host
    named = HOST.fullmatch(host)
    if named is None:
        return host
    return named[1] if _DEFAULT_PORTS.get(scheme) == int(port) else f"{named[1]}:{int(port)}"


def _first(environ: Mapping[str, Any], name: str) -> str:
    value: str = environ.get(f"HTTP_X_FORWARDED_{name}", "")
    return value.partition(",")[0].strip()
