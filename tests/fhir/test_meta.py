"""What the server writes into a resource that it stores, and what it leaves alone."""

from __future__ import annotations

import pytest

from apothecary.fhir.json import parse
from apothecary.fhir.meta import stamp, unstamped

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


# Where the text is cut in two as it is, and where it is put together anew.
MORE = (
    '{"resourceType":"Basic","id":"b"}',
    '{"resourceType":"Basic","id":"b","code":{"text":"0.50"}}',
    '{"resourceType":"Basic","id":"b","meta":{"source":"urn:a"}}',
    '{"resourceType":"Basic","id":"b","meta":{"source":"urn:a"},"code":{"text":",\\"meta\\":{"}}',
    '{"resourceType":"Basic","id":"b","meta":{}}',
    '{"resourceType":"Basic","id":"b","meta":{},"code":{"text":"a"}}',
    '{"resourceType":"Basic","id":"b","meta":{"lastUpdated":"2000-01-01T00:00:00Z","source":"urn:a"}}',
    '{"resourceType":"Basic","id":"b","code":{"text":"a"},"meta":{"source":"urn:a"}}',
    '{"resourceType":"Basic","id":"b","meta":null}',
    '{"resourceType":"Basic","id":"other","meta":{"source":"urn:a"}}',
    '{"resourceType":"Basic","id":"b2","meta":{"source":"urn:a"}}',
    '{"id":"b","resourceType":"Basic","meta":{"source":"urn:a"}}',
    '{"resourceType":"Basic","id":"b","contained":[{"resourceType":"Basic","id":"b","meta":{"source":"urn:a"}}]}',
)


@pytest.mark.parametrize("text", [*(before for before, _ in STAMPS), *MORE])
def test_what_is_stamped_later_is_what_would_have_been_stamped_at_once(text: str) -> None:
    resource = parse(text)
    if resource.get("meta", {}) is None:
        with pytest.raises(AttributeError):
            stamp(resource, "b", 3, 1_500_000)
        with pytest.raises(AttributeError):
            unstamped(resource, "b")
        return
    assert unstamped(resource, "b").stamped(3, 1_500_000) == stamp(resource, "b", 3, 1_500_000)
