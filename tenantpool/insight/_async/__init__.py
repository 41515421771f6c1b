"""What insight does with connections on tasks; the version on threads is generated from it."""
