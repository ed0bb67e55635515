"""What a verified access token says: https://hl7.org/fhir/smart-app-launch/backend-services.html#access-token"""

from __future__ import annotations

from dataclasses import dataclass

# Where the WSGI environment holds the grant of a request; missing where nobody has to say who asks.
GRANT = "apothecary.grant"
# And its scopes, by which kept answers are told apart.
SCOPES = "apothecary.scopes"


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks, and what he may: what a verified access token says."""

    client: str
    """The client_id; of a foreign token its `client_id` or `azp`."""
    subject: str | None
    """The `sub` of a foreign token: a person, or what stands for one. None for a client of our own."""
    issuer: str
    """Who signed the token; of one that a client signed for this request alone, this server, which knows the client."""
    scopes: tuple[str, ...]
    """As granted, sorted: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html"""
    expires: int
    """Seconds since 1970."""
    name: str | None = None
    """What people call the client, or who stands behind the subject."""
