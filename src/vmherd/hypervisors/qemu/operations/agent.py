"""What the guest agent does."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuAgent(QemuConnection):
    """What the guest agent does."""
