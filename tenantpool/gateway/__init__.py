"""The PostgreSQL end of a lease: clients connect here and find its connection."""
