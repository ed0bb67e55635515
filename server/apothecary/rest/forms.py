"""The forms that answers and bodies have: JSON, XML, YAML, NDJSON for searches, and pages for people.

https://hl7.org/fhir/R5/formats.html and https://hl7.org/fhir/R5/http.html#mime-type. An answer is JSON when it is made;
another form is made of it where it goes out, so that no interaction knows of forms. YAML is what the files of a content
folder may be written in, and no format of the specification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from apothecary.content.read import read_bytes
from apothecary.content.write import NoText, xml_text, yaml_text
from apothecary.errors import InvalidContent, NotAcceptable, TooLarge
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion


@dataclass(frozen=True, slots=True)
class Form:
    """A form: its name in `_format`, and the media types that ask for it, of which the first is the answer's."""

    name: str
    types: tuple[str, ...]
    versioned: bool = True
    """Whether the media type says the FHIR version."""

    def content_type(self, version: FhirVersion) -> str:
        """The header of an answer in this form."""
        said = f"; fhirVersion={version.mime}" if self.versioned else ""
        return f"{self.types[0]}; charset=utf-8{said}"


FHIR_JSON = Form("json", ("application/fhir+json", "application/json", "text/json", "application/json+fhir"))
FHIR_XML = Form("xml", ("application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir"))
YAML = Form("yaml", ("application/fhir+yaml", "application/yaml", "text/yaml", "application/x-yaml"))
NDJSON = Form("ndjson", ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson"), versioned=False)

HTML = Form("html", ("text/html", "application/xhtml+xml"), versioned=False)

FORMS = (FHIR_JSON, FHIR_XML, YAML, NDJSON, HTML)
BY_NAME = {name: form for form in FORMS for name in (form.name, *form.types)}

# What a body may be written in.
READ = frozenset((*FHIR_JSON.types, *FHIR_XML.types, *YAML.types))

# An answer of so many bytes of JSON is written in another form in some seconds; a larger one only in JSON.
LARGEST = {FHIR_XML: 16 * 1024 * 1024, YAML: 1024 * 1024}
# A body in XML has no more elements: each costs some hundred bytes of memory. YAML is read more slowly.
ELEMENTS, LARGEST_YAML = 500_000, 1024 * 1024


def written(form: Form, body: bytes, version: FhirVersion, *, indented: bool, named: str | None = None) -> bytes:
    """An answer, which is JSON, in another form. Where the address of the request `named` it in `_format`, so do the
    links of a Bundle to its other pages. Raises NotAcceptable where the form has no place for the answer.
    """
    most = LARGEST.get(form)
    if most is None:
        raise NotAcceptable(
            f"only a search is answered in {form.types[0]}",
            remedy="Ask for application/fhir+json, or search for what you want.",
        )
    if len(body) > most:
        raise NotAcceptable(
            f"an answer of {len(body)} bytes is not written as {form.name.upper()}; the limit is {most}",
            remedy="Ask for smaller pages (_count), or for application/fhir+json.",
        )
    resource = parse(body)
    if named and resource.get("resourceType") == "Bundle":
        for link in resource.get("link", []):
            link["url"] += f"{'&' if '?' in link['url'] else '?'}_format={quote(named)}"
    try:
        return _WRITERS[form](resource, version, indented)
    except NoText as error:
        raise NotAcceptable(
            f"the answer cannot be written as {form.name.upper()}: {error}",
            remedy="Ask for application/fhir+json, which has a place for everything.",
        ) from None


def read(kind: str, body: bytes, version: FhirVersion) -> JSON | None:
    """The resource in a body of the media type `kind`; None where that is JSON, which is read elsewhere. Raises
    InvalidContent with every fault and its place; TooLarge.
    """
    form = BY_NAME[kind]
    if form is FHIR_JSON:
        return None
    if form is FHIR_XML and body.count(b"<") > 2 * ELEMENTS:
        raise TooLarge(f"the body has more than {ELEMENTS} elements", remedy="Send several, or JSON.")
    if form is YAML and len(body) > LARGEST_YAML:
        raise TooLarge(f"a body in YAML has at most {LARGEST_YAML} bytes", remedy="Send JSON.")
    document = read_bytes("body", body, "xml" if form is FHIR_XML else "yaml", version)
    faults = [
        f"line {one.line}, column {one.column}: {one.issue.diagnostics}"
        for one in document.issues
        if one.issue.severity in ("fatal", "error")
    ]
    if faults:
        raise InvalidContent(f"the body is not FHIR {form.name.upper()}: {'; '.join(faults[:20])}")
    if not isinstance(document.value, dict):
        raise InvalidContent(f"the body holds no resource in {form.name.upper()}")
    return document.value


def _xml(resource: JSON, version: FhirVersion, indented: bool) -> bytes:
    return xml_text(resource, version, indented=indented)


def _yaml(resource: JSON, version: FhirVersion, indented: bool) -> bytes:
    return yaml_text(resource)


_WRITERS: dict[Form, Callable[[JSON, FhirVersion, bool], bytes]] = {FHIR_XML: _xml, YAML: _yaml}
