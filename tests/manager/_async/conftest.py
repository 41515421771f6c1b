"""Fixtures of the tests of the manager on tasks."""

from tests.manager._async.helpers import open_manager

__all__ = ["open_manager"]
