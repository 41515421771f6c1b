"""Generated from protos/tenantpool/v1 by tools/generate_protos.py: do not edit."""
