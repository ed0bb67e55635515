"""Contained resources as matches of their own: https://hl7.org/fhir/R5/search.html#contained"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.forms import in_version
from apothecary.interactions.service import Service
from apothecary.interactions.sizes import too_large
from apothecary.search.contained import Address, address, identity_of, is_marked, local_ids
from apothecary.store.contract import Hit
from apothecary.store.limited import held, in_pieces


def contained_in(service: Service, version: FhirVersion, hits: Sequence[Hit]) -> Mapping[str, bytes]:
    """The texts of those of `hits` that are contained resources, by their ids in the index, in `version`.

    They are cut out of their containers, whose text is the only one there is. What a container has no longer is not
    among them. Raises TooCostly where the containers have more bytes than an answer may.
    """
    wanted = {hit.id for hit in hits if is_marked(hit.type)}
    if not wanted:
        return {}
    found = {}
    containers = {(where.type, where.id) for where in map(address, wanted)}
    limit = left = service.settings.answer_limit
    for stored in in_pieces(service.reader, sorted(containers)):
        left -= held(stored)
        if left < 0:
            raise too_large(limit, "what contains these matches", "Ask for smaller pages with _count.")
        resource = parse(stored.body or b"{}")
        for local, one in zip(local_ids(resource), resource.get("contained", ()), strict=True):
            identity = identity_of(Address(stored.type, stored.id, local))
            if identity in wanted:
                found[identity] = dumps(in_version(one, FhirVersion(stored.fhir_version), version))
    return found
