"""Disks and cards of guests that run, and statistics in bulk."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuBlocks(QemuConnection):
    """Disks and cards of guests that run, and statistics in bulk."""
