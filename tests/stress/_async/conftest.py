"""Fixtures of the stress tests on tasks."""

from tests.manager._async.helpers import open_manager

__all__ = ["open_manager"]
