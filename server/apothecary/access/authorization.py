"""The parts of authorization, put together: made once, and only where the settings turn it on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apothecary.access.assertion import Authenticator, Signatures
from apothecary.access.bearer import Bearers
from apothecary.access.clients import clients_of
from apothecary.access.discovery import smart_configuration
from apothecary.access.ehr import Ehrs
from apothecary.access.issuers import Issuers
from apothecary.access.keys import SigningKeys
from apothecary.access.token import TokenEndpoint
from apothecary.settings import Settings
from apothecary.store.assertions import Assertions
from apothecary.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a server needs to know who asks."""

    settings: Settings
    bearers: Bearers
    issuers: Issuers
    tokens: TokenEndpoint | None
    """None where nobody gets tokens here."""

    @classmethod
    def of(cls, settings: Settings, store: SqlStore, *, clock: Callable[[], float] = time.time) -> Authorization:
        """Raises StartError."""
        clients, issuers, keys = clients_of(settings), Issuers(settings, clock=clock), SigningKeys(store, clock=clock)
        if clients is None:
            return cls(settings, Bearers(settings.root, None, keys, issuers, clock=clock), issuers, None)
        signatures = Signatures(clients, Assertions(store), clock=clock)
        ehrs = Ehrs(signatures, settings) if settings.cds_hooks else None
        known = Authenticator(signatures, settings.token_endpoints)
        tokens = TokenEndpoint(known, keys, settings.root, settings.token_seconds, clock=clock)
        return cls(settings, Bearers(settings.root, clients, keys, issuers, ehrs, clock=clock), issuers, tokens)

    def discovered(self) -> dict[str, Any]:
        """What clients are told of it. Raises Unreachable."""
        return smart_configuration(self.settings, None if self.tokens is not None else self.issuers.first)
