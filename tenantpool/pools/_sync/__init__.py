# Generated from ../_async/__init__.py by tools/generate_sync.py: do not edit.
"""The pools' work on tasks; the version on threads is generated from it."""
