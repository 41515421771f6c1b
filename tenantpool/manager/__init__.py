"""The in-process API; ``_sync`` is generated from ``_async``."""
