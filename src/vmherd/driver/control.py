"""Past the documents: the hypervisor's own monitor, metadata, jobs, names."""

from __future__ import annotations

from vmherd.driver.base import Driver


class ControlOperations(Driver):
    """Past the documents: the hypervisor's own monitor, metadata, jobs, names."""
