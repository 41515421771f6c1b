"""Leases for other processes: the desk, and the ways to it."""
