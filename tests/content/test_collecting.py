"""A load looks for garbage seldom, and leaves the process as it was."""

from __future__ import annotations

import gc

import pytest

from apothecary.content.collecting import MADE, seldom_collecting


def test_what_was_set_before_is_set_again_also_after_an_error() -> None:
    before, seen = gc.get_threshold(), []

    def failing() -> None:
        with seldom_collecting():
            seen.append(gc.get_threshold()[0])
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert seen == [MADE]
    assert gc.get_threshold() == before
