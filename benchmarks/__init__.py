"""What tenantpool costs and what it gives, measured: ``python -m benchmarks [names] [--quick]``."""
