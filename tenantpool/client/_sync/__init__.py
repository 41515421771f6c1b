# Generated from ../_async/__init__.py by tools/generate_sync.py: do not edit.
"""The client on tasks; the one on threads is generated from it."""
