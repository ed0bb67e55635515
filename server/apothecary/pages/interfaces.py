"""The page that shows an OpenAPI document and lets it be tried, by Swagger UI.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from apothecary.pages.answers import shown
from apothecary.pages.view import View


def interface_page(view: View, document: str, resource_type: str) -> bytes:
    """The page of a document, whose name below the base is `document`."""
    pairs = (("type", resource_type),) if resource_type else ()
    return shown(
        "openapi.html",
        view,
        "The interface, to try",
        types=view.service.registry(view.version).types,
        type=resource_type,
        releases=sorted(view.service.versions),
        document=view.to(document, *pairs),
        # What a resource is made of is too much for a browser: each type stands within others.
        shown_document=view.to(document, *pairs, ("schemas", "false")),
    )
