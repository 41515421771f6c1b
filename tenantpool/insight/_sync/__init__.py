# Generated from ../_async/__init__.py by tools/generate_sync.py: do not edit.
"""What insight does with connections on tasks; the version on threads is generated from it."""
