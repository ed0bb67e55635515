"""How an EHR makes itself known to CDS Hooks: a token that it signs for one request, as one of the clients known here.
https://cds-hooks.hl7.org/2.0/#trusting-cds-clients

`iss` is the id of its file, which says what it may see and holds its keys, or the address where they are (`jku`): the
page's allow list of both. The page lets a token live as long as its issuer likes; here it is five minutes, as for all
that clients sign. A token that somebody found is of use for no longer, and the database keeps each `jti` as long.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

from apothecary.access.assertion import Signatures, addressee
from apothecary.access.grant import Grant
from apothecary.access.signed import Signed
from apothecary.settings import Settings

PATH = "/cds-services"
# The list of services, a service, and where feedback on it goes.
_ADDRESS = re.compile(rf"{PATH}(?P<service>/[^/]+)?(?P<feedback>(?<!{PATH})/feedback)?/?")
CALLED = "the address that is asked"


class Ehrs:
    """Knows EHRs by their tokens."""

    def __init__(self, signatures: Signatures, settings: Settings) -> None:
        # The list of services stands beside the base: under each of its names, as they are configured.
        self._names = tuple(urljoin(one, f"..{PATH}") for one in settings.token_endpoints)
        self._signatures, self._issuer = signatures, settings.root

    def audiences(self, path: str) -> frozenset[str]:
        """What `aud` may be in a token that is sent to a path; nothing where that is none of CDS Hooks. Feedback is
        sent to an address of its own, but the page has EHRs name the service.
        """
        found = _ADDRESS.fullmatch(path)
        if found is None:
            return frozenset()
        service = found["service"] or ""
        ends = [service, f"{service}{found['feedback']}"] if found["feedback"] else [service]
        return frozenset(f"{name}{end}" for name in self._names for end in ends)

    def names(self, signed: Signed, path: str) -> bool:
        """Whether a token says that it is one for this path."""
        return addressee(signed) in self.audiences(path)

    def grant(self, signed: Signed, path: str) -> Grant:
        """What a token grants that is sent to `path`, an address of CDS Hooks. Raises InvalidToken."""
        client = self._signatures.client_of(signed, self.audiences(path), called=CALLED, check=_issued)
        # The client is this server's, whichever way it makes itself known: how often it may ask is counted once.
        return Grant(client.id, None, self._issuer, client.scopes.texts, int(signed.time_of("exp")), client.name)


def _issued(signed: Signed) -> None:
    signed.time_of("iat")
