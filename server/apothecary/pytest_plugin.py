"""The pytest plugin: `apothecary_server`, a server for the tests of programs that ask one (`docs/python.md`).

pytest loads it in every run of an environment that has Apothecary: it imports nothing until a fixture is used.
`-p no:apothecary` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from apothecary.testing import ServerProcess

_SETTINGS = "settings of apothecary_server, one a line: name = value; the names of `apothecary settings`, in lower case"
_CONTENT = "folder of FHIR files that apothecary_server serves, relative to the rootdir; none by default"
_WRITES = "whether apothecary_server takes writes; by default it is read-only, because tests share it"


def pytest_addoption(parser: pytest.Parser) -> None:
    """https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_addoption"""
    parser.addini("apothecary_content", _CONTENT, default="")
    parser.addini("apothecary_writes", _WRITES, type="bool", default=False)
    parser.addini("apothecary_settings", _SETTINGS, type="linelist", default=[])
    group = parser.getgroup("apothecary", "a FHIR server for tests")
    group.addoption("--apothecary-content", metavar="DIR", help="folder that apothecary_server serves")


@pytest.fixture(scope="session")
def apothecary_settings(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """The settings of `apothecary_server` by name; override it for settings that only a program knows.

    They come from the ini options `apothecary_content`, `apothecary_writes` and `apothecary_settings`, and from
    `--apothecary-content`.
    """
    settings: dict[str, Any] = {"read_only": not pytestconfig.getini("apothecary_writes")}
    for line in pytestconfig.getini("apothecary_settings"):
        name, equals, value = line.partition("=")
        if not equals:
            raise pytest.UsageError(f"apothecary_settings: {line!r} is not name = value")
        settings[name.strip()] = value.strip()
    if ini := pytestconfig.getini("apothecary_content"):
        settings["content"] = ini
    if option := pytestconfig.getoption("--apothecary-content"):
        settings["content"] = pytestconfig.invocation_params.dir / option
    if settings.get("content"):
        settings["content"] = pytestconfig.rootpath / settings["content"]
    return settings


@pytest.fixture(scope="session")
def apothecary_server(
    apothecary_settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A real server for the session, in a process of its own on a free port, over an empty SQLite database.

    `.url`, `.r4`, `.r4b` and `.r5` are the addresses of its bases, `.database` is the URL of its database, `.log` what
    it has written. Each worker of pytest-xdist has its own.
    """
    from apothecary.errors import ApothecaryError
    from apothecary.testing import ServerProcess

    with ExitStack() as stack:
        try:
            server = stack.enter_context(ServerProcess(tmp_path_factory.mktemp("apothecary"), apothecary_settings))
        except ApothecaryError as error:
            pytest.fail(f"apothecary_server: {error}", pytrace=False)
        yield server
