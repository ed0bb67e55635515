"""Where clients get tokens: https://hl7.org/fhir/smart-app-launch/conformance.html#using-well-known"""

from __future__ import annotations

from typing import Any

from apothecary.access.issuers import Issuer
from apothecary.access.signed import OF_CLIENTS
from apothecary.access.token import GRANT_TYPE
from apothecary.settings import Settings

PATH = ".well-known/smart-configuration"

# Scopes of the first version are understood, too.
_CAPABILITIES = ("permission-v2", "permission-v1")
# What an issuer says of itself, and clients look for here.
_OF_ISSUERS = (
    *("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint"),
    *("revocation_endpoint", "registration_endpoint", "grant_types_supported", "response_types_supported"),
    *("token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported"),
)


def smart_configuration(settings: Settings, issuer: Issuer | None) -> dict[str, Any]:
    """What the address says: of the token endpoint here, or of that of `issuer`. Raises Unreachable."""
    own: dict[str, Any] = {
        "token_endpoint": settings.token_endpoint,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(OF_CLIENTS),
        "grant_types_supported": [GRANT_TYPE],
        "capabilities": ["client-confidential-asymmetric", *_CAPABILITIES],
    }
    if issuer is not None:
        metadata = issuer.metadata()
        own = {name: metadata[name] for name in _OF_ISSUERS if name in metadata}
        own["capabilities"] = list(_CAPABILITIES)
    return own | {
        "scopes_supported": ["system/*.rs"] if settings.read_only else ["system/*.cruds", "system/*.rs"],
        # Asked of every server, also of one that has no use for it.
        "code_challenge_methods_supported": ["S256"],
    }
