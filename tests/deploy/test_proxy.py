"""nginx with the configuration in deploy/proxy, started for real before a real server."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from apothecary.testing import ServerProcess, free_port
from tests.missing import missing
from tests.waiting import PATIENCE, until

CONFIGURATION = Path(__file__).parent.parent.parent / "deploy" / "proxy" / "nginx.conf"
NAME = "fhir.example.org"
BASE = f"https://{NAME}/fhir"

pytestmark = pytest.mark.slow


@dataclass
class Proxy:
    """An nginx that listens on `port`, with TLS, and on `plain`, without."""

    port: int
    plain: int
    certificate: Path

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        host: str = NAME,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask as a client does that looked `host` up; its certificate is checked."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = host == NAME
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection = http.client.HTTPConnection(host)
        connection.sock = context.wrap_socket(raw, server_hostname=host)
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        return answer, found


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None or shutil.which("openssl") is None:
        missing("nginx and openssl (Debian: apt-get install nginx-light openssl)")
    folder = tmp_path_factory.mktemp("proxy")
    key, certificate = folder / "tls.key", folder / "tls.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
         "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    (port, mark), (plain, other) = free_port(), free_port()
    server = ServerProcess(folder, {"base_url": BASE, "body_limit": 1000, "request_log": "json"})
    # Only places of this machine differ from what is in the repository.
    text = CONFIGURATION.read_text()
    for given, here in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("127.0.0.1:8080;", f"127.0.0.1:{server.port};"),
        ("/etc/apothecary/tls", str(folder / "tls")),
        ("/run/nginx.pid", str(folder / "nginx.pid")),
        ("client_max_body_size 32m", "client_max_body_size 2k"),
    ):
        assert given in text, f"{CONFIGURATION.name} has no {given!r}: mend this test"
        text = text.replace(given, here)
    text = text.replace("http {", f"http {{ client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;", 1)
    (folder / "nginx.conf").write_text(text)
    with server:
        command = [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-g", "daemon off;"]
        with (folder / "nginx.log").open("wb") as log:
            process = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            assert until(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, (folder / "nginx.log").read_text()
            yield Proxy(port, plain, certificate)
        finally:
            process.terminate()
            process.wait()
            mark.close()
            other.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def create(proxy: Proxy) -> tuple[http.client.HTTPResponse, bytes]:
    body = json.dumps({"resourceType": "Substance", "instance": False, "code": {"concept": {"text": "x"}}}).encode()
    return proxy.ask("POST", "/fhir/Substance", body, {"Content-Type": "application/fhir+json"})


def test_every_link_is_an_address_that_clients_can_reach(proxy: Proxy) -> None:
    answer, _ = create(proxy)
    assert answer.status == 201
    assert re.fullmatch(rf"{BASE}/Substance/[^/]+/_history/1", answer.headers["Location"])
    create(proxy)
    _, body = proxy.ask("GET", "/fhir/r4/Substance?_count=1")
    bundle = json.loads(body)
    links = {one["relation"]: one["url"] for one in bundle["link"]}
    assert links.keys() >= {"self", "next"}
    assert [one for one in (*links.values(), bundle["entry"][0]["fullUrl"]) if not one.startswith(f"{BASE}/r4")] == []
    following, _ = proxy.ask("GET", links["next"].removeprefix(f"https://{NAME}"))
    assert following.status == 200


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("", False), ("x" * 65, False), ('a b"c', False)])
def test_an_answer_has_the_clients_request_id_or_a_new_one(proxy: Proxy, given: str, kept: bool) -> None:
    answer, _ = proxy.ask("GET", "/fhir/metadata", headers={"X-Request-Id": given} if given else {})
    found = answer.headers["X-Request-Id"]
    assert found
    assert (found == given) is kept


def test_answers_are_compressed_once(proxy: Proxy) -> None:
    answer, body = proxy.ask("GET", "/fhir/metadata", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["resourceType"] == "CapabilityStatement"


@pytest.mark.parametrize("size", [1500, 5000])
def test_a_body_over_a_limit_is_refused(proxy: Proxy, size: int) -> None:
    """By the server up to the proxy's limit, with an OperationOutcome; past it by the proxy, unread."""
    answer, body = proxy.ask("POST", "/fhir/Substance", b"x" * size, {"Content-Type": "application/fhir+json"})
    assert answer.status == 413
    assert (b"OperationOutcome" in body) is (size < 2000)


def test_a_foreign_host_gets_no_answer(proxy: Proxy) -> None:
    answer, _ = proxy.ask("GET", "/fhir/Substance", host="evil.example")
    assert answer.status == 421
    lied, body = proxy.ask(
        "GET", "/fhir/Substance", headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil"}
    )
    assert lied.status == 200
    assert b"evil" not in body


def test_metrics_are_for_the_monitoring_inside_and_health_for_all(proxy: Proxy) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert proxy.ask("GET", path)[0].status == 200
    # Whoever comes from elsewhere is refused: on loopback only the rule itself can be looked at.
    assert re.search(r"location = /metrics \{\s+allow 127.0.0.1;\s+deny all;", CONFIGURATION.read_text())


def test_plain_http_leads_to_tls(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain, timeout=PATIENCE)
    connection.request("GET", "/fhir/metadata", headers={"Host": NAME})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, f"{BASE}/metadata")
    connection.close()


def test_clients_are_told_to_come_back_over_tls_only(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/healthz")[0].headers["Strict-Transport-Security"] == "max-age=31536000"
