"""What a bhyve and a grub-bhyve binary can do, by the names of libvirt's BHYVE_CAP flags."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """What came to bhyve over the years."""

    RTC_UTC = "rtc-utc"
    AHCI_32_SLOTS = "ahci32slot"  # 32 disks on one AHCI controller, not one
    NET_E1000 = "net-e1000"
    LPC_BOOTROM = "lpc-bootrom"
    FBUF = "fbuf"
    XHCI = "xhci"
    CPU_TOPOLOGY = "cputopology"
    SOUND_HDA = "sound-hda"
    VNC_PASSWORD = "vnc-password"  # noqa: S105 - a feature, no password
    VIRTIO_9P = "virtio-9p"


class GrubFeature(StrEnum):
    """What came to grub-bhyve."""

    CONSDEV = "consdev"  # a console of its own choice


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The host's binaries."""

    bhyve: frozenset[str]
    grub: frozenset[str] = frozenset()

    def __contains__(self, feature: str) -> bool:
        return feature in self.bhyve


#: Those of FreeBSD 13 and later, and of the grub2-bhyve in its ports.
CURRENT = Capabilities(bhyve=frozenset(Feature), grub=frozenset(GrubFeature))
