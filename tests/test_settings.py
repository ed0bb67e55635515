"""Settings: from the environment and from options, checked one and all."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.errors import StartError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.family import MEDICATION_FAMILY
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import PREFIX, Settings

READ = (
    ("PORT", "9000", "port", 9000),
    ("REQUEST_SECONDS", "0.5", "request_seconds", 0.5),
    ("OPEN_WRITES", "yes", "open_writes", True),
    ("OPEN_WRITES", "0", "open_writes", False),
    ("FHIR_VERSION", "r4b", "fhir_version", FhirVersion.R4B),
    ("CONTENT", "", "content", ""),
    ("LOG_LEVEL", "error", "log_level", "error"),
)


@pytest.mark.parametrize(("name", "text", "field", "value"), READ)
def test_a_variable_sets_its_field(name: str, text: str, field: str, value: Any) -> None:
    assert getattr(Settings.from_environment({PREFIX + name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "many"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("STOP_SECONDS", "nan"),
        ("OPEN_WRITES", "perhaps"),
        ("FHIR_VERSION", "R7"),
        ("LOG_LEVEL", "loud"),
        ("PROT", "1"),
        ("BASE_URL", "http://["),
        ("BASE_URL", "http://[::1/fhir"),
        ("BASE_URL", "http://a:b/fhir"),
        ("BASE_URL", "http://a:99999/fhir"),
        ("BASE_URL", "http:///fhir"),
        ("BASE_URL", "drugs.example/fhir"),
        ("BASE_URL", "ftp://drugs.example/fhir"),
        ("BASE_URL", "http://drugs.example/fhir?a=b"),
        ("BASE_URL", "http://drugs.example/fhir#a"),
        ("BASE_URL", "http://drugs.example/a b"),
    ],
)
def test_a_bad_or_unknown_variable_stops_the_start_and_is_named(name: str, text: str) -> None:
    with pytest.raises(StartError, match=PREFIX + name):
        Settings.from_environment({PREFIX + name: text})


def test_a_bad_address_stops_a_python_program_too() -> None:
    with pytest.raises(StartError, match="BASE_URL"):
        Settings(base_url="http://[")
    assert Settings(base_url="https://[::1]:8443/fhir/").base_url == "https://[::1]:8443/fhir/"


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("APOTHECARY_PROT", "APOTHECARY_PROT is not a setting (did you mean 'APOTHECARY_PORT'?); apothecary settings"),
        ("APOTHECARY_DATABASE_URL", "(did you mean 'APOTHECARY_DATABASE'?)"),
        ("APOTHECARY_ZZZZZZZZZZZZZZZZ", "APOTHECARY_ZZZZZZZZZZZZZZZZ is not a setting; apothecary settings lists them"),
    ],
)
def test_an_unknown_variable_is_told_with_the_one_that_was_meant(variable: str, said: str) -> None:
    with pytest.raises(StartError) as caught:
        Settings.from_environment({variable: "1"})
    assert said in str(caught.value)


def test_a_misspelt_choice_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(StartError, match=r"debug, info, warning, error \(did you mean 'warning'\?\)"):
        Settings.from_environment({"APOTHECARY_LOG_LEVEL": "warnings"})


def test_an_option_is_checked_as_its_variable_is() -> None:
    with pytest.raises(StartError, match="--share-port='perhaps': write true or false"):
        Settings.from_environment({}, share_port="perhaps")
    with pytest.raises(StartError, match="--port='65536': write a number from 0 to 65535"):
        Settings.from_environment({}, port="65536")


def test_an_option_wins_over_its_variable_and_none_means_not_given() -> None:
    found = Settings.from_environment({"APOTHECARY_PORT": "1", "APOTHECARY_HOST": "h"}, port=2, host=None)
    assert (found.port, found.host) == (2, "h")


def test_variables_of_others_are_none_of_our_business() -> None:
    assert Settings.from_environment({"PATH": "/bin", "APOTHECARY_TEST_POSTGRESQL_URL": "x"}) == Settings()


@pytest.mark.parametrize(
    ("host", "open_writes", "writable"),
    [
        ("127.0.0.1", False, True),
        ("127.1.2.3", False, True),
        ("localhost", False, True),
        ("::1", False, True),
        ("0.0.0.0", False, False),  # noqa: S104 (nothing listens)
        ("0.0.0.0", True, True),  # noqa: S104 (nothing listens)
        ("drugs.example", False, False),
        ("127.evil.example", False, False),
    ],
)
def test_writes_are_open_on_loopback_or_when_opened(host: str, open_writes: bool, writable: bool) -> None:
    assert Settings(host=host, open_writes=open_writes).writable is writable


def test_the_served_types_are_the_family_all_or_those_named() -> None:
    available = tuple(definitions(FhirVersion.R5).resource_types())
    assert set(Settings().served_types(available)) == set(MEDICATION_FAMILY)
    assert set(Settings(resource_types="*").served_types(available)) == set(available)
    assert Settings(resource_types=" Patient, Medication ").served_types(available) == ("Medication", "Patient")


def test_a_type_that_no_version_of_fhir_has_stops_the_start() -> None:
    with pytest.raises(StartError, match="Medicaton"):
        Settings(resource_types="Medicaton").served_types(tuple(definitions(FhirVersion.R5).resource_types()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"open_writes": True, "host": "0.0.0.0"}, None),  # noqa: S104 (nothing listens)
        ({"host": "0.0.0.0"}, "0.0.0.0 is not a loopback address"),  # noqa: S104 (nothing listens)
        ({"read_only": True}, "APOTHECARY_READ_ONLY"),
        ({"read_only": True, "open_writes": True, "host": "0.0.0.0"}, "APOTHECARY_READ_ONLY"),  # noqa: S104 (nothing listens)
    ],
)
def test_what_closes_writes_is_said(given: dict[str, Any], said: str | None) -> None:
    settings = Settings(**given)
    assert settings.writable is (said is None)
    assert said is None or said in str(settings.why_read_only)


def test_the_environment_of_a_child_has_these_settings_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APOTHECARY_NONSENSE", "1")
    monkeypatch.setenv("APOTHECARY_PAGE_SIZE", "7")
    monkeypatch.setenv("OTHER", "kept")
    given = Settings(port=1, read_only=True, fhir_version=FhirVersion.R4B)
    environment = given.environment()
    assert Settings.from_environment(environment) == given
    assert environment["OTHER"] == "kept"


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ({}, "http://127.0.0.1:8080/fhir"),
        ({"host": "::1", "port": 80}, "http://[::1]:80/fhir"),
        ({"host": "0.0.0.0", "base_url": "https://drugs.example/fhir/"}, "https://drugs.example/fhir"),  # noqa: S104 (nothing listens)
    ],
)
def test_tokens_are_for_the_address_that_is_configured(given: dict[str, Any], root: str) -> None:
    settings = Settings(authorization="smart", **given)
    assert (settings.root, settings.token_endpoint) == (root, f"{root}/token")
    assert settings.writable


def test_authorization_where_others_reach_the_server_needs_its_public_address() -> None:
    with pytest.raises(StartError, match="APOTHECARY_BASE_URL"):
        Settings(authorization="smart", host="0.0.0.0")  # noqa: S104 (nothing listens)
