"""The address that a proxy tells: https://www.rfc-editor.org/rfc/rfc7239"""

from __future__ import annotations

import pytest

from apothecary.rest.forwarded import client
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess

BASES = ["/fhir/r4", "/fhir/r4b", "/fhir/r5"]


@pytest.mark.parametrize(
    ("headers", "link"),
    [
        ({}, "http://localhost"),
        ({"X-Forwarded-Host": "drugs.example"}, "http://drugs.example"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "drugs.example"}, "https://drugs.example"),
        ({"X-Forwarded-Host": "drugs.example", "X-Forwarded-Port": "8443"}, "http://drugs.example:8443"),
        ({"X-Forwarded-Host": "drugs.example:1", "X-Forwarded-Port": "8443"}, "http://drugs.example:8443"),
        ({"X-Forwarded-Host": "drugs.example:81", "X-Forwarded-Port": "80"}, "http://drugs.example"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}, "https://localhost"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Port": "80"}, "https://localhost:80"),
        ({"X-Forwarded-Port": "8443, 80"}, "http://localhost:8443"),
        ({"X-Forwarded-Host": "[2001:db8::1]:5", "X-Forwarded-Port": "8443"}, "http://[2001:db8::1]:8443"),
        ({"X-Forwarded-Prefix": "/drugs"}, "http://localhost/drugs"),
        ({"Forwarded": "host=drugs.example;proto=https"}, "https://drugs.example"),
        ({"Forwarded": 'for="[2001:db8::1]:4711";Proto=HTTPS;Host="drugs.example:8443"'}, "https://drugs.example:8443"),
        ({"Forwarded": 'for=1.2.3.4;host="a.example", for=2.3.4.5;host=b.example'}, "http://a.example"),
        ({"Forwarded": "host=a.example", "X-Forwarded-Host": "b.example"}, "http://a.example"),
        ({"Forwarded": "host=a.example", "X-Forwarded-Port": "8443"}, "http://a.example"),
        ({"Forwarded": "for=1.2.3.4", "X-Forwarded-Host": "b.example"}, "http://b.example"),
        ({"Forwarded": "host=a.example:8443; proto=https"}, "https://a.example:8443"),
        # What cannot be part of an address is as if it were not there.
        ({"X-Forwarded-Host": "bad host/<script>"}, "http://localhost"),
        ({"X-Forwarded-Proto": "javascript"}, "http://localhost"),
        ({"X-Forwarded-Prefix": "//evil.example?x="}, "http://localhost"),
        ({"X-Forwarded-Prefix": "drugs"}, "http://localhost"),
        ({"X-Forwarded-Port": "0"}, "http://localhost"),
        ({"X-Forwarded-Port": "99999"}, "http://localhost"),
        ({"X-Forwarded-Port": "999999999999999999999"}, "http://localhost"),
        ({"X-Forwarded-Port": "https"}, "http://localhost"),
        ({"Forwarded": 'host="a b";proto=gopher'}, "http://localhost"),
        ({"Forwarded": "host=_hidden:obfuscated"}, "http://localhost"),
        ({"Forwarded": '=;;,"'}, "http://localhost"),
    ],
)
@pytest.mark.parametrize("base", BASES)
def test_links_bear_the_address_that_a_trusted_proxy_tells(
    sqlite_database_url: str, headers: dict[str, str], link: str, base: str
) -> None:
    settings = Settings(database=sqlite_database_url, content="", trust_forwarded=True)
    server = InProcess(settings, open_store(settings))
    answer = server.ask("GET", f"{base}/Organization", headers)
    assert answer.links["self"] == f"{link}{base}/Organization"
    server.store.close()


def test_no_link_bears_what_a_proxy_says_that_is_not_trusted(sqlite_database_url: str) -> None:
    settings = Settings(database=sqlite_database_url, content="")
    server = InProcess(settings, open_store(settings))
    told_by = {"Forwarded": "host=a.example;proto=https", "X-Forwarded-Port": "8443", "X-Forwarded-Host": "b.example"}
    assert server.ask("GET", "/fhir/Organization", told_by).links["self"] == "http://localhost/fhir/Organization"
    server.store.close()


@pytest.mark.parametrize(
    ("forwarded", "other", "address"),
    [
        ("for=192.0.2.1", "", "192.0.2.1"),
        ("", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("for=198.51.100.9, for=192.0.2.1", "192.0.2.1:4711", "192.0.2.1"),
        ('for="[2001:db8::1]:80"', "2001:db8:0::1", "2001:db8::1"),
        ("for=198.51.100.9", "192.0.2.1", "10.0.0.1"),
        ("for=unknown", "192.0.2.1", "10.0.0.1"),
        ("for=198.51.100.9", "who", "10.0.0.1"),
        ("proto=https", "192.0.2.1", "192.0.2.1"),
        ("", "who", "10.0.0.1"),
    ],
)
def test_no_client_chooses_the_address_that_it_counts_by(forwarded: str, other: str, address: str) -> None:
    environ = {"HTTP_FORWARDED": forwarded, "HTTP_X_FORWARDED_FOR": other, "REMOTE_ADDR": "10.0.0.1"}
    assert client(environ) == address
