"""Alerts: what should not be, for how long it has been so, and who is told."""
