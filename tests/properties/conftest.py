"""The servers of the conformance tests, for properties that need one."""

from tests.conformance.conftest import empty_server, server

__all__ = ["empty_server", "server"]
