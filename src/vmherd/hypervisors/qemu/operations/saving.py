"""A guest's memory in a file, and back."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuSaving(QemuConnection):
    """A guest's memory in a file, and back."""
