"""What the server writes into a resource that it stores, and what it leaves alone."""

from __future__ import annotations

import pytest

from apothecary.fhir.json import parse
from apothecary.fhir.meta import stamp

STAMPS = (
    (
        '{"resourceType":"Basic"}',
        '{"resourceType":"Basic","id":"b","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:01.500Z"}}',
    ),
    (
        '{"code":{"text":"0.50"},"id":"other","resourceType":"Basic","extension":[{"url":"x","valueDecimal":0.50}]}',
        '{"resourceType":"Basic","id":"b","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:01.500Z"},'
        '"code":{"text":"0.50"},"extension":[{"url":"x","valueDecimal":0.50}]}',
    ),
    (
        '{"resourceType":"Basic","meta":{"versionId":"9","tag":[{"code":"t"}],"lastUpdated":"2000-01-01T00:00:00Z"}}',
        '{"resourceType":"Basic","id":"b","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:01.500Z","tag":[{"code":"t"}]}}',
    ),
)


@pytest.mark.parametrize(("before", "after"), STAMPS)
def test_id_version_and_time_are_set_and_all_else_is_kept(before: str, after: str) -> None:
    assert stamp(parse(before), "b", 3, 1_500_000).decode() == after
