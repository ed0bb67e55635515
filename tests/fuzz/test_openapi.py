"""Another program makes requests of what the OpenAPI document describes: https://schemathesis.readthedocs.io/"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from apothecary.app import create_app
from apothecary.content.sync import sync
from apothecary.rest.encoding import zstd
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.mass import much, on

CONTENT = Path(__file__).parents[2] / "resources"
# A release and a type each; the bodies of PUT and PATCH take so long to make that they have fewer.
DOCUMENTS = [("r4", "Medication"), ("r4b", "Binary"), ("r5", "MedicationKnowledge"), ("r5", "ValueSet")]
EXAMPLES, BODIES = much(2, 6), 1
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]

# So many requests of an operation are sent in other forms, too.
IN_OTHER_FORMS = much(1, 2)
# Forms of an answer besides JSON, by name in `_format`; with the type of the answer.
FORMS = {"html": "text/html", "xml": "application/fhir+xml"}

App = Callable[[dict[str, Any], Any], Any]


def unpacked(body: bytes) -> bytes:
    """A body without its coding, which the first bytes tell."""
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return bytes(zstd.decompress(body))
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


@contextmanager
def serving(database: str) -> Iterator[App]:
    """The app over the content that the repository ships, which these requests may change."""
    chosen = Settings(database=database, content=str(CONTENT))
    store = open_store(chosen)
    sync(chosen, store)
    made = create_app(chosen, store)
    yield lambda environ, start_response: made({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response)
    store.close()


@pytest.mark.mass
@pytest.mark.long
@pytest.mark.parametrize(("base", "name"), much(DOCUMENTS[2:3], DOCUMENTS))
@on("sqlite")
def test_whatever_the_document_describes_is_answered_as_it_says(database_url: str, base: str, name: str) -> None:
    with serving(database_url) as app:
        described = schemathesis.openapi.from_wsgi(f"/fhir/{base}/openapi.json?type={name}", app)
        operations = [one.ok() for one in described.get_all_operations()]
        assert len(operations) > 10
        for operation in operations:
            ask(operation, BODIES if operation.method in ("put", "patch") else EXAMPLES)


def ask_for_other_forms(case: Any, status: int) -> None:
    """The same request as a page and as XML has the status that it has as JSON, or is refused for its form alone."""
    # A form of a page sends what was left empty, too, and that counts as not given.
    left_empty = any(one in ("", [""]) for one in (case.query or {}).values())
    for name, kind in FORMS.items():
        if name == "html" and left_empty:
            continue
        again = case.call(params={"_format": name})
        found = again.headers.get("content-type", [""])[0]
        assert again.status_code in (status, 406), (case.as_curl_command(), name, again.status_code, status)
        # Of a very long address the beginning is looked at for the form of an error.
        assert found.startswith(kind) or again.status_code >= 400 or not again.content, (case.as_curl_command(), found)


def ask(operation: Any, examples: int) -> None:
    """Send so many requests of one operation, the same every time; the first few in other forms, too."""
    asked = 0

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        nonlocal asked
        answer = case.call()
        case.validate_response(answer, checks=CHECKS)
        asked += 1
        if operation.method == "get" and asked <= IN_OTHER_FORMS:
            ask_for_other_forms(case, answer.status_code)
        if answer.status_code >= 400:
            outcome = json.loads(unpacked(answer.content))
            assert outcome["resourceType"] == "OperationOutcome", case.as_curl_command()
            assert outcome["issue"], case.as_curl_command()

    answered()
