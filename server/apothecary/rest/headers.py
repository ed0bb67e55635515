"""What browsers are told of every answer: that it is what it says, runs nothing, and stands in nobody's frame.

https://hl7.org/fhir/R5/security.html#narrative and https://www.w3.org/TR/CSP3/. FHIR is data that others wrote,
narratives, attachments and Binaries among it. A browser that shows an answer
as it is must not fetch or run anything for it.
"""

from __future__ import annotations

# What an answer hangs on besides its address: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5
VARY = "Accept, Accept-Encoding, Prefer"

POLICY = "Content-Security-Policy"

# For whatever is no page of our own. `sandbox` gives it an origin of its own, too.
_DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"

_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


def harden(headers: list[tuple[str, str]]) -> None:
    """Add what `headers` say nothing of."""
    headers.extend(_ALWAYS)
    for name, _ in headers:
        if name == POLICY:
            return
    headers.append((POLICY, _DATA))


# The policy of pages of our own: they have a style sheet and a script of this server, pictures that stand in the text
# itself, and forms that go to this server.
PAGE = (
    POLICY,
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
)

# Swagger UI asks this server.
TRIED = (POLICY, f"{PAGE[1]}; connect-src 'self'")
