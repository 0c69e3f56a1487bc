"""Devices of guests: in the definition, and hot in the machine that runs."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuDevices(QemuConnection):
    """Devices of guests: in the definition, and hot in the machine that runs."""
