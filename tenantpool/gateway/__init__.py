"""The PostgreSQL end of a lease: any client of PostgreSQL connects here and finds its connection."""
