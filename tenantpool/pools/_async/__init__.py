"""The pools' work on tasks; the version on threads is generated from it."""
