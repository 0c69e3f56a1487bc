"""<os>: what the guest boots, and with which firmware.

Source: https://libvirt.org/formatdomain.html#operating-system-booting
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.storage import DiskSource
from vmherd.util.xmlmodel import Element, Int, UInt, YesNo, attr, child, children, leaf, text


class OsType(Element, tag="type"):
    """``hvm`` is full virtualization; ``exe`` a container."""

    arch: str | None = attr()
    machine: str | None = attr()
    name: str = text()


class Firmware(StrEnum):
    BIOS = "bios"
    EFI = "efi"


class FirmwareFeatureName(StrEnum):
    ENROLLED_KEYS = "enrolled-keys"
    SECURE_BOOT = "secure-boot"


class FirmwareFeature(Element, tag="feature"):
    """Wanted or unwanted when the firmware is chosen."""

    enabled: YesNo = attr()
    name: FirmwareFeatureName = attr()


class LoaderType(StrEnum):
    ROM = "rom"
    PFLASH = "pflash"
    NONE = "none"


class Loader(Element, tag="loader"):
    readonly: YesNo | None = attr()
    secure: YesNo | None = attr()
    type: LoaderType | None = attr()
    stateless: YesNo | None = attr()
    path: str = text(default="")


class Nvram(Element, tag="nvram", json={"type": "path"}):
    """The file of UEFI variables, made from ``template`` when it is missing."""

    template: str | None = attr()
    path: str = text(default="")


class NvramFile(Element, tag="nvram", when={"type": "file"}):
    """The same, told like the source of a disk."""

    template: str | None = attr()
    source: DiskSource = child()


class NvramBlock(NvramFile, tag="nvram", when={"type": "block"}):
    """UEFI variables on a block device."""


class NvramNetwork(NvramFile, tag="nvram", when={"type": "network"}):
    """UEFI variables on a storage server."""


class InitVariable(Element, tag="initenv"):
    name: str = attr()
    value: str = text()


class AcpiTable(Element, tag="table"):
    """A file with an ACPI table for the guest."""

    type: str = attr()
    path: str = text()


class BootDevice(StrEnum):
    FD = "fd"
    HD = "hd"
    CDROM = "cdrom"
    NETWORK = "network"


class BootFrom(Element, tag="boot"):
    dev: BootDevice = attr()


class BootMenu(Element, tag="bootmenu"):
    """``timeout`` is in milliseconds."""

    enable: YesNo = attr()
    timeout: UInt | None = attr()


class Bios(Element, tag="bios"):
    """``reboot_timeout`` is in milliseconds, -1 never reboots."""

    useserial: YesNo | None = attr()
    reboot_timeout: Int | None = attr("rebootTimeout")


class SmbiosMode(StrEnum):
    EMULATE = "emulate"
    HOST = "host"
    SYSINFO = "sysinfo"


class Smbios(Element, tag="smbios"):
    mode: SmbiosMode = attr()


class Os(Element, tag="os"):
    firmware: Firmware | None = attr()
    type: OsType = child()
    firmware_features: list[FirmwareFeature] = children(within="firmware")
    init: str | None = leaf()
    initargs: list[str] = leaf("initarg")
    initenvs: list[InitVariable] = children()
    initdir: str | None = leaf()
    inituser: str | None = leaf()
    initgroup: str | None = leaf()
    loader: Loader | None = child()
    nvram: Nvram | NvramFile | NvramBlock | NvramNetwork | None = child()
    kernel: str | None = leaf()
    initrd: str | None = leaf()
    cmdline: str | None = leaf()
    dtb: str | None = leaf()
    root: str | None = leaf()
    acpi_tables: list[AcpiTable] = children(within="acpi")
    boots: list[BootFrom] = children()
    bootmenu: BootMenu | None = child()
    bios: Bios | None = child()
    smbios: Smbios | None = child()
