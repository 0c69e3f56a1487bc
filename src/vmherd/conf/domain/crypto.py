"""<crypto>: a cryptography accelerator.

Source: https://libvirt.org/formatdomain.html#crypto
"""

from __future__ import annotations

from vmherd.conf.domain.address import Device, VirtioDriver
from vmherd.util.xmlmodel import Element, UInt, attr, child


class CryptoBackend(Element, tag="backend"):
    """``model`` is ``builtin`` or ``lkcf`` (the host kernel's)."""

    model: str = attr()
    queues: UInt | None = attr()


class Crypto(Device, tag="crypto"):
    model: str = attr()
    type: str = attr()
    backend: CryptoBackend = child()
    driver: VirtioDriver | None = child()
