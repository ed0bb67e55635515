"""The servers of the conformance tests, for properties that need one."""

from tests.conformance.conftest import server

__all__ = ["server"]
