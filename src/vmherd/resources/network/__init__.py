"""Virtual networks on this host."""
