"""What tests share: a server, databases, a sampler of connections, faults, checks for leaks."""
