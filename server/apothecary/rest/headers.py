"""What browsers are told of every answer: that it is what it says, runs nothing, and stands in nobody's frame.

https://hl7.org/fhir/R5/security.html#narrative and https://www.w3.org/TR/CSP3/. FHIR is data that others wrote,
narratives, attachments and Binaries among it. A browser that shows an answer
as it is must not fetch or run anything for it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

POLICY = "Content-Security-Policy"

# For whatever is no page of our own. `sandbox` gives it an origin of its own, too.
_DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"

_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


def harden(headers: list[tuple[str, str]]) -> None:
    """Add what `headers` say nothing of."""
    headers.extend(_ALWAYS)
    if not any(name == POLICY for name, _ in headers):
        headers.append((POLICY, _DATA))


def page_policy(styles: Iterable[str]) -> tuple[str, str]:
    """The policy of a page of our own, which has these style sheets in it and no script: it fetches nothing, and its
    forms go to this server.
    """
    allowed = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in styles)
    sources = f"style-src {allowed}; " if allowed else ""
    return POLICY, f"default-src 'none'; {sources}base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
