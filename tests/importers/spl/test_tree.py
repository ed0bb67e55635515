"""What labels write as OIDs has the URIs that HL7 gives to them."""

from __future__ import annotations

import json
import tarfile

from apothecary.importers.spl.tree import SYSTEMS
from scripts.definitions.packages import TERMINOLOGY
from tests.official import guide

# HL7's own list of countries has this OID; it stands for those of ISO.
COUNTRIES = "2.16.840.1.113883.5.28"


def test_each_code_system_has_the_uri_that_hl7_gives_to_its_oid() -> None:
    given: dict[str, set[str]] = {}
    with tarfile.open(guide(TERMINOLOGY)) as package:
        for member in package:
            if not member.name.startswith("package/NamingSystem-"):
                continue
            stream = package.extractfile(member)
            assert stream is not None
            system = json.load(stream)
            by_kind = {one["type"]: one["value"] for one in reversed(system["uniqueId"])}
            preferred = [one["value"] for one in system["uniqueId"] if one["type"] == "uri" and one.get("preferred")]
            for uri in preferred or [by_kind.get("uri")]:
                given.setdefault(by_kind.get("oid", ""), set()).add(uri)
    for oid, uri in SYSTEMS.items():
        assert oid == COUNTRIES or uri in given[oid], oid
