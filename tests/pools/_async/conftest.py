"""Fixtures of the tests of pools on tasks."""

from tests.manager._async.helpers import open_manager

__all__ = ["open_manager"]
