"""What a page knows of the request that it answers, and the addresses that it links to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service

# What a page's own address says of its form, and no link repeats.
_FORM = frozenset({"_format", "_pretty"})


@dataclass(frozen=True, slots=True)
class View:
    """A request for a page: at `base`, the public address of a base, for `path` below it (`Medication/a`) with the
    parameters `pairs`.
    """

    service: Service
    version: FhirVersion
    base: str
    path: str
    pairs: tuple[tuple[str, str], ...]
    status: int = 200
    compared: tuple[str, ...] = ()
    """The versions that the page of a history is to compare."""

    @property
    def static(self) -> bool:
        """Whether the page is a file, with no server behind it."""
        return False

    @property
    def root(self) -> str:
        """The path of the base: `/fhir/r5`, behind whatever a proxy puts before it."""
        return urlsplit(self.base).path

    @property
    def home(self) -> str:
        """The path of the server's first page."""
        return self.root.partition("/fhir")[0] + "/"

    @property
    def type(self) -> str:
        """The resource type that the address names; empty where it names none."""
        first = self.path.partition("/")[0]
        return first if first[:1].isupper() else ""

    def to(self, path: str, *pairs: tuple[str, str]) -> str:
        """The address of `path` below this base."""
        return f"{self.root}/{quote(path, safe='/$')}" + (f"?{urlencode(pairs)}" if pairs else "")

    def here(self, *pairs: tuple[str, str], without: tuple[str, ...] = ()) -> str:
        """This address with other parameters: `pairs` stand for those of their names."""
        named = {name for name, _ in pairs}
        kept = [one for one in self.pairs if one[0] not in named and one[0] not in without and one[0] not in _FORM]
        return self.to(self.path, *kept, *pairs)

    @property
    def whole(self) -> str:
        """Where all of a resource is that a page shows only in part."""
        return self.here(("_format", "json"), ("_pretty", "true"))

    def public(self, *pairs: tuple[str, str]) -> str:
        """The whole address of what this page shows, for a shell."""
        given = [one for one in self.pairs if one[0] not in _FORM]
        query = urlencode([*given, *pairs])
        return f"{self.base}/{self.path}".rstrip("/") + (f"?{query}" if query else "")

    def other(self, version: FhirVersion) -> str | None:
        """The same in another release; None where that has no such type."""
        if self.type and not self.service.registries[version].serves(self.type):
            return None
        start = self.root.partition("/fhir")[0]
        kept = [one for one in self.pairs if one[0] not in _FORM and one[0] != "_page"]
        return f"{start}/fhir/{version.segment}/{quote(self.path, safe='/$')}" + (f"?{urlencode(kept)}" if kept else "")

    def reference(self, text: Any) -> str | None:
        """Where a reference leads: an address on this server, or one of the web; None where a page cannot tell."""
        if not isinstance(text, str):
            return None
        if text.startswith(self.base + "/"):
            text = text.removeprefix(self.base + "/")
        kind, _, rest = text.partition("/")
        identity = rest.partition("/")[0]
        if kind.isalpha() and kind[:1].isupper() and is_id(identity):
            return self.to(text) if self.service.registries[self.version].serves(kind) else None
        return web(text)


def web(text: str) -> str | None:
    """`text` where it is an address that a browser may be sent to: http and https, and no other scheme."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.netloc else None
