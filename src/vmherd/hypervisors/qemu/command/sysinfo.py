"""What the guest reads about itself: SMBIOS tables (DMTF DSP0134) and entries of the firmware's configuration."""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.conf.domain.os import SmbiosMode
from vmherd.conf.domain.sysinfo import Sysinfo, SysinfoEntry, SysinfoType
from vmherd.hypervisors.qemu.command.device import escape

#: The values of each kind of table, in libvirt's order.
_BIOS = ("vendor", "version", "date", "release")
_SYSTEM = ("manufacturer", "product", "version", "serial", "uuid", "sku", "family")
_BOARD = ("manufacturer", "product", "version", "serial", "asset", "location")
_CHASSIS = ("manufacturer", "version", "serial", "asset", "sku")


def arguments(domain: Domain) -> list[str]:
    """SMBIOS tables if the document asks for its own, then the configuration entries."""
    args: list[str] = []
    if domain.os.smbios and domain.os.smbios.mode is SmbiosMode.SYSINFO:
        tables = (table for each in domain.sysinfos if each.type is SysinfoType.SMBIOS for table in _tables(each))
        args += [word for table in tables for word in ("-smbios", table)]
    for each in domain.sysinfos:
        if each.type is SysinfoType.FWCFG:
            args += [word for entry in each.entries for word in ("-fw_cfg", _configuration(entry))]
    return args


def _tables(sysinfo: Sysinfo) -> Iterator[str]:
    if sysinfo.bios:
        yield _table(0, _BIOS, sysinfo.bios)
    if sysinfo.system:
        yield _table(1, _SYSTEM, sysinfo.system)
    for board in sysinfo.base_boards:
        yield _table(2, _BOARD, board.entries)
    if sysinfo.chassis:
        yield _table(3, _CHASSIS, sysinfo.chassis)
    if sysinfo.oem_strings:
        yield ",".join(["type=11", *(f"value={escape(text)}" for text in sysinfo.oem_strings)])


def _table(number: int, names: tuple[str, ...], entries: list[SysinfoEntry]) -> str:
    told = {entry.name: entry.value for entry in entries}
    return ",".join([f"type={number}", *(f"{name}={escape(told[name])}" for name in names if name in told)])


def _configuration(entry: SysinfoEntry) -> str:
    content = f"file={escape(entry.file)}" if entry.file else f"string={escape(entry.value)}"
    return f"name={escape(entry.name)},{content}"
