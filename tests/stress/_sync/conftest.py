# Generated from ../_async/conftest.py by tools/generate_sync.py: do not edit.
"""Fixtures of the stress tests on tasks."""

from tests.manager._sync.helpers import open_manager

__all__ = ["open_manager"]
