"""Templates -> HTML. Whatever comes from a resource is escaped, but for narratives, which nh3 cleans.

https://hl7.org/fhir/R5/narrative.html#security and https://jinja.palletsprojects.com/en/stable/api/#autoescaping
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import nh3
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from apothecary.validation.narrative import ELEMENTS

# What a narrative may have, without what leads somewhere in a picture: https://hl7.org/fhir/R5/narrative.html#xhtml
_TAGS = ELEMENTS - {"area", "map"}
_ATTRIBUTES = {
    "*": {"lang", "title", "dir"},
    "a": {"href"},
    "img": {"alt", "src", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start", "type"},
}


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Links lead to pages, and pictures are shown where they stand in the text itself."""
    if name == "href":
        return value if urlsplit(value).scheme in ("", "http", "https", "mailto") else None
    if name == "src":
        return value if value.startswith(("data:image/png", "data:image/jpeg", "data:image/gif")) else None
    return value


_cleaner = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style"},
    attributes=_ATTRIBUTES,
    attribute_filter=_attribute,
    url_schemes={"http", "https", "mailto", "data"},
    link_rel="noopener noreferrer",
)


def narrative(div: Any, most: int) -> tuple[Markup, bool]:
    """The text of a narrative as part of a page, its headings below those of the page; and whether some of it was left
    out, because it would have more than `most` characters.
    """
    if not isinstance(div, str):
        return Markup(), False
    size = most
    while True:
        # What is open where the text is cut is closed by the parser.
        cleaned = _cleaner.clean(_beginning(div, size))
        if len(cleaned) <= most:
            return Markup(cleaned), size < len(div)  # noqa: S704 (nh3 cleaned it)
        size //= 2


def _beginning(text: str, size: int) -> str:
    """The beginning of a text of HTML, without what is left of a tag or of an entity at its end."""
    if len(text) <= size:
        return text
    text = text[:size]
    for opening, closing in (("<", ">"), ("&", ";")):
        if text.rfind(opening) > text.rfind(closing):
            text = text[: text.rfind(opening)]
    return text


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("apothecary.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # The templates that were installed are there for good: none is looked at again.
        auto_reload=False,
    )
    made.globals |= {
        "asset_address": asset_address,
        "style": asset_address("apothecary.css"),
        "script": asset_address("apothecary.js"),
    }
    return made


def render(template: str, **values: Any) -> bytes:
    """A page."""
    return _environment().get_template(template).render(**values).encode()


def part(template: str, **values: Any) -> Markup:
    """A part of a page, escaped already."""
    return Markup(_environment().get_template(template).render(**values))  # noqa: S704


# -- what pages fetch: https://www.rfc-editor.org/rfc/rfc8246

_CSS, _SCRIPT = "text/css; charset=utf-8", "text/javascript; charset=utf-8"
# Swagger UI is what npm publishes as swagger-ui-dist, with its licence beside it.
ASSETS = {
    "apothecary.css": _CSS,
    "apothecary.js": _SCRIPT,
    "openapi.js": _SCRIPT,
    "swagger-ui/swagger-ui.css": _CSS,
    "swagger-ui/swagger-ui-bundle.js": _SCRIPT,
}


@cache
def asset(name: str) -> bytes:
    """A file that pages fetch."""
    return (files("apothecary.pages") / "static" / name).read_bytes()


@cache
def asset_address(name: str) -> str:
    """Its address below the server's, which changes with its content, so that browsers may keep it for good."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(asset(name)).digest())[:12].decode()
    return f"pages/{digest}/{name}"
