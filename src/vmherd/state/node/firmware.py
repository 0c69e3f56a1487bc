"""What firmware tells of this machine, as libvirt's <sysinfo>: the names that Linux shows of SMBIOS tables.

Source: virSysinfoReadDMI of libvirt; Documentation/ABI/testing/sysfs-firmware-dmi-entries and drivers/firmware/dmi-id.c
"""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain.sysinfo import Sysinfo, SysinfoEntry, SysinfoTable, SysinfoType
from vmherd.errors import Unsupported
from vmherd.state.node import kernel
from vmherd.util.xmlmodel import render

_FOLDER = "sys/class/dmi/id"

#: Names in the document, with those of the kernel; libvirt's order.
_BIOS = {"vendor": "bios_vendor", "version": "bios_version", "date": "bios_date", "release": "bios_release"}
_SYSTEM = {
    "manufacturer": "sys_vendor",
    "product": "product_name",
    "version": "product_version",
    "serial": "product_serial",
    "uuid": "product_uuid",
    "sku": "product_sku",
    "family": "product_family",
}
_BOARD = {
    "manufacturer": "board_vendor",
    "product": "board_name",
    "version": "board_version",
    "serial": "board_serial",
    "asset": "board_asset_tag",
}
_CHASSIS = {
    "manufacturer": "chassis_vendor",
    "version": "chassis_version",
    "serial": "chassis_serial",
    "asset": "chassis_asset_tag",
}


def sysinfo(root: Path) -> str:
    """Raises Unsupported where the kernel shows no tables, as on most virtual and many ARM machines."""
    folder = root / _FOLDER
    if not folder.is_dir():
        raise Unsupported("Host SMBIOS information is not available", hint="this machine's firmware has none")
    board = _entries(folder, _BOARD)
    found = Sysinfo(
        type=SysinfoType.SMBIOS,
        bios=_entries(folder, _BIOS),
        system=_entries(folder, _SYSTEM),
        base_boards=[SysinfoTable(entries=board)] if board else [],
        chassis=_entries(folder, _CHASSIS),
    )
    return render(found)


def _entries(folder: Path, names: dict[str, str]) -> list[SysinfoEntry]:
    """What is not told, or for root's eyes only, is left out."""
    found = {name: kernel.text(folder / file) for name, file in names.items()}
    return [SysinfoEntry(name=name, value=value) for name, value in found.items() if value]
