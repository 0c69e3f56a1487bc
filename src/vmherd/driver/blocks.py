"""Disks and cards of a guest that runs: sizes, counters, limits, content; and statistics in bulk."""

from __future__ import annotations

from vmherd.driver.base import Driver


class BlockOperations(Driver):
    """Disks and cards of a guest that runs: sizes, counters, limits, content; and statistics in bulk."""
