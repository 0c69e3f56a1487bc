"""The share of the host that a guest gets, as documents say it: reading it, and changing it."""
