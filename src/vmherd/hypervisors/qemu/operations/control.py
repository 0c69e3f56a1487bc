"""The monitor itself, metadata, jobs."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuControl(QemuConnection):
    """The monitor itself, metadata, jobs."""
