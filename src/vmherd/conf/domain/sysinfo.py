"""<sysinfo>: the SMBIOS tables and firmware configuration the guest reads.

Source: https://libvirt.org/formatdomain.html#smbios-system-information
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, attr, children, leaf, text


class SysinfoType(StrEnum):
    SMBIOS = "smbios"
    FWCFG = "fwcfg"


class SysinfoEntry(Element, tag="entry"):
    """A named value; for fw_cfg the value may come from ``file``."""

    name: str = attr()
    file: str | None = attr()
    value: str = text(default="")


class SysinfoTable(Element, tag="baseBoard"):
    """One SMBIOS structure of which there may be several."""

    entries: list[SysinfoEntry] = children()


class Sysinfo(Element, tag="sysinfo"):
    """SMBIOS structures, or (type fwcfg) entries of its own."""

    type: SysinfoType = attr()
    bios: list[SysinfoEntry] = children(within="bios")
    system: list[SysinfoEntry] = children(within="system")
    base_boards: list[SysinfoTable] = children()
    chassis: list[SysinfoEntry] = children(within="chassis")
    processors: list[SysinfoTable] = children("processor")
    memory_devices: list[SysinfoTable] = children("memory_device")
    oem_strings: list[str] = leaf("entry", within="oemStrings")
    entries: list[SysinfoEntry] = children()
