"""What a web page of another origin can do to a server on the same machine, tried with a browser.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apothecary.testing import ServerProcess
from tests.durability.health import always_healthy
from tests.missing import missing
from tests.rest.test_other_servers import ask
from tests.waiting import PATIENCE

# A page's script: each try notes the status of the answer, `opaque` where the page may not see it, `refused` where the
# browser did not let it through.
SCRIPT = """
<!doctype html><title>x</title><iframe name="hidden"></iframe>
<form id="form" method="post" enctype="text/plain" target="hidden" action="SERVER/fhir/Organization">
<input name='{"resourceType":"Organization","name":"form","alias":["' value='"]}'></form>
<script>
const json = {"Content-Type": "application/fhir+json"}, named = {"Content-Type": "application/x-www-form-urlencoded"};
const organization = JSON.stringify({resourceType: "Organization", id: "page", name: "page"});
const batch = JSON.stringify({resourceType: "Bundle", type: "batch", entry: [
  {request: {method: "GET", url: "Organization/mine"}}, {request: {method: "DELETE", url: "Organization/mine"}}]});
const tries = {
  read: ["/fhir/Organization/mine", {}],
  search: ["/fhir/Organization/_search", {method: "POST", headers: named, body: "_id=mine"}],
  put: ["/fhir/Organization/page", {method: "PUT", headers: json, body: organization}],
  create: ["/fhir/Organization", {method: "POST", headers: json, body: organization}],
  patch: ["/fhir/Organization/mine", {method: "PATCH", headers: json, body: "[]"}],
  remove: ["/fhir/Organization/mine", {method: "DELETE"}],
  plain: ["/fhir/Organization", {method: "POST", headers: {"Content-Type": "text/plain"}, body: organization}],
  unseen: ["/fhir/Binary", {method: "POST", mode: "no-cors", body: "page"}],
  rebound: ["REBOUND/fhir/Organization/mine", {}],
  batch: ["/fhir", {method: "POST", headers: json, body: batch}],
};
(async () => {
  const found = {};
  for (const [name, [path, how]] of Object.entries(tries)) {
    try {
      const answer = await fetch(path.startsWith("http") ? path : "SERVER" + path, how);
      found[name] = answer.type === "opaque" ? "opaque" : answer.status;
      if (name === "batch" && answer.ok) found.entries = (await answer.json()).entry.map(one => one.response.status);
    } catch { found[name] = "refused"; }
  }
  document.getElementById("form").submit();
  await new Promise(done => { document.querySelector("iframe").onload = done; setTimeout(done, 5000); });
  await fetch("/found", {method: "POST", body: JSON.stringify(found)});
})();
</script>
"""


class Page:
    """A web server of one page, and what its script found."""

    def __init__(self) -> None:
        self.text = ""
        self.found: dict[str, Any] = {}
        self.done = threading.Event()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page.text.encode())

            def do_POST(self) -> None:
                page.found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()
                page.done.set()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def page() -> Iterator[Page]:
    made = Page()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


def opened(browser: str, url: str, profile: Path, done: threading.Event) -> None:
    """Open `url` in a browser of its own, until the page is done. `evil.example` means this machine to it."""
    command = [
        *(browser, "--headless", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={profile}", "--host-resolver-rules=MAP evil.example 127.0.0.1", "--no-proxy-server"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        url,
    ]
    with (profile.parent / "browser.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            assert done.wait(PATIENCE), (profile.parent / "browser.log").read_text("utf-8", "replace")
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True], ids=["of any origin", "of a named origin"])
def test_a_page_at_another_port_reads_and_writes_only_if_it_is_named(tmp_path: Path, named: bool) -> None:
    browser = shutil.which("chromium") or missing("there is no Chromium")
    with page() as found:
        origins = f"*,{found.origin}" if named else "*"
        with ServerProcess(tmp_path, {"cors_origins": origins}) as server, always_healthy(server.port):
            mine = {"resourceType": "Organization", "id": "mine", "name": "mine"}
            assert ask(server.port, "PUT", "/fhir/Organization/mine", mine)[0] == 201
            rebound = f"http://evil.example:{server.port}"
            found.text = SCRIPT.replace("SERVER", server.address).replace("REBOUND", rebound)
            opened(browser, found.origin, tmp_path / "profile", found.done)
            held = ask(server.port, "GET", "/fhir/Organization?_elements=name")[1]
            binaries = ask(server.port, "GET", "/fhir/_history?_summary=count")[1]["total"]
    names = sorted(one["resource"]["name"] for one in held.get("entry", ()))
    shared = {"read": 200, "search": 200, "batch": 200, "unseen": "opaque", "rebound": 421}
    if named:
        # A body of plain text is no FHIR, whoever sends it; a Binary may be of any type.
        done = {"put": 201, "create": 201, "patch": 200, "remove": 204, "plain": 415}
        assert found.found == {**shared, **done, "entries": ["410 Gone", "204 No Content"]}
        assert names == ["page", "page"]
    else:
        kept_out = {"put": "refused", "create": "refused", "patch": "refused", "remove": "refused", "plain": 403}
        assert found.found == {**shared, **kept_out, "entries": ["200 OK", "403 Forbidden"]}
        assert (names, binaries) == (["mine"], 1)
