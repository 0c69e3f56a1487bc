"""The share of the host that a guest gets."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuTuning(QemuConnection):
    """The share of the host that a guest gets."""
