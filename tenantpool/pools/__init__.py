"""How it happens: psycopg_pool pools that obey the core."""
