"""What the host is and has: processors, memory, firmware tables."""

from __future__ import annotations

from vmherd.driver.base import Driver


class HostOperations(Driver):
    """What the host is and has: processors, memory, firmware tables."""
