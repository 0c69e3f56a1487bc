"""<nvram> among the devices: the non-volatile memory of a pSeries machine.

Source: https://libvirt.org/formatdomain.html#nvram-device
"""

from __future__ import annotations

from vmherd.conf.domain.address import Device


class NvramDevice(Device, tag="nvram"):
    """Only its address can be chosen."""
