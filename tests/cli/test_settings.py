"""`apothecary settings` lists what a server can be told, and shows no secret."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.settings import Settings, variables


def test_every_variable_is_listed_with_its_default_and_meaning() -> None:
    listed = json.loads(CliRunner().invoke(main, ["settings", "--format=json"]).stdout)
    assert [one["variable"] for one in listed] == [*variables()]
    assert {"variable": "APOTHECARY_OPEN_WRITES", "default": "false"}.items() <= listed[
        [*variables()].index("APOTHECARY_OPEN_WRITES")
    ].items()
    text = CliRunner().invoke(main, ["settings"]).stdout
    for one in listed:
        assert f"{one['variable']}={one['default']}\n    {one['meaning']}\n" in text


def test_the_defaults_are_such_as_a_variable_may_hold() -> None:
    listed = json.loads(CliRunner().invoke(main, ["settings", "--format=json"]).stdout)
    assert Settings.from_environment({one["variable"]: one["default"] for one in listed}) == Settings()


def test_what_is_set_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APOTHECARY_SECRET", "Pa55word")
    assert "Pa55word" not in CliRunner().invoke(main, ["settings"]).output
