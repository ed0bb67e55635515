"""What browsers are told of every answer: https://hl7.org/fhir/R5/security.html#narrative"""

from __future__ import annotations

import re

import pytest

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store

HTML = b"<script>alert(1)</script>"


@pytest.mark.parametrize("read_only", [False, True])
def test_no_answer_is_guessed_at_or_run_or_framed(sqlite_database_url: str, read_only: bool) -> None:
    settings = Settings(database=sqlite_database_url, content="", body_limit=1000)
    store = open_store(settings)
    client = create_app(settings, store).test_client()
    client.put("/fhir/Binary/b", data=HTML, content_type="text/html")
    client.put("/fhir/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "x"})
    if read_only:
        client = create_app(Settings(database=sqlite_database_url, content="", read_only=True), store).test_client()
    browser = {"Accept": "text/html,*/*", "User-Agent": "Mozilla/5.0", "Origin": "http://evil.example"}
    seen = set()
    for method, path, status, more in (
        *(("GET", "/fhir/Organization/o", 200, {}), ("GET", "/fhir/r4/Organization", 200, {})),
        *(("HEAD", "/fhir/Organization/o", 200, {}), ("OPTIONS", "/fhir/Organization", 204, {})),
        *(("GET", "/fhir/metadata", 200, {}), ("GET", "/fhir/Organization/o", 304, {"If-None-Match": "*"})),
        *(
            ("GET", "/fhir/Organization/none", 404, {}),
            ("GET", "/nowhere/<script>", 404, {}),
            ("PUT", "/healthz", 405, {}),
        ),
        *(("GET", "/fhir/Organization?_count=x", 400, {}), ("GET", "/fhir/%00", 400, {}), ("GET", "/", 200, {})),
        *(("GET", "/", 421, {"Host": "evil.example"}), ("DELETE", "/fhir/Organization/o", 403, {})),
        *(("GET", "/healthz", 200, {}), ("GET", "/readyz", 200, {}), ("GET", "/metrics", 200, {})),
        *(("GET", "/fhir/Binary/b", 200, {}), ("GET", "/fhir/Binary/b/_history/1", 200, {})),
        ("POST", "/fhir/Organization/_search", 415, {"Content-Type": "text/html"}),
    ):
        answer = client.open(path, method=method, headers=browser | more)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
        assert answer.headers.getlist("Referrer-Policy") == ["no-referrer"]
        (policy,) = answer.headers.getlist("Content-Security-Policy")
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        page = answer.headers.get("Content-Type", "").startswith("text/html") and "Binary" not in path
        assert ("sandbox" in policy) is not page
        seen.add(page)
        if "Binary" in path:
            assert (answer.data, answer.headers["Content-Disposition"]) == (HTML, "attachment")
        if page:
            assert (
                "style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'"
                in policy
            )
            assert not re.search(r"<script(?! src=\"/pages/)|<style| on\w+=| style=", answer.text)
    assert seen == {True, False}
    store.close()


def test_a_failure_of_the_server_is_no_exception(sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database=sqlite_database_url, content="")
    app = create_app(settings)

    def fail(*_: object) -> None:
        raise RuntimeError("the word that nobody may see")

    for name in ("read", "state"):
        monkeypatch.setattr(app.service.store, name, fail)
    for path in ("/fhir/Organization/o", "/readyz"):
        answer = app.test_client().get(path)
        assert answer.status_code == 500
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    # Outside of what Flask handles.
    monkeypatch.setattr(app, "handle_exception", fail)
    monkeypatch.setattr(app, "full_dispatch_request", fail)
    answer = app.test_client().get("/fhir/Organization")
    assert (answer.status_code, answer.json["resourceType"]) == (500, "OperationOutcome")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    app.service.store.close()
