"""Which absolute addresses are this server's own: a reference to one is the same as a relative reference.

https://hl7.org/fhir/R5/references.html#literal and https://hl7.org/fhir/R5/http.html#root

The address in a request may be anything that its sender wrote. So it decides about what that request itself writes or
asks, and about nothing else; what is indexed without a request goes by the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings

_RELEASE = re.compile(rf"/(?:{'|'.join(one.segment for one in FhirVersion)})$")


def bases(settings: Settings, asked: str | None = None) -> tuple[str, ...]:
    """The addresses of all bases of this server, the longest first: those that the settings name, and those beside
    `asked`, the base that a request came to.
    """
    return _bases(settings.base_url, settings.host, settings.port, settings.loopback, asked)


def below(url: str, own: Iterable[str]) -> str:
    """What follows the base of this server in `url`; `url` itself where it begins with none of `own`."""
    base = next((one for one in own if url.startswith(one) and url[len(one) :][:1] in ("", "/", "?")), "")
    return url[len(base) :]


@lru_cache(maxsize=256)
def _bases(public: str, host: str, port: int, loopback: bool, asked: str | None) -> tuple[str, ...]:
    roots = {public.rstrip("/")} if public else _listening(host, port, loopback)
    if asked is not None and not public:
        roots.add(_RELEASE.sub("", asked))
    found = {f"{root}{end}" for root in roots for end in ("", *(f"/{one.segment}" for one in FhirVersion))}
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def _listening(host: str, port: int, loopback: bool) -> set[str]:
    """Where a server without a public address can be reached on this machine; nowhere for certain if all may call."""
    names = ("localhost", "127.0.0.1", "[::1]") if loopback else ()
    place = "" if port == 80 else f":{port}"
    return {f"http://{one}{place}/fhir" for one in names}
