"""Labels that tests write: a head, product data, sections."""

from __future__ import annotations

SET_ID = "11111111-2222-4333-8444-555555555555"

LOINC = 'codeSystem="2.16.840.1.113883.6.1"'
NCIT = 'codeSystem="2.16.840.1.113883.3.26.1.1"'
NDC = 'codeSystem="2.16.840.1.113883.6.69"'
UNII = 'codeSystem="2.16.840.1.113883.4.9"'


def label(body: str = "", *, products: str = "", head: str = "", set_id: str = SET_ID, version: str = "3") -> str:
    """A label of `body`, its sections, and `products`, the `subject` elements of its product data."""
    data = f'<component><section><code code="48780-1" {LOINC}/>{products}</section></component>' if products else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<document xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<id root="aaaaaaaa-2222-4333-8444-555555555555"/>
<code code="34391-3" {LOINC} displayName="HUMAN PRESCRIPTION DRUG LABEL"/>
<title>Made up, for tests</title>
<effectiveTime value="20240229"/>
<setId root="{set_id}"/>
<versionNumber value="{version}"/>
{head}
<component><structuredBody>{data}{body}</structuredBody></component>
</document>
"""


def section(code: str, text: str = "", *, title: str = "", inner: str = "", attributes: str = "") -> str:
    """A section; `inner` are those in it, and other components."""
    return (
        f'<component><section {attributes}><code code="{code}" {LOINC}/>'
        f"{f'<title>{title}</title>' if title else ''}{f'<text>{text}</text>' if text else ''}{inner}"
        "</section></component>"
    )


def product(code: str, inner: str = "", outer: str = "", *, name: str = "Examplin") -> str:
    """A product: what is in it, and what is said of it."""
    return (
        f'<subject><manufacturedProduct><manufacturedProduct><code code="{code}" {NDC}/><name>{name}</name>'
        f"{inner}</manufacturedProduct>{outer}</manufacturedProduct></subject>"
    )
