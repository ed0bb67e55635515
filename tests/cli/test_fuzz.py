"""From bytes to reports nothing crashes, whatever the bytes are: official examples, damaged."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.cli.validate_run import Check
from apothecary.content.read import read_bytes
from apothecary.content.xml_write import resource_xml
from apothecary.errors import Issue
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.reports.formats import FORMATS, render
from apothecary.reports.report import Report, findings_of

EXAMPLES = sorted((Path(__file__).parent.parent / "content" / "examples").glob("*.json"))
JSON = [path.read_bytes() for path in EXAMPLES]
XML = [resource_xml(parse(text), definitions(FhirVersion.R4)).encode() for text in JSON]
FRAGMENTS = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b'"',
    b"null",
    b"-1e99",
    b"\xff",
    b"\\ud800",
    b"<",
    b">",
    b"&x;",
    b"\x00",
    b"*a",
]


def damaged(texts: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of `texts` with pieces cut out, each replaced by a fragment."""
    cut = st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(FRAGMENTS))
    return st.builds(_damage, st.sampled_from(texts), st.lists(cut, min_size=1, max_size=4))


def _damage(text: bytes, cuts: list[tuple[float, int, bytes]]) -> bytes:
    for share, length, fragment in cuts:
        start = int(share * len(text))
        text = text[:start] + fragment + text[start + length :]
    return text


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.sampled_from(["x.json", "x.yaml"]), damaged(JSON)) | st.tuples(st.just("x.xml"), damaged(XML)),
    st.sampled_from(FhirVersion),
)
def test_a_damaged_resource_is_told_in_every_format(named: tuple[str, bytes], version: FhirVersion) -> None:
    name, text = named
    document = read_bytes(name, text, version=version)
    issues: list[Issue] = Check(fhir_version=version, known=frozenset()).issues(document)
    report = Report(files=1, resources=1)
    for finding in findings_of(document, issues):
        assert finding.line >= 1
        assert finding.column >= 1
        report.add(finding)
    for format_name in FORMATS:
        render(format_name, report).encode()
