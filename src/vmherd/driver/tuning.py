"""The share of the host that a guest gets: vCPUs, memory, scheduling, I/O threads."""

from __future__ import annotations

from vmherd.driver.base import Driver


class TuningOperations(Driver):
    """The share of the host that a guest gets: vCPUs, memory, scheduling, I/O threads."""
