"""The client on tasks; the one on threads is generated from it."""
