"""What an import says of itself: the catalogue as a Library (https://hl7.org/fhir/R5/library.html), and where what is
in it comes from as a Provenance (https://hl7.org/fhir/R5/provenance.html), one for an import and not one for each
resource.

What belongs to a catalogue says so in `meta.source` (https://hl7.org/fhir/R5/resource-definitions.html#Meta.source),
with the same uri in each edition: so one finds it by `_source`, and a new edition leaves alone what did not change.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from apothecary import __version__
from apothecary.fhir.json import JSON
from apothecary.importers.formats import Format
from apothecary.importers.sources import Hash

# A Provenance names no more files one by one.
MOST = 100

_LIBRARY = "http://terminology.hl7.org/CodeSystem/library-type"
_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_URI = "urn:ietf:rfc:3986"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A catalogue in one of its editions. Without a `uri` nothing says what belongs to it."""

    format: Format
    uri: str | None
    edition: str | None

    @property
    def id(self) -> str:
        """The id of its Library: the same for each edition."""
        if self.uri is None or self.uri == self.format.catalogue:
            return f"catalogue-{self.format.name}"
        return f"catalogue-{self.format.name}-{_hex(self.uri.encode())[:12]}"

    def member(self, resource: JSON) -> JSON:
        """A resource as one that belongs to it."""
        if self.uri is None:
            return resource
        first: JSON = {key: resource[key] for key in ("resourceType", "id") if key in resource}
        return {**first, "meta": {"source": self.uri}, **resource}

    def library(self) -> JSON:
        """The catalogue itself."""
        made: JSON = {"resourceType": "Library", "id": self.id}
        made |= {} if self.uri is None else {"url": self.uri}
        made |= {} if self.edition is None else {"version": self.edition}
        made |= {"title": self.format.title, "status": "active"}
        made["type"] = {"coding": [{"system": _LIBRARY, "code": "asset-collection"}]}
        made |= {} if self.uri is None else {"publisher": self.format.publisher}
        return {**made, "description": self.format.said}

    def provenance(self, files: Sequence[Hash], recorded: str) -> JSON:
        """Where it comes from: the files, each with its SHA-256 as https://www.rfc-editor.org/rfc/rfc6920 writes it.
        `recorded` is an instant. The same files, in the same edition, have the same id.
        """
        listed = "".join(f"{one.sha256}  {one.name}\n" for one in files)
        same = "\n".join((self.id, self.edition or "", __version__, listed))
        named = list(files)
        if len(files) > MOST:
            digest = _hex(listed.encode())
            named = [Hash(f"{len(files)} files, as sha256sum lists them", digest, sum(one.size for one in files))]
        edition = "" if self.edition is None else f", edition {self.edition}"
        return {
            "resourceType": "Provenance",
            "id": f"import-{self.format.name}-{_hex(same.encode())[:24]}",
            "target": [{"reference": f"Library/{self.id}", "display": f"{self.format.title}{edition}"}],
            "recorded": recorded,
            "activity": {"coding": [{"system": _LIFECYCLE, "code": "transform"}], "text": "import"},
            "agent": [
                {
                    "type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]},
                    "who": {"display": f"Apothecary {__version__}"},
                }
            ],
            "entity": [{"role": "source", "what": _what(one)} for one in named],
        }


def _what(file: Hash) -> JSON:
    digest = urlsafe_b64encode(bytes.fromhex(file.sha256)).decode().rstrip("=")
    return {
        "identifier": {"system": _URI, "value": f"ni:///sha-256;{digest}"},
        "display": f"{file.name}, {file.size} bytes, SHA-256 {file.sha256}",
    }


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
