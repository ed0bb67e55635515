"""What others keep at an address is fetched when it is needed, never for ever, and never too much of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apothecary.access import remote
from apothecary.access.clients import read_client
from apothecary.access.remote import AGAIN, LEAST, MOST, USUAL, Remote, fetch, kept, why_not
from apothecary.access.signed import usable
from apothecary.errors import Unreachable
from tests.access.clients import Sender, ec_key


class Shelf:
    """A server's document, which tests change, and a clock."""

    def __init__(self) -> None:
        self.document: Any = {"keys": [ec_key().as_dict(private=False)]}
        self.seconds = USUAL
        self.now = 0.0
        self.asked = 0

    def fetch(self, url: str) -> tuple[bytes, float]:
        self.asked += 1
        if isinstance(self.document, Exception):
            raise self.document
        return json.dumps(self.document).encode(), self.seconds

    def remote(self) -> Remote[Any]:
        return Remote("https://a.example/jwks", usable, fetch=self.fetch, clock=lambda: self.now)


def test_a_document_is_kept_for_as_long_as_it_may() -> None:
    shelf = Shelf()
    keys = shelf.remote()
    assert shelf.asked == 0
    for moment, asked in ((0, 1), (USUAL - 1, 1), (USUAL, 2), (USUAL + 1, 2)):
        shelf.now = moment
        assert len(keys.get()) == 1
        assert shelf.asked == asked


def test_a_document_is_fetched_again_for_a_key_that_is_missing_but_not_all_the_time() -> None:
    shelf = Shelf()
    keys = shelf.remote()
    keys.get()
    for _ in range(5):
        keys.again()
    assert shelf.asked == 1
    shelf.now += AGAIN
    shelf.document = {"keys": [ec_key("new").as_dict(private=False)]}
    assert [one.kid for one in keys.again()] == ["new"]
    assert (shelf.asked, keys.generation) == (2, 2)


def test_what_may_no_longer_be_kept_counts_no_more_where_it_cannot_be_had() -> None:
    shelf = Shelf()
    keys = shelf.remote()
    keys.get()
    shelf.document = OSError("no route")
    shelf.now = USUAL - 1
    assert len(keys.again()) == 1
    shelf.now = USUAL
    for _ in range(3):
        with pytest.raises(Unreachable) as raised:
            keys.get()
    assert raised.value.headers["Retry-After"] == "10"
    assert "a.example" not in str(raised.value)
    assert shelf.asked == 2
    shelf.document = {"keys": []}
    shelf.now += AGAIN
    assert keys.get() == ()


@pytest.mark.parametrize("document", [[], {"keys": {}}, {"keys": [1] * 200}, {}, "x", None])
def test_what_is_no_key_set_is_none(document: Any) -> None:
    shelf = Shelf()
    shelf.document = document
    with pytest.raises(Unreachable):
        shelf.remote().get()


def test_keys_that_cannot_be_used_are_left_out_of_a_set() -> None:
    shelf = Shelf()
    others: list[Any] = [{"kty": "oct", "k": "AAAA", "kid": "s"}, {"kty": "OKP"}, 1, {"kty": "EC", "kid": "e"}]
    shelf.document["keys"] += others
    assert [one.kid for one in shelf.remote().get()] == ["ec"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", USUAL),
        ("max-age=60", 60),
        ("public, max-age=600, must-revalidate", 600),
        ("max-age=0", LEAST),
        ("no-store", LEAST),
        ("No-Cache, max-age=600", LEAST),
        ("max-age=999999999", MOST),
        ("s-maxage=60", USUAL),
        ("max-age=soon", USUAL),
    ],
)
def test_the_server_says_how_long_it_may_be_kept(header: str, seconds: float) -> None:
    assert kept(header) == seconds


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://a.example/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "https://",
            "https://a b/",
            "https://[::1",
            "x",
        ),
        *(
            "https://u:p@a.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "https://é.example/",
        ),
        *("https://a.example:99999/", "gopher://localhost/", "http://10.0.0.1/", "http://0.0.0.0/", ""),
    ],
)
def test_an_address_is_https_or_of_this_machine(url: str) -> None:
    assert why_not(url) is not None


@pytest.mark.parametrize("url", ["https://a.example/k", "http://127.0.0.1:1/k", "http://localhost/k", "http://[::1]/k"])
def test_other_addresses_are_right(url: str) -> None:
    assert why_not(url) is None


class Handler(BaseHTTPRequestHandler):
    """What a server of ill will does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        document = json.dumps({"keys": [ec_key().as_dict(private=False)]}).encode()
        if self.path == "/good":
            self.answer(200, document, {"Cache-Control": "max-age=77"})
        elif self.path == "/elsewhere":
            self.answer(302, b"", {"Location": "/good"})
        elif self.path == "/large":
            self.answer(200, b" " * (remote.BYTES + 10) + document)
        elif self.path == "/slow":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            # A byte now and then, for ever: no wait for a single one of them is long.
            while not self.server.ended.wait(0.01):  # type: ignore[attr-defined] # set below, on this server
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return
        elif self.path == "/reset":
            self.connection.close()
        else:
            self.answer(500, b"")

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody wants to read it."""


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ended = threading.Event()  # type: ignore[attr-defined] # an attribute of the test's own
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.ended.set()  # type: ignore[attr-defined] # the same
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        yield url


def test_a_document_is_fetched(server: str) -> None:
    body, seconds = fetch(f"{server}/good")
    assert (json.loads(body)["keys"][0]["kid"], seconds) == ("ec", 77)


@pytest.mark.parametrize("path", ["/elsewhere", "/large", "/slow", "/reset", "/none"])
def test_a_server_of_ill_will_is_not_believed_and_not_waited_for(
    server: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Remote(f"{server}{path}", usable, seconds=0.2 if path == "/slow" else 30)
    with pytest.raises(Unreachable):
        keys.get()
    assert f"{server}{path} cannot be had" in caplog.text
    if path == "/slow":
        # While it goes on, nobody begins another fetch.
        keys._tried = float("-inf")
        with pytest.raises(Unreachable):
            keys.get()
        assert "does not end its answer" in caplog.text


def test_a_client_changes_its_keys_at_its_address(server: str, tmp_path: Path) -> None:
    sender = Sender()
    path = sender.file(tmp_path, jwks=None, jwks_url=f"{server}/good")
    client = read_client(path)
    assert [one.kid for one in client.keys_for("ec")] == ["ec"]
    assert [one.kid for one in client.keys_for("ec", f"{server}/good")] == ["ec"]
    with pytest.raises(ValueError, match="jku"):
        client.keys_for("ec", f"{server}/other")
