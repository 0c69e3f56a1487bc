"""The screen, the keyboard and the displays of a guest."""

from __future__ import annotations

from vmherd.hypervisors.qemu.connection import QemuConnection


class QemuScreen(QemuConnection):
    """The screen, the keyboard and the displays of a guest."""
