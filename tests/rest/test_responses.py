"""An answer goes out as it is."""

from __future__ import annotations

import pytest

from apothecary.rest.responses import Answer


@pytest.mark.parametrize(("method", "sent"), [("GET", [b"{}"]), ("HEAD", [])])
def test_an_answer_is_a_list_which_the_server_sends_in_one_piece(method: str, sent: list[bytes]) -> None:
    answer = Answer(b"{}", 200, [("Content-Type", "application/json")])
    assert answer({"REQUEST_METHOD": method}, lambda status, headers: None) == sent  # type: ignore[arg-type] # a WSGI application's start_response returns a function
