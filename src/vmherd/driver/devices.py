"""Devices of a domain: attach, detach, change."""

from __future__ import annotations

from vmherd.driver.base import Driver


class DeviceOperations(Driver):
    """Devices of a domain: attach, detach, change."""
