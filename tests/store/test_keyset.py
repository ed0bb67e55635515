"""A set of keys is larger than memory may be, and knows each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.store import keyset
from apothecary.store.keyset import KeySet

KEYS = st.tuples(st.sampled_from(["Basic", "Medication"]), st.integers(0, 9).map(str))


def test_a_key_is_taken_in_once_and_keeps_its_first_digest() -> None:
    with KeySet() as keys:
        assert keys.add("Medication", "b", b"1")
        assert not keys.add("Medication", "b", b"2")
        assert keys.add("Basic", "b")
        assert keys.digest("Medication", "b") == b"1"
        assert keys.digest("Basic", "b") is None
        assert keys.digest("Basic", "c") is None
        assert ("Basic", "b") in keys
        assert ("Basic", "c") not in keys
        assert list(keys) == [("Basic", "b"), ("Medication", "b")]
        assert len(keys) == 2


@given(st.lists(st.tuples(st.booleans(), KEYS)), st.integers(0, 12), st.integers(1, 5))
def test_it_is_a_set_however_much_of_it_is_held_in_memory(
    steps: list[tuple[bool, tuple[str, str]]], hashes: int, together: int
) -> None:
    model: set[tuple[str, str]] = set()
    with pytest.MonkeyPatch.context() as patch, KeySet() as keys:
        patch.setattr(keyset, "_HASHES", hashes)
        patch.setattr(keyset, "_TOGETHER", together)
        for adding, key in steps:
            if adding:
                assert keys.add(*key) == (key not in model)
                model.add(key)
            else:
                assert (key in keys) == (key in model)
        assert list(keys) == sorted(model)
        assert len(keys) == len(model)


def test_keys_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "hash", lambda _: 1, raising=False)
    with KeySet() as keys:
        assert keys.add("Basic", "a")
        assert keys.add("Basic", "b")
        assert not keys.add("Basic", "a")
