"""A set of keys is larger than memory may be, and knows each once."""

from __future__ import annotations

from apothecary.store.keyset import KeySet


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
