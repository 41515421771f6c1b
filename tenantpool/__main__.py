"""``python -m tenantpool`` is the command line."""

from tenantpool.cli import main

main()
