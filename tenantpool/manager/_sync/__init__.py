# Generated from ../_async/__init__.py by tools/generate_sync.py: do not edit.
"""The manager on tasks; the one on threads is generated from it."""
