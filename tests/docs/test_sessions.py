"""The reader of the pages' sessions sees every step, and an answer that is not the one shown."""

from __future__ import annotations

import pytest

from tests.docs.sessions import Change, Command, Save, mismatch, session, steps


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        (["{", '  "a": 1', "}"], True),
        (["...", '  "a": 1', "..."], True),
        (["...", '  "a": 2', "..."], False),
        (["{", "}"], False),
        (["{", '  "a": 1'], False),
        (["...", "}", '  "a": 1', "..."], False),
        (["{", '  "a...: 1', "}"], True),
    ],
)
def test_a_wrong_answer_is_noticed(shown: list[str], fits: bool) -> None:
    assert (mismatch(shown, ["{", '  "a": 1', "}"]) is None) is fits


def test_only_blocks_with_commands_are_run() -> None:
    page = "```console\nmake serve\n```\n```console\n$ curl x\nanswer\n```\n"
    assert session(page) == [Command("curl x", ["answer"])]


def test_steps_come_in_the_order_of_the_page() -> None:
    page = (
        "Save this as `a/b.json`:\n\n```json\n{}\n```\n\n```console\n$ one\n$ two\nanswer\n```\n"
        "Mend `a/b.json`:\n\n```diff\n-{}\n+[\n+]\n```\n"
    )
    assert list(steps(page)) == [
        Save("a/b.json", "{}\n"),
        Command("one"),
        Command("two", ["answer"]),
        Change("a/b.json", "{}\n", "[\n]\n"),
    ]


def test_a_block_that_names_no_file_is_an_error() -> None:
    with pytest.raises(ValueError, match="no file is named"):
        list(steps("Save `a.json`:\n\n```json\n{}\n```\n\nAnd more.\n\n```json\n[]\n```\n"))
